"""What the commands of the command line do, as functions over a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.files import read_json, write_json
from mechsteer.artifacts.runs import Run, versions
from mechsteer.cards import Cards, make_cards
from mechsteer.cards.make import named_subject, top_subjects
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.languages import canonical
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError
from mechsteer.experts.score import describe, load_scores, save_scores
from mechsteer.experts.scores import Criterion, Experts, NeuronScores
from mechsteer.interventions import aura, clamp, damp, load_edit, shift, zero
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.recording import Recording, record
from mechsteer.recording.reading import Reading
from mechsteer.studies.bench import EditMaker, Studied
from mechsteer.studies.files import how_to_repeat, load_study, save_study
from mechsteer.studies.protocol import Scored, Study, score_for_study, study

# what scores alone can make; percentiles and transport need the recording, and Python
EDITS: dict[str, EditMaker] = {
    "clamp": clamp,
    "clamp-mean": lambda experts: clamp(experts, value="mean"),
    "damp": damp,
    "zero": zero,
    "aura": aura,
    "shift": shift,
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
EMBEDDED = "embedded"
SCORES = "scores.safetensors"
WEIGHTS = "weights.json"  # the files of the checkpoint and their hash, which spares hashing again


def score_command(
    model: str,
    corpus: str,
    output: Path,
    *,
    split: str | None = None,
    languages: Sequence[str] = (),
    labelled: bool = False,
    limit: int | None = None,
    negative_only: Sequence[str] = (),
    site: str = "post",
    pooling: str = "max",
    batch_tokens: int = 4096,
    truncate: bool = False,
    skip_first: bool = False,
    prefix: str = "",
    device: str | None = None,
    dtype: str | None = None,
) -> NeuronScores:
    """Record and score a corpus into a run folder; an interrupted run is taken up again."""
    _require_dtype(dtype)
    text = _read(corpus, languages, split, labelled=labelled, limit=limit)
    if len(text.languages) < 2:
        raise CorpusError(
            f"expected two languages or more to tell apart, got {list(text.languages)}"
        )
    uncounted = [canonical(code) for code in negative_only]
    inputs = {
        "model": {"source": model, "device": device, "dtype": dtype},
        "corpus": {
            "source": corpus,
            "split": split,
            "languages": list(languages),
            "labelled": labelled,
            "limit": limit,
            "fingerprint": text.fingerprint,
        },
        "negative_only": uncounted,
        "site": site,
        "pooling": pooling,
        "batch_tokens": batch_tokens,
        "truncate": truncate,
        "skip_first": skip_first,
        "prefix": prefix,
        "versions": versions(),
    }
    scored = [code for code in text.languages if code not in uncounted]
    run = Run.create(output, inputs, languages=scored)
    if run.is_done("score"):
        return run_scores(run)
    return _score(run, _load(run), text).scores


def _score(run: Run, model: Model, text: LabelledCorpus) -> Scored:
    """The scoring stage: from the recording, which resumes, to a file of scores."""
    inputs = run.manifest["inputs"]
    options = {name: inputs[name] for name in ("site", "pooling", "negative_only")}
    with run.timed("score"):
        scored = score_for_study(
            model, text, directory=run.path / "recording", reading=_reading(run), **options
        )
        save_scores(scored.scores, run.path / SCORES)
    record = describe(scored.scores)
    run.finish("score", files=[SCORES], **record)
    if model.origin is not None:  # it has times in it, so no hash covers it
        write_json(run.path / WEIGHTS, model.origin.checkpoint.record())
    return scored


def select_command(
    path: Path, language: str, k: float, by: Criterion = "ap"
) -> tuple[Experts, Path]:
    """Write the k best experts of a language as ``RUN/experts/LANGUAGE.kK.BY.csv``."""
    scores = run_scores(Run.open(path))
    experts = scores.top(canonical(language), k, by=by)
    file = path / "experts" / f"{experts.language}.k{len(experts)}.{by}.csv"
    write_bytes(file, experts.table().to_csv(index=False).encode())
    return experts, file


def study_command(
    path: Path,
    test: str,
    *,
    edits: Sequence[str] = ("clamp",),
    ks: Sequence[float] = (100,),
    strengths: Sequence[float] = (1.0,),
    by: Criterion = "ap",
    split: str | None = None,
    limit: int | None = None,
    targets: Sequence[str] = (),
    seeds: int = 5,
    text: str | None = None,
    tune: int | None = None,
    choose_at: Literal["best", "last"] = "best",
    only_chosen: bool = False,
    quality: bool = False,
) -> Study:
    """Steer to each target and measure on another corpus; states already measured are kept."""
    made = _studied(edits)
    run = Run.open(path)
    run.stage("score")
    dev = _dev_corpus(run)
    held_out = _read(test, dev.languages, split, limit=limit)
    if not isinstance(dev, ParallelCorpus) or not isinstance(held_out, ParallelCorpus):
        raise CorpusError("a study needs parallel text on both sides: row i is one sentence")
    model = _load(run)
    with run.timed("study"):
        found = study(
            model,
            dev=dev,
            test=held_out,
            targets=[canonical(code) for code in targets],
            edits=made,
            ks=ks,
            strengths=strengths,
            by=by,
            seeds=range(seeds),
            reading=_reading(run),
            scored=_score(run, model, dev),
            text=_costed(text, dev),
            tune=tune,
            choose_at=choose_at,
            only_chosen=only_chosen,
            quality=quality,
            directory=path / "states",
        )
    arguments: dict[str, Any] = {
        "edits": list(edits),
        "ks": list(ks),
        "strengths": list(strengths),
        "by": by,
        "test": test,
    }
    arguments |= {"split": split, "limit": limit, "targets": list(targets), "seeds": seeds}
    arguments |= {"text": text, "tune": tune, "choose_at": choose_at}
    arguments |= {"only_chosen": only_chosen, "quality": quality}
    save_study(run, found, arguments)
    return found


def _studied(names: Sequence[str]) -> dict[str, Studied]:
    """Edits by name: those that scores alone can make, and files that ``mechsteer edit`` wrote."""
    made: dict[str, Studied] = {}
    for name in names:
        if name in EDITS:
            made[name] = EDITS[name]
        elif Path(name).suffix:
            made[Path(name).stem] = load_edit(name)
        else:
            raise MechsteerError(f"unknown edit {name!r}: expected {' or '.join(EDITS)}, or a file")
    return made


def cards_command(path: Path, neurons: Sequence[str] = (), *, top: int = 3) -> Cards:
    """Make the cards of the best neurons of each steered language, and of neurons asked for.

    Before a study all scored languages count. Kept for the report in ``RUN/cards.*.parquet``.
    """
    run = Run.open(path)
    scores = run_scores(run)
    studied = run.manifest["stages"].get("study", {}).get("chosen", [])
    languages = list(dict.fromkeys(state["language"] for state in studied)) or scores.languages
    subjects = [
        *(named_subject(scores, name) for name in neurons),
        *top_subjects(scores, languages, top),
    ]
    model, dev, recording = recorded(run)
    reading = _reading(run)
    with run.timed("cards"):
        cards = make_cards(model, dev, recording, scores, subjects, reading=reading)
    run.finish("cards", files=cards.save(path), neurons=list(neurons), top=top)
    return cards


def report_command(path: Path, output: Path | None = None) -> Path:
    """Write the page of a studied run; the same run gives the same bytes."""
    from mechsteer.reporting import report

    run = Run.open(path)
    return report(
        load_study(run),
        output or path / "report.html",
        command=how_to_repeat(run),
        manifest=run.manifest,
        cards=_cards(run),
        tables=path,
    )


def _cards(run: Run) -> Cards | None:
    if "cards" not in run.manifest["stages"]:
        return None
    run.stage("cards")
    return Cards.load(run.path)


def summary_command(path: Path) -> tuple[list[str], pd.DataFrame]:
    """The verdict of a studied run, and its effects over all pairs."""
    from mechsteer.reporting import summary

    return summary(load_study(Run.open(path)))


def _dev_corpus(run: Run) -> LabelledCorpus:
    """The corpus that was scored, read again and compared."""
    source = run.manifest["inputs"]["corpus"]
    names = ("source", "languages", "split", "labelled", "limit")
    dev = _read(**{name: source[name] for name in names})
    if dev.fingerprint != source["fingerprint"]:
        raise ArtifactError(
            f"the corpus {source['source']} has changed since {run.path} was scored: score again"
        )
    return dev


def _read(
    source: str,
    languages: Sequence[str],
    split: str | None,
    *,
    labelled: bool = False,
    limit: int | None = None,
) -> LabelledCorpus:
    if labelled:
        return LabelledCorpus.read(source, languages=languages or None, split=split)
    corpus = ParallelCorpus.read(source, languages=languages or None, split=split)
    return corpus if limit is None else corpus.head(limit)


def _costed(text: str | None, dev: LabelledCorpus) -> LabelledCorpus | None:
    """Text whose prediction every dose is charged with; ``dev`` is the scored corpus itself."""
    if text is None:
        return None
    return dev if text == "dev" else LabelledCorpus.read(text)


def _reading(run: Run) -> Reading:
    known = run.manifest["inputs"]  # runs of older versions lack newer options
    return Reading(**{f.name: known[f.name] for f in fields(Reading) if f.name in known})


def _load(run: Run) -> Model:
    source = run.manifest["inputs"]["model"]
    model = open_model(source["source"], source["device"], source["dtype"])
    if (run.path / WEIGHTS).is_file() and model.origin is not None:
        model.origin.checkpoint.recall(read_json(run.path / WEIGHTS))
    if scored := run.manifest["stages"].get("score"):
        model.require_same(ModelIdentity(**scored["model"]))
    return model


def open_model(source: str, device: str | None = None, dtype: str | None = None) -> Model:
    """Load a model as the command line names it.

    Raises:
        MechsteerError: an unknown dtype, or what ``load_model`` refuses.
    """
    _require_dtype(dtype)
    name = None if source == EMBEDDED else source
    return load_model(name, device=device, dtype=DTYPES.get(dtype or ""))


def _require_dtype(dtype: str | None) -> None:
    if dtype is not None and dtype not in DTYPES:
        raise MechsteerError(f"expected dtype {' or '.join(DTYPES)}, got {dtype!r}")


def recorded(run: Run) -> tuple[Model, LabelledCorpus, Recording]:
    """The model and the corpus of a scored run, with its recording read back.

    Raises:
        ArtifactError: the model or the corpus is not the one that was scored.
    """
    inputs, dev, model = run.manifest["inputs"], _dev_corpus(run), _load(run)
    recording = record(
        model,
        dev,
        site=inputs["site"],
        pooling=inputs["pooling"],
        embeddings=True,
        directory=run.path / "recording",
        reading=_reading(run),
    )
    return model, dev, recording


def run_scores(run: Run) -> NeuronScores:
    """The scores of a run.

    Raises:
        ArtifactError: the run was not scored, or its file was changed.
    """
    return load_scores(run.path / SCORES, run.stage("score"))
