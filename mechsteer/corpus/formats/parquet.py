"""Columns of a Parquet file, of no more than a file of its size can hold in earnest.

A few kilobytes of Parquet can say of themselves that they are terabytes, or be it: what is repeated
is written once. So the sizes that the file declares are judged before anything is decoded, columns
that can be no text are not decoded at all, and repeated text stays one object in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.corpus.formats.text import require_narrow, require_regular
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BYTES, _CELLS = 200, 20  # of a decoded file for one byte on disk; text is packed 3 to 10 times
_LEAST_BYTES, _LEAST_CELLS = 1 << 26, 1 << 20  # what the smallest file may have


@dataclass(frozen=True)
class Opaque:
    """A cell of a type that is never text, a date or a decimal number, say."""

    kind: str


def read_columns(path: Path) -> tuple[Mapping[str, Sequence[object]], int]:
    """Columns by name, and the number of rows.

    Cells of text, numbers and truth values, and lists of these, are Python's, and so are those of
    dictionaries of text in a column ``translation``; all others are ``Opaque``.

    Raises:
        CorpusError: The file is damaged, would take absurd memory or time for its size, or names a
            column twice.
    """
    import pyarrow as pa

    require_regular(path)
    try:
        columns, rows = _columns(path, path.stat().st_size)
    except (OSError, ValueError, KeyError, OverflowError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, CorpusError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CorpusError(f"cannot read {path}: {reason}") from error
    return columns, rows


def _columns(path: Path, size: int) -> tuple[dict[str, Sequence[object]], int]:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    require_narrow(path, schema.names)
    if len(set(schema.names)) != len(schema.names):
        raise CorpusError(f"{path}: a column name occurs twice in {', '.join(schema.names[:9])}")
    read = [field.name for field in schema if _is_read(field)]
    text = [name for field in schema if field.name in read for name in _text_in(field)]
    with pq.ParquetFile(path, read_dictionary=text) as file:
        rows = file.metadata.num_rows
        _require_sane(path, size, file.metadata, len({*read, *text}))
        data = file.read(columns=read)
    decoded = sum(_decoded(chunk) for column in data.columns for chunk in column.chunks)
    _require_few(path, size, decoded, "bytes of text")
    columns = {field.name: [Opaque(str(field.type))] * rows for field in schema}
    return columns | {name: _cells(data.column(name)) for name in read}, rows


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as are

    plain = kind.value_type if are.is_dictionary(kind) else kind
    is_view = getattr(are, "is_string_view", are.is_null)  # younger than the oldest pyarrow
    return bool(are.is_string(plain) or are.is_large_string(plain) or is_view(plain))


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow.types as are

    plain = kind.value_type if are.is_dictionary(kind) else kind
    tests = (are.is_integer, are.is_floating, are.is_boolean, are.is_null, _is_text)
    return any(test(plain) for test in tests)


def _is_read(field: pa.Field) -> bool:
    import pyarrow.types as are

    if field.name.lower() == "translation" and are.is_struct(field.type):
        return all(_is_plain(each.type) for each in field.type)
    return _is_plain(field.type.value_type if _is_list(field.type) else field.type)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow.types as are

    return bool(are.is_list(kind) or are.is_large_list(kind))


def _text_in(field: pa.Field) -> list[str]:
    """Paths of the columns of text that a column is, or consists of."""
    import pyarrow.types as are

    inner = list(field.type) if are.is_struct(field.type) else []
    names = [field.name] if _is_text(field.type) else []
    if _is_list(field.type) and _is_text(field.type.value_type):
        names = [f"{field.name}.list.{field.type.value_field.name}"]
    return names + [f"{field.name}.{each.name}" for each in inner if _is_text(each.type)]


def _require_sane(path: Path, size: int, declared: pq.FileMetaData, n_columns: int) -> None:
    groups = [declared.row_group(i) for i in range(declared.num_row_groups)]
    rows = max(declared.num_rows, sum(abs(group.num_rows) for group in groups))
    limit = max(_LEAST_CELLS, _CELLS * size)
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    lists = sum(abs(each.num_values) for each in chunks if "." in each.path_in_schema)
    if not 0 <= declared.num_rows <= rows * max(1, n_columns) + lists <= limit:
        raise CorpusError(
            f"{path} has {size:,} bytes and declares {declared.num_rows:,} rows of {n_columns} "
            f"columns: expected at most {limit:,} cells, {_CELLS} for each byte; split the file if "
            "it is sound"
        )
    _require_few(path, size, sum(abs(each.total_uncompressed_size) for each in chunks), "bytes")


def _require_few(path: Path, size: int, found: int, what: str) -> None:
    limit = max(_LEAST_BYTES, _BYTES * size)
    if found > limit:
        raise CorpusError(
            f"{path} has {size:,} bytes and unpacks to {found:,} {what}: expected at most "
            f"{limit:,}, {_BYTES} for each byte; split the file if it is sound"
        )


def _decoded(chunk: pa.Array) -> int:
    """Bytes of the text in an array if every cell had its own."""
    import pyarrow.compute as pc
    import pyarrow.types as are

    if are.is_struct(chunk.type):
        return sum(_decoded(chunk.field(i)) for i in range(chunk.type.num_fields))
    if _is_list(chunk.type):
        return _decoded(chunk.flatten())
    if not are.is_dictionary(chunk.type):
        return 0
    lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
    return int(pc.sum(lengths.cast("int64")).as_py() or 0)


def _cells(column: pa.ChunkedArray) -> list[object]:
    """Cells as Python objects; equal text in a chunk is one object."""
    import pyarrow.types as are

    if not are.is_dictionary(column.type):
        return list(column.to_pylist())
    cells: list[object] = []
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        cells += [None if i is None else words[i] for i in chunk.indices.to_pylist()]
    return cells
