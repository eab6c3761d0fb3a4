"""Compare all methods at matched cost: ``python -m experiments.method_comparison.run``.

Each method is turned up as far as the bits per byte of dev text allow, then measured on test text.
Resumable: what was measured lies in the work folder, one file a method and target.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import mechsteer as ms
from experiments.method_comparison.methods import METHODS, Fitted, Method, controls
from experiments.method_comparison.tables import write_results
from mechsteer.analysis import by_pair, centre, language_means, retrieval
from mechsteer.analysis.statistics import bootstrap_difference, bootstrap_mean
from mechsteer.artifacts.files import content_hash, read_json, write_json
from mechsteer.corpus import ParallelCorpus
from mechsteer.costs import language_probability, perplexity, sample
from mechsteer.experts.score import score_recording
from mechsteer.interventions import Edit
from mechsteer.progress import progress
from mechsteer.recording import record
from mechsteer.steering import embed_steered, steer

HERE = Path(__file__).parent
COSTS = (0.02, 0.05, 0.10)
GRID = (0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.6, 1.0, 1.7, 2.8, 4.0)
READING = {"progress": False}
WRITES_FROM = "eng_Latn"  # the language of a generated row, for edits that ask


@dataclass(frozen=True)
class Settings:
    """What the numbers depend on beside the model and the text."""

    targets: tuple[str, ...] = ("fra_Latn", "jpn_Jpan")
    k: int = 100
    layer: int = 3
    sentences: int = 64
    predicted: int = 4
    generations: int = 24
    new_tokens: int = 16


class Bench:
    """The model with what is fitted on dev, and the two measures: cost on dev, effect on test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.model = ms.load_model(device="cpu")
        dev = ParallelCorpus.embedded("dev")
        recording = record(self.model, dev, pooling=("max", "mean"), embeddings=True)
        embeddings = recording.embeddings_by_language()
        scores = score_recording(recording, pooling="max")
        self.fitted = Fitted(self.model, scores, recording, embeddings, settings.k, settings.layer)
        rows = range(len(next(iter(embeddings.values()))))
        top1 = [by_pair(retrieval(_at(embeddings, row)).top1).float().mean() for row in rows]
        self.best = int(torch.stack(top1).argmax())
        self.dev = dev.head(settings.predicted)
        self.test = ParallelCorpus.embedded("test").head(settings.sentences)
        self.base_bits = self.bits_per_byte()
        self.base = self.hits()

    def bits_per_byte(self, *edits: Edit) -> float:
        """Of the dev sentences of all languages together, each language told to the edit."""
        bits, n_bytes = 0.0, 0
        for language in self.dev.languages:
            with steer(self.model, *edits, languages=language):
                found = perplexity(self.model, self.dev.sentences[language], progress=False)
            size = int(found.n_bytes.sum())
            bits, n_bytes = bits + found.bits_per_byte * size, n_bytes + size
        return bits / n_bytes

    def hits(self, *edits: Edit) -> dict[str, Tensor]:
        """Top-1 and MEXA hits by sentence and ordered pair: best layer and final norm."""
        return self.judged(embed_steered(self.model, self.test, *edits, **READING))

    def judged(self, embeddings: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same from embeddings."""
        found = {}
        for place, row in (("best layer", self.best), ("final norm", -1)):
            pairs = retrieval(_at(embeddings, row))
            found[f"top1, {place}"] = by_pair(pairs.top1)
            found[f"MEXA, {place}"] = by_pair(pairs.mexa)
        return found

    def centred(self) -> dict[str, Tensor]:
        """Test embeddings with the dev means taken away: no edit, no cost."""
        means = language_means(self.fitted.embeddings)
        return self.judged(centre(embed_steered(self.model, self.test, **READING), means))

    def language(self, target: str, *edits: Edit) -> Tensor:
        """Probability of the target language of every generation."""
        with steer(self.model, *edits, languages=WRITES_FROM):
            written = sample(
                self.model,
                self.settings.generations,
                seed=0,
                max_new_tokens=self.settings.new_tokens,
            )
        return language_probability(written.texts, target)


def _at(embeddings: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    return {language: x[row] for language, x in embeddings.items()}


def strengths(bench: Bench, edit: Edit, most: float) -> dict[float, float]:
    """Rise of the bits per byte at each strength, until it passes the largest cost."""
    rises: dict[float, float] = {}
    for strength in (s for s in GRID if s <= most):
        rises[strength] = bench.bits_per_byte(edit.scaled(strength)) / bench.base_bits - 1
        if rises[strength] > COSTS[-1]:
            break
    return rises


def allowed(rises: dict[float, float], cost: float) -> float:
    """The largest strength below the first one that costs too much; 0 if there is none."""
    best = 0.0
    for strength in sorted(rises):
        if rises[strength] > cost:
            break
        best = strength
    return best


def compare(bench: Bench, method: Method, target: str) -> list[dict[str, Any]]:
    """Rows of one method and target: one a cost and metric."""
    edit = method.make(bench.fitted, target)
    rises = strengths(bench, edit, method.most)
    rows: list[dict[str, Any]] = []
    known: dict[float, list[dict[str, Any]]] = {}
    for cost in COSTS:
        strength = allowed(rises, cost)
        if strength not in known:
            edits = (edit.scaled(strength),) if strength else ()
            known[strength] = [
                *observed(bench.hits(*edits), bench.base),
                _row("language probability", bench.language(target, *edits)),
            ]
        head = {"method": method.name, "target": target, "cost": cost, "strength": strength}
        head["bits_per_byte_rise"] = rises.get(strength, 0.0)
        rows += [head | row for row in known[strength]]
    return rows


def observed(hits: dict[str, Tensor], base: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """Mean over pairs with its interval, and the paired change from no edit with its own."""
    for metric, found in hits.items():
        mean, change = bootstrap_mean(found), bootstrap_difference(found, base[metric])
        yield {
            "metric": metric,
            "value": mean.mean,
            "ci_low": mean.mean_low,
            "ci_high": mean.mean_high,
            "change": change.mean,
            "change_low": change.mean_low,
            "change_high": change.mean_high,
            "n": len(found),
        }


def _row(metric: str, values: Tensor) -> dict[str, Any]:
    found = bootstrap_mean(values[:, None])
    interval = {"ci_low": found.mean_low, "ci_high": found.mean_high, "n": len(values)}
    return {"metric": metric, "value": found.mean} | interval


def plain(bench: Bench, target: str) -> list[dict[str, Any]]:
    """The model as it is, and its embeddings centred after the fact."""
    head = {"target": target, "cost": 0.0, "strength": 0.0, "bits_per_byte_rise": 0.0}
    rows = [{"method": "no edit"} | head | row for row in observed(bench.base, bench.base)]
    spoken = _row("language probability", bench.language(target))
    rows.append({"method": "no edit"} | head | spoken)
    after = observed(bench.centred(), bench.base)
    return rows + [{"method": "centring after the model"} | head | row for row in after]


def main() -> None:
    """Run what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--work", type=Path, default=Path("runs/method_comparison"))
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="two methods, few sentences")
    options = parser.parse_args()
    quick = Settings(targets=("fra_Latn",), sentences=24, predicted=2, generations=4, new_tokens=8)
    settings = quick if options.quick else Settings()
    bench = Bench(settings)
    methods = METHODS[:2] if options.quick else (*METHODS, *controls())
    jobs = [(target, method) for target in settings.targets for method in (None, *methods)]
    rows: list[dict[str, Any]] = []
    for target, method in progress(jobs, "comparing", "method"):
        name = method.name if method else "no edit"
        key = content_hash([asdict(settings), GRID, COSTS, ms.__version__])
        path = options.work / f"{target} {name}.json"
        if not path.exists() or read_json(path)["key"] != key:
            found = compare(bench, method, target) if method else plain(bench, target)
            write_json(path, {"key": key, "rows": found})
        rows += read_json(path)["rows"]
    write_results(pd.DataFrame(rows), options.output, best_layer=bench.best)


if __name__ == "__main__":
    main()
