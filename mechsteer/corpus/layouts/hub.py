"""Datasets of the Hugging Face hub, read as the tables they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mechsteer.corpus.formats.table import Table
from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.layouts.choice import asked
from mechsteer.corpus.layouts.tables import texts
from mechsteer.errors import CorpusError


def read_huggingface(
    name: str,
    *,
    languages: Sequence[str] | str | None,
    split: str | None,
    config: str | None,
    revision: str | None,
) -> dict[str, Text]:
    """Text of a dataset of the Hugging Face hub, or of its cache when ``HF_HUB_OFFLINE`` is set.

    Raises:
        CorpusError: ``datasets`` is missing, the dataset cannot be loaded (offline, unknown,
            gated) or has several splits and none was named.
    """
    codes = asked(languages)
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(f"{name} needs the datasets package: pip install datasets") from error
    try:
        data = datasets.load_dataset(name, config, split=split, revision=revision)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CorpusError(f"cannot load {name} from Hugging Face: {reason}") from error
    if isinstance(data, Mapping):
        if len(data) != 1:
            raise CorpusError(f"{name} has several splits: choose one of {', '.join(data)}")
        (data,) = data.values()
    columns = {column: list(data[column]) for column in data.column_names}
    return texts(Table(name, columns, range(1, len(data) + 1)), codes)
