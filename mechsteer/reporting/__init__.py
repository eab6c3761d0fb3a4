"""The report: results in, one self-contained HTML page out."""

from mechsteer.reporting.data import ReportData
from mechsteer.reporting.page import render, write_report
from mechsteer.reporting.scored import scored_report
from mechsteer.reporting.write import report, report_data, summary

__all__ = [
    "ReportData",
    "render",
    "report",
    "report_data",
    "scored_report",
    "summary",
    "write_report",
]
