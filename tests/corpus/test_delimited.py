"""CSV and TSV rows: when quotes are characters, and when they are not; packed files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mechsteer.corpus.formats.delimited import read_delimited
from mechsteer.corpus.formats.text import read_lines
from mechsteer.errors import CorpusError


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a\tb\nc\t"d ""e"" f"\n', [["a", "b"], ["c", 'd "e" f']]),
        ('"a"\t"b"\n"c"\t"d"\n', [["a", "b"], ["c", "d"]]),
        ('a\tb\nc\t"d"\n', [["a", "b"], ["c", '"d"']]),  # nothing in it needs quotes
        ('a\tb\nc\t"d ""e"" f"\ng\th "i"\n', [["a", "b"], ["c", '"d ""e"" f"'], ["g", 'h "i"']]),
        ('a\tb\nc\t"d\n', [["a", "b"], ["c", '"d']]),
        ('a\tb\n"c"\td\n"e\tf\n', [["a", "b"], ['"c"', "d"], ['"e', "f"]]),
        ('a\tb\nc\t"d\ne"\nf\tg\n', [["a", "b"], ["c", "d\ne"], ["f", "g"]]),
        ('a\tb\n"c\td\ne\tf"\tg\n', [["a", "b"], ['"c', "d"], ["e", 'f"', "g"]]),
        ("a\tb\r\nc\td\r\n", [["a", "b"], ["c", "d"]]),
    ],
)
def test_quotes_in_a_tsv_are_those_of_csv_only_where_all_are(
    tmp_path: Path, text: str, rows: list[list[str]]
) -> None:
    file = tmp_path / "t.tsv"
    file.write_bytes(text.encode())
    assert [cells for _, cells in read_delimited(file)] == rows


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_of_a_csv_are_parted_as_its_header_is(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "t.csv"
    lines = [["eng", "fra"], ["A cat; a dog.", "Un chat."], ["Yes, no.", "Oui.\tNon."]]
    rows = (separator.join(f'"{cell}"' for cell in line) for line in lines)
    file.write_text("\n".join(rows), encoding="utf-8")
    assert [cells for _, cells in read_delimited(file)] == lines


def test_rows_have_the_line_they_start_on(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('a,b\n"c\nd",e\n\nf,g\n', encoding="utf-8")
    assert [line for line, _ in read_delimited(file)] == [1, 2, 5]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("f.txt.gz", b"plain text", "cannot read .*Not a gzipped file"),
        ("f.txt.gz", gzip.compress(b"text")[:-6], "cannot unpack"),
        ("f.txt.xz", b"plain text", "cannot unpack .*f.txt.xz"),
        ("f.txt.bz2", b"plain text", "cannot read .*Invalid data stream"),
        ("f.txt.gz", gzip.compress(bytes(1 << 27)), "unpacks to more than 67,108,864 bytes"),
        ("f.txt.gz", gzip.compress(b""), "f.txt.gz is empty"),
    ],
    ids=["no gz", "torn gz", "no xz", "no bz2", "too much", "nothing"],
)
def test_packed_files_that_are_none_or_too_much_are_refused(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError, match=said):
        read_lines(tmp_path / name)
