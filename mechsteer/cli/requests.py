"""What a person asks of a command, as records: flags, manifest and reproduction come from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mechsteer.corpus.rows import ROWS, are_rows
from mechsteer.crosslingual.transfers.options import TransferOptions
from mechsteer.options import REQUIRED, Options, option
from mechsteer.options.likeness import Explaining
from mechsteer.options.memory import SIZE, memory_option
from mechsteer.options.ranking import Probing
from mechsteer.options.rules import YES_OR_NO, Rule, one_of, whole, word
from mechsteer.studies.options import CODES, ScoreOptions, StudyOptions

CORPUS = (
    "a folder with a file per language (LANG.txt, LANG.SPLIT, SPLIT.LANG, LANG.jsonl, …), a CSV, "
    "TSV, JSON or Parquet table, a Tatoeba pair, the name of a Hugging Face dataset, or 'embedded'."
)
EDIT_NAMES = (
    "clamp[:VALUE[:POOLING]] (VALUE: median, mean, p90 or a number; the median by default), "
    "damp[:FACTOR], zero, aura or shift"
)
EDIT_FILES = "a file that `mechsteer edit` wrote, or hf://owner/name"
EDIT = f"{EDIT_NAMES}, {EDIT_FILES}."
_ROWS = Rule(ROWS, are_rows)


@dataclass(frozen=True, kw_only=True)
class ScoreRequest(ScoreOptions):
    """What ``mechsteer score`` is asked, beside the model and the folder."""

    corpus: str = option(
        REQUIRED, f"Text that is read: {CORPUS}", word("a corpus"), flag="--corpus"
    )
    split: str | None = option(
        None, "Split that is read, dev say.", word("the name of a split"), flag="--split"
    )
    languages: Sequence[str] = option(
        (), "Only these languages; all by default.", CODES, flag="--languages", many="list", least=0
    )
    label: Sequence[str] = option(
        (), "Column of labels, of a table or labelled folder: they are told apart in place of "
        "languages; several columns of 0 and 1 may overlap.",
        word("the name of a column"), flag="--label", many="list", least=0,
    )  # fmt: skip
    text: str | None = option(
        None, "Column of the sentences, where its name does not tell; with --label.",
        word("the name of a column"), flag="--text",
    )  # fmt: skip
    language_column: str | None = option(
        None, "Column of languages; with --label, which is then told apart within each.",
        word("the name of a column"), flag="--language-column",
    )  # fmt: skip
    separator: str | None = option(
        None, "What parts the labels of one cell; with --label.", word("a separator"),
        flag="--separator",
    )  # fmt: skip
    labelled: bool = option(
        False, "Text that is not parallel: scored, not studied.", YES_OR_NO, flag="--labelled"
    )
    limit: int | None = option(
        None, "Only the first N; sentences of each language.", whole(2), flag="--limit", read=int
    )
    rows: str | None = option(
        None, "Only these rows of each language, 0:500 say; one corpus makes dev and test.",
        _ROWS, flag="--rows",
    )  # fmt: skip
    device: str | None = option(None, "cpu, cuda, …", word("a device"), flag="--device")
    dtype: Literal["float32", "bfloat16", "float16"] | None = option(
        None, "Precision of the model.", one_of("float32", "bfloat16", "float16"), flag="--dtype"
    )
    parallel: Literal["states", "model"] = option(
        "states",
        "What processes divide: batches and states, each with a whole model on a device of its "
        "own; or nothing: one process spreads one model over all its devices.",
        one_of("states", "model"),
        flag="--parallel",
    )


@dataclass(frozen=True, kw_only=True)
class StudyRequest(StudyOptions):
    """What ``mechsteer study`` is asked, beside the run."""

    edits: Sequence[str] = option(
        ("clamp",),
        f"Edit; several are each tried: {EDIT}",
        word("the name of an edit, or a file"),
        flag="--edit",
        many="list",
    )
    languages: Sequence[str] = option(
        (), "Only these languages, measured and steered to; all that were scored by default.",
        CODES, flag="--languages", many="list", least=0,
    )  # fmt: skip
    test: str = option(
        REQUIRED, f"Text that is measured on; parallel: {CORPUS}", word("a corpus"), flag="--test"
    )
    split: str | None = option(
        None, "Split that is read; of --test, devtest say.", word("the name of a split"),
        flag="--split",
    )  # fmt: skip
    limit: int | None = option(
        None, "Only the first N; sentences of --test.", whole(2), flag="--limit", read=int
    )
    rows: str | None = option(
        None, "Only these rows of each language, 500:1000 say; of --test.", _ROWS, flag="--rows"
    )
    cost_corpus: str | None = option(
        None, "Text whose bits per byte show what every dose costs; a corpus, or 'dev'.",
        word("a corpus"), flag="--cost-corpus",
    )  # fmt: skip
    memory: int | str = memory_option()


@dataclass(frozen=True, kw_only=True)
class PlanRequest(ScoreRequest, StudyOptions):
    """What ``mechsteer plan`` is asked: what ``score`` and ``study`` will be, and where."""

    test: str | None = option(
        None, f"Text that is measured on; --corpus itself by default: {CORPUS}",
        word("a corpus"), flag="--test",
    )  # fmt: skip
    test_split: str | None = option(
        None, "Split that is tested on; of --test, devtest say.", word("the name of a split"),
        flag="--test-split",
    )  # fmt: skip
    test_limit: int | None = option(
        None, "Only the first N sentences of the test corpus.", whole(2),
        flag="--test-limit", read=int,
    )  # fmt: skip
    test_rows: str | None = option(
        None, "Only these rows of the test corpus, 500:1000 say.", _ROWS, flag="--test-rows"
    )
    n_edits: int = option(1, "How many edits are studied.", whole(1), flag="--n-edits", read=int)
    states: int | None = option(
        None, "How many model states are measured, instead of what a study comes to.", whole(1),
        flag="--states", read=int,
    )  # fmt: skip
    gpu: str | None = option(
        None, "Plan for this device by its published rates: H100, A100, L4, …",
        word("the name of a device"), flag="--gpu",
    )  # fmt: skip
    disk: int | str | None = option(
        None, "What may be written; what is free where -o lies by default.", SIZE, flag="--disk"
    )
    ranks: int = option(
        1, "Processes that share the work, a device each.", whole(1), flag="--ranks", read=int
    )


@dataclass(frozen=True, kw_only=True)
class CardsRequest(Options):
    """What ``mechsteer cards`` is asked, beside the run."""

    neurons: Sequence[str] = option(
        (), "Neurons LAYER:NEURON that get a card too.",
        word("a neuron as LAYER:NEURON"), flag="--neurons", many="list", least=0,
    )  # fmt: skip
    languages: Sequence[str] = option(
        (), "Only these languages, their best neurons; all that a study steered to by default.",
        CODES, flag="--languages", many="list", least=0,
    )  # fmt: skip
    top: int = option(3, "Cards of each language's best neurons.", whole(0), flag="--top", read=int)


@dataclass(frozen=True, kw_only=True)
class ProbeRequest(Probing):
    """What ``mechsteer probe`` is asked, beside the run."""

    languages: Sequence[str] = option(
        (), "Only these languages, their experts; all that were scored by default.",
        CODES, flag="--languages", many="list", least=0,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SimilarityRequest(Explaining):
    """What ``mechsteer similarity`` is asked, beside the run."""

    predictors: Sequence[str] = option(
        (), "More distances as NAME=FILE.csv, a square table or columns source, target, value.",
        word("NAME=FILE.csv"), flag="--predictors", many="list", least=0,
    )  # fmt: skip
    responses: Sequence[str] = option(
        (), "More to explain as NAME=FILE.csv.",
        word("NAME=FILE.csv"), flag="--responses", many="list", least=0,
    )  # fmt: skip
    characteristics: str | None = option(
        None, "CSV with a column language and more columns, each a characteristic of languages.",
        word("a file"), flag="--characteristics",
    )  # fmt: skip
    transfer: bool = option(
        False, "Explain what `mechsteer transfer` found in this run too.", YES_OR_NO,
        flag="--transfer",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TransferRequest(TransferOptions):
    """What ``mechsteer transfer`` is asked, beside the run."""

    labels: str = option(
        REQUIRED,
        "Labelled sentences: a folder as SIB-200 (LANG/SPLIT.tsv) or with LANG.jsonl (Belebele), a "
        "table with a column of languages (XNLI), 'embedded' (topics), or with --corpus a table "
        "with one row a sentence.",
        word("labelled sentences"),
        flag="--labels",
    )
    corpus: str | None = option(
        None, "Text that is read; parallel, --labels has a label for each row.", word("a corpus"),
        flag="--corpus",
    )  # fmt: skip
    split: str | None = option(
        None, "Split that is read; learned from, train say.", word("the name of a split"),
        flag="--split",
    )  # fmt: skip
    test_split: str | None = option(
        None, "Split that is tested on; by default some sentences are held out.",
        word("the name of a split"), flag="--test-split",
    )  # fmt: skip
    column: str | None = option(
        None, "Column of labels, where its name does not tell.", word("the name of a column"),
        flag="--label",
    )  # fmt: skip
    text: str | None = option(
        None,
        "Column of the sentences, where its name does not tell.",
        word("the name of a column"),
        flag="--text",
    )
    group: str | None = option(
        None, "Column of what sentences share, their document, say: never parted.",
        word("the name of a column"), flag="--group",
    )  # fmt: skip
    languages: Sequence[str] = option(
        (), "Only these languages, as sources and targets; those of the run by default.", CODES,
        flag="--languages", many="list", least=0,
    )  # fmt: skip
    edits: Sequence[str] = option(
        (), f"Edit; with --targets, clamp by default: {EDIT}",
        word("the name of an edit, or a file"), flag="--edit", many="list", least=0,
    )  # fmt: skip
