"""Where the typological databases lie, and tables read from them."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mechsteer.errors import CorpusError, shown

VARIABLE = "MECHSTEER_DATA"


def typology_folder(data: Path | None = None) -> Path:
    """The folder of databases: ``data``, else ``$MECHSTEER_DATA``, or ``typology`` inside.

    Raises:
        CorpusError: Neither is given, or there is no such folder; what to type is said.
    """
    given = data or (Path(name) if (name := os.environ.get(VARIABLE)) else None)
    if given is None:
        raise CorpusError(
            f"no typological data: set {VARIABLE}=FOLDER, or give data=FOLDER (--data FOLDER), "
            "a folder that holds typology/ with uriel, glottolog and asjp"
        )
    for folder in (given / "typology", given):
        if (folder / "uriel").is_dir() or (folder / "glottolog").is_dir():
            return folder
    raise CorpusError(
        f"no typological data in {shown(str(given))}: expected typology/uriel or typology/glottolog"
        f" in it; set {VARIABLE} to the folder that holds typology/"
    )


def part(folder: Path, name: str) -> Path:
    """A file of the databases.

    Raises:
        CorpusError: It is not there.
    """
    path = folder / name
    if not path.is_file():
        raise CorpusError(f"no {name} in {folder}: this measure needs it; leave its kind out")
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file.

    Raises:
        CorpusError: The file is damaged.
    """
    try:
        with np.load(path) as held:
            return {name: held[name] for name in held.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise CorpusError(f"damaged file {path}: expected NumPy arrays ({error})") from None


def table(path: Path, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """A CSV file, plain or gzipped, as text; an empty cell is an empty text.

    Raises:
        CorpusError: The file is damaged or lacks a column.
    """
    try:
        read = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=columns)
    except (ValueError, OSError, EOFError, UnicodeDecodeError) as error:
        raise CorpusError(f"damaged file {path}: {error}") from None
    return read[list(columns)] if columns else read


def tab_lines(path: Path) -> Iterator[list[str]]:
    """Cells of each line of a gzipped file of tabs, where quotes are letters.

    Raises:
        CorpusError: The file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"damaged file {path}: {error}") from None
