"""Options as fields of frozen records, each in one place, checked when a record is made."""

from mechsteer.options.records import (
    REQUIRED,
    Option,
    Options,
    arguments,
    from_json,
    option,
    options_of,
    records,
    takes,
)

__all__ = [
    "REQUIRED",
    "Option",
    "Options",
    "arguments",
    "from_json",
    "option",
    "options_of",
    "records",
    "takes",
]
