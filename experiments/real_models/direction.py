"""Whether steering still does to Gemma 3 270M what it did: a small study, its direction asserted.

python -m experiments.real_models.direction -o models

The GGUF file gives the neurons of its dequantised checkpoint, bit for bit; ``mechsteer check``
passes; and with French and German experts held at the median of maxima, as the paper does,
translations come closer and are found more often after the last block, random neurons do neither,
and the best layer gains nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

import mechsteer as ms
from experiments.new_embedding_spaces.fit import flores
from experiments.real_models.fetch import fetch
from experiments.real_models.sources import SOURCES
from mechsteer.cli.do.check import check_command
from mechsteer.errors import MechsteerError
from mechsteer.studies.findings import Study
from mechsteer.studies.results import Arm, series

LANGUAGES = ("eng_Latn", "fra_Latn", "deu_Latn", "spa_Latn", "jpn_Jpan")
TARGETS = ("fra_Latn", "deu_Latn")
N_DEV, N_TEST, K, SEED = 40, 32, 74, 0
BASE, CLAMP, RANDOM = Arm("base"), Arm("edit", "clamp"), Arm("random", "clamp")


@dataclass(frozen=True)
class Seen:
    """What the study of one target found, base and steered: shares and cosine distances.

    Attributes:
        target: steered to.
        distance: mean distance of translations after the last block.
        last: top-1 after the last block, over all pairs.
        best: top-1 at the layer that is best without an edit.
    """

    target: str
    distance: dict[Arm, float]
    last: dict[Arm, float]
    best: dict[Arm, float]

    def faults(self) -> Iterator[str]:
        """What is not as it was on all 22 languages, in words."""
        d, last, best = self.distance, self.last, self.best
        if not d[CLAMP] < 0.9 * d[BASE]:
            yield f"translations' distance went from {d[BASE]:.3f} to {d[CLAMP]:.3f}"
        if not last[CLAMP] > last[BASE] + 0.03:
            yield f"top-1 after the last block went from {last[BASE]:.3f} to {last[CLAMP]:.3f}"
        if not last[RANDOM] < (last[BASE] + last[CLAMP]) / 2:
            yield f"random neurons took it from {last[BASE]:.3f} to {last[RANDOM]:.3f}"
        if not abs(d[RANDOM] - d[BASE]) < abs(d[CLAMP] - d[BASE]) / 2:
            yield f"random neurons took the distance from {d[BASE]:.3f} to {d[RANDOM]:.3f}"
        if not best[CLAMP] <= best[BASE]:
            yield f"the best layer gained: {best[BASE]:.3f} to {best[CLAMP]:.3f}"


def small_study(model: ms.Model) -> Study:
    """Two targets among five languages, on FLORES dev and devtest."""
    dev, test = flores("dev", LANGUAGES, N_DEV), flores("devtest", LANGUAGES, N_TEST)
    edits = {"clamp": partial(ms.clamp, pooling="max")}  # at maxima, as the paper does
    return ms.study(model, dev=dev, test=test, edits=edits, targets=TARGETS, ks=[K], seeds=[SEED])


def seen(study: Study, target: str, last: int) -> Seen:
    """The numbers of one target; ``last`` is the row after the last block."""

    def at(row: int, metric: str) -> dict[Arm, float]:
        arms = (BASE, CLAMP, RANDOM)
        lines = {arm: series(study.results, arm, language=target, metric=metric) for arm in arms}
        return {arm: float(line.set_index("layer")["value"][row]) for arm, line in lines.items()}

    base = series(study.results, BASE, language=target, metric="retrieval_top1")
    best = int(base.set_index("layer")["value"].idxmax())
    return Seen(
        target, at(last, "distance_pairs"), at(last, "retrieval_top1"), at(best, "retrieval_top1")
    )


def require_equal_neurons(first: ms.Model, other: ms.Model, texts: list[str]) -> None:
    """Refuse two models that differ in any neuron of any token.

    Raises:
        MechsteerError: they do.
    """
    one, same = neurons(first, texts), neurons(other, texts)
    if not one or any(not torch.equal(one[name], same[name]) for name in one):
        raise MechsteerError("the GGUF file and its checkpoint differ in their neurons")


@torch.inference_mode()
def neurons(model: ms.Model, texts: list[str]) -> dict[str, torch.Tensor]:
    """Every neuron's activation at every token, ``[text, token, neuron]`` by hook point."""
    words = model.plain_tokenizer(texts, padding=True, return_tensors="pt")
    found: dict[str, torch.Tensor] = {}
    handles = [
        point.register_forward_hook(lambda _, __, out, name=name: found.update({name: out.clone()}))
        for name, point in model.hook_dict.items()
        if name.endswith("mlp.hook_post")
    ]
    model.run(words["input_ids"], words["attention_mask"])
    for handle in handles:
        handle.remove()
    return found


def main() -> int:
    """Run it all; 1 and the faults where the direction is another."""
    parser = argparse.ArgumentParser(description="Gemma 3 270M: is the direction what it was?")
    parser.add_argument("-o", "--output", type=Path, default=Path("models"))
    output, start = parser.parse_args().output, time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {what}", flush=True)

    try:
        folder = fetch("gemma", output)
        say(f"{SOURCES['gemma'].title} is in {folder}")
        file, model = (
            ms.load_model(path, device="cpu") for path in (output / SOURCES["gemma"].file, folder)
        )
        file.require_same(model.identity())
        require_equal_neurons(file, model, ["The cat sat on the mat.", "Le chat dort."])
        del file
        say(f"{model.identity().gguf}: file and folder are one model")
        checked = check_command(str(folder), ["post"], device="cpu")
        say(f"check: {checked.verdict}")
        study = small_study(model)
        found = [seen(study, target, int(model.cfg.n_layers)) for target in TARGETS]
    except MechsteerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    faults = [] if checked.verdict == "ok" else ["mechsteer check did not pass"]
    for each in found:
        faults += [f"{each.target}: {fault}" for fault in each.faults()]
        for name in ("distance", "last", "best"):
            values = getattr(each, name)
            say(
                f"{each.target} {name}: "
                + ", ".join(f"{a.kind} {v:.3f}" for a, v in values.items())
            )
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
