"""What to hold experts at: ``python -m experiments.held_values.run NAME=FOLDER …``.

Every model is clamped to a few languages at statistics of maxima and of means, beside random
neurons of the same layers. Resumable: what was measured lies in the work folder, a file a state.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import mechsteer as ms
from experiments.held_values.tables import write_results
from experiments.new_embedding_spaces.fit import flores
from mechsteer.analysis import by_pair, retrieval
from mechsteer.analysis.statistics import bootstrap_difference, bootstrap_mean
from mechsteer.artifacts.files import content_hash, read_json, write_json
from mechsteer.costs import distinct, language_probability, perplexity, sample
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.interventions import Edit
from mechsteer.recording import record
from mechsteer.steering import steer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """What the numbers depend on beside the model: the first sentences of FLORES."""

    languages: tuple[str, ...] = ("eng_Latn", "fra_Latn", "deu_Latn", "rus_Cyrl", "jpn_Jpan")
    targets: tuple[str, ...] = ("fra_Latn", "jpn_Jpan")
    ks: tuple[float, ...] = (0.01, 0.002)
    values: tuple[tuple[str, str], ...] = (("median", "max"), ("median", "mean"), ("p90", "mean"))
    controls: int = 2  # of the values; at the first k, one draw of neurons
    scored: int = 40
    tested: int = 24
    predicted: int = 6
    generations: int = 16
    new_tokens: int = 24
    top_p: float = 0.9


@dataclass(frozen=True)
class State:
    """One way to run a model; nothing moved where there is no target."""

    target: str = ""
    k: float = 0.0
    value_of: str = ""
    pooling: str = ""
    random: bool = False


def states(settings: Settings) -> Iterator[State]:
    """No edit, then the clamps with the controls of the first k beside."""
    yield State()
    for k in settings.ks:
        for target in settings.targets:
            for number, held in enumerate(settings.values):
                yield State(target, k, *held)
                if k == settings.ks[0] and number < settings.controls:
                    yield State(target, k, *held, random=True)


class Bench:
    """A model, what is fitted on dev, and what is measured on devtest."""

    def __init__(self, folder: str, settings: Settings) -> None:
        self.settings = settings
        self.model = ms.load_model(folder, device="cpu")
        self.test = flores("devtest", settings.languages, settings.tested)
        dev = flores("dev", settings.languages, settings.scored)
        self.recording = record(self.model, dev, pooling=("max", "mean"), embeddings=True)
        self.scores = score_recording(self.recording, pooling="max")
        found = self.recording.embeddings_by_language()
        top1 = [_top1(found, row).mean() for row in range(len(self.recording.embeddings))]
        self.best = int(torch.tensor(top1).argmax())

    @cached_property
    def writes(self) -> bool:
        """Whether it predicts the next token; an encoder does not."""
        try:
            self.model.require_causal()
        except MechsteerError:
            return False
        return True

    def edit(self, state: State) -> Edit | None:
        """The clamp of a state."""
        if not state.target:
            return None
        experts = self.scores.top(state.target, state.k)
        if state.random:
            experts = ms.experts.random_like(self.scores, experts, seed=0)
        return ms.clamp(experts, self.recording, value=state.value_of, pooling=state.pooling)  # type: ignore[arg-type]

    def rows(self, state: State) -> Iterator[tuple[str, Tensor]]:
        """Every metric of a state with its values: of each sentence and pair, or of each text."""
        edit = self.edit(state)
        with nullcontext() if edit is None else steer(self.model, edit):
            embeddings = ms.embed(self.model, self.test, progress=False)
            last = len(next(iter(embeddings.values()))) - 1
            for place, row in (("best", self.best), ("last block", last - 1), ("final norm", last)):
                yield f"top1, {place}", _top1(embeddings, row)
            if self.writes:
                yield from self._text(state)

    def _text(self, state: State) -> Iterator[tuple[str, Tensor]]:
        settings = self.settings
        for language in [state.target] if state.target else settings.targets:
            texts = self.test.sentences[language][: settings.predicted]
            found = perplexity(self.model, texts, progress=False)
            yield f"bits per byte, {language}", torch.tensor([[found.bits_per_byte]])
        written = sample(
            self.model,
            settings.generations,
            max_new_tokens=settings.new_tokens,
            top_p=settings.top_p,
        )
        for language in [state.target] if state.target else settings.targets:
            known = language_probability(written.texts, language) > 0.5
            yield f"written in {language}", known.double()[:, None]
        several = [tokens for tokens in written.tokens if len(tokens) > 2]
        words = torch.tensor([distinct([tokens], n=2) for tokens in several], dtype=torch.float64)
        yield "distinct pairs of tokens", words[:, None]


def _top1(embeddings: dict[str, Tensor], row: int) -> Tensor:
    at = {language: x[row] for language, x in embeddings.items()}
    return by_pair(retrieval(at).top1).double()


def measured(bench: Bench, state: State, base: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Each metric with its 95 % interval, and the paired change from no edit where it pairs."""
    rows: list[dict[str, Any]] = []
    for metric, values in bench.rows(state):
        row: dict[str, Any] = {"metric": metric, "n": len(values), "value": float(values.mean())}
        if len(values) > 1:
            found = bootstrap_mean(values)
            row |= {"ci_low": found.mean_low, "ci_high": found.mean_high}
        if metric.startswith("top1"):
            if not state.target:
                base[metric] = values
            change = bootstrap_difference(values, base[metric])
            row |= {
                "change": change.mean,
                "change_low": change.mean_low,
                "change_high": change.mean_high,
            }
        rows.append(row | {"values": values.tolist() if not state.target else None})
    return rows


def run(
    name: str, folder: str, settings: Settings, work: Path, *, kept_only: bool = False
) -> list[dict[str, Any]]:
    """All states of a model, those in the work folder read back; or these alone."""
    bench: Bench | None = None
    base: dict[str, Tensor] = {}
    rows: list[dict[str, Any]] = []
    for state in states(settings):
        key = content_hash([name, asdict(settings), asdict(state), ms.__version__])
        path = work / f"{name}-{key[:16]}.json"
        if not path.is_file():
            if kept_only:
                continue
            bench = bench or Bench(folder, settings)
            found = measured(bench, state, base)
            write_json(path, {"best": bench.best, "rows": found})
            print(name, state, {row["metric"]: round(row["value"], 3) for row in found}, flush=True)
        kept = read_json(path)
        if not state.target:
            base = {row["metric"]: torch.tensor(row["values"]).double() for row in kept["rows"]}
        head = {"model": name, "best_row": kept["best"]} | asdict(state)
        rows += [head | {k: v for k, v in row.items() if k != "values"} for row in kept["rows"]]
    return rows


def main() -> None:
    """Run what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--work", type=Path, default=Path("runs/held_values"))
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="one language, few sentences")
    parser.add_argument("--kept", action="store_true", help="tables of what is measured already")
    options = parser.parse_args()
    quick = Settings(targets=("fra_Latn",), ks=(0.01,), scored=12, tested=8, generations=4)
    settings = quick if options.quick else Settings()
    rows: list[dict[str, Any]] = []
    for model in options.models:
        name, _, folder = model.partition("=")
        rows += run(name, folder or name, settings, options.work, kept_only=options.kept)
    write_results(pd.DataFrame(rows), options.output)


if __name__ == "__main__":
    main()
