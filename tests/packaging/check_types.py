"""Check the types of the sources where they stand: ``python -m tests.packaging.check_types``.

``kernels/`` is imported as ``mechsteer.kernels`` through ``__path__``, which mypy does not follow:
given folders alone it would call ``kernels/scoring/operation.py`` ``kernels.scoring.operation``.
So each of its files is handed over with the name that it is imported by.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mypy.build import build
from mypy.errors import CompileError
from mypy.main import process_options
from mypy.modulefinder import BuildSource

ROOT = Path(__file__).resolve().parents[2]


def kernel_sources() -> list[BuildSource]:
    """The files of ``kernels/`` by the names that they are imported by."""
    sources = []
    for path in sorted((ROOT / "kernels").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(("mechsteer", *parts)).removesuffix(".__init__")
        sources.append(BuildSource(str(path.relative_to(ROOT)), module))
    return sources


def main(arguments: list[str]) -> int:
    """Print what mypy finds in the package; return its exit status."""
    sources, options = process_options([*arguments, "mechsteer"])
    kernels = kernel_sources()
    try:
        errors = build([*sources, *kernels], options).errors
    except CompileError as error:
        errors = error.messages
    found = errors or [
        f"no errors in {len(sources)} files of mechsteer/ and {len(kernels)} of kernels/"
    ]
    sys.stdout.write("\n".join(found) + "\n")
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
