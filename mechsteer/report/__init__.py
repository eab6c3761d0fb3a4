"""The report: results in, one self-contained HTML page out."""

from mechsteer.report.data import ReportData
from mechsteer.report.page import render, write_report

__all__ = ["ReportData", "render", "write_report"]
