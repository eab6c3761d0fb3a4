"""What a run of the protocol depends on, read from one YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from mechsteer.artifacts.described import value
from mechsteer.errors import MechsteerError, shown
from mechsteer.options.rules import K, Rule, finite, one_of, whole, word
from mechsteer.recording import Reading
from mechsteer.studies.places import Place

HERE = Path(__file__).parent
CONFIGS = HERE / "configs"
DATA = Path(os.environ.get("MECHSTEER_DATA", HERE.parents[2] / "shared" / "data"))
_POOLING, _STRENGTH = one_of("max", "mean", "last"), finite("a finite strength")
# what values, or each of several, can be; of text and lists that there is some
_RULES: Mapping[str, Rule] = {
    "ks": K,
    "strengths": _STRENGTH,
    "directions": _STRENGTH,
    "by": one_of("ap", "auroc"),
    "value": one_of("mean", "median"),
    "beside": one_of("criterion", "site", "value", "pooling"),
    "dtype": one_of("float32", "bfloat16", "float16"),
    **dict.fromkeys(("pooling", "value_pooling"), _POOLING),
    **dict.fromkeys(("languages", "targets", "negatives"), word("the code of a language")),
    **dict.fromkeys(("model", "site"), word("a name")),
    **dict.fromkeys(("scored", "tune", "tested"), whole(2)),
    **dict.fromkeys(("seeds", "pairs", "new_tokens", "batch_tokens"), whole(1)),
    **dict.fromkeys(("predicted", "generations"), whole(0)),
}
_SOME = ("languages", "targets", "ks", "strengths", "directions")


@dataclass(frozen=True)
class Settings:
    """One model under the protocol.

    Attributes:
        name: of the results folder.
        model: a published name, a folder, or ``embedded``.
        published: the paper's model whose numbers stand beside ours, or none.
        device: of the model; where there is a GPU it by default.
        dtype: of the model; float32 on a CPU and the checkpoint's own elsewhere by default.
        languages: evaluated; those of the paper's 22 that the model knows.
        targets: whose experts are found and moved.
        negatives: languages that only count as negatives of the scores.
        site: where neurons are read and moved; the paper's lineage takes every linear module.
        pooling: of activations over a sentence.
        by: criterion of the experts.
        value: what experts are held at: the mean, say, over the target's sentences,
        value_pooling: of activations pooled in this way; the paper's are maxima, as it scored them.
        beside: what differs, one thing each, in the clamps that the main one is compared with:
            ``criterion`` of the experts, ``site``, ``value`` (mean or median), ``pooling`` of it.
        ks: experts moved, as shares of all neurons.
        strengths: λ of the clamp.
        directions: λ tried for DiffMean.
        scored: sentences of dev that experts are found on; all by default.
        tune: sentences of dev on which k, λ and the layer are chosen.
        choose_at: row at which k and λ are; the paper reads the final norm.
        tested: sentences of devtest; all by default.
        seeds: random controls of each target.
        pairs: sentences of each Tatoeba pair.
        predicted: dev sentences whose bits per byte are measured; none by an encoder (0).
        generations: texts written from nothing under each dose; none by an encoder (0).
        new_tokens: of each of them.
        grow: whether the grids of k and λ grow while their best stands at an edge.
        batch_tokens: tokens of a batch.
        prefix: read before every sentence by a model that was trained with one, never counted.
    """

    name: str
    model: str
    languages: tuple[str, ...]
    targets: tuple[str, ...]
    negatives: tuple[str, ...]
    ks: tuple[float, ...]
    strengths: tuple[float, ...] = (0.5, 1.0)
    directions: tuple[float, ...] = (0.5, 1.0, 2.0)
    published: str | None = None
    device: str | None = None
    dtype: str | None = None
    site: str = "linear"
    pooling: str = "max"
    by: str = "auroc"
    value: str = "mean"
    value_pooling: str = "max"
    beside: tuple[str, ...] = ("criterion", "site", "value")
    scored: int | None = None
    tune: int = 200
    choose_at: Place = "final_norm"
    tested: int | None = None
    seeds: int = 5
    pairs: int = 1000
    predicted: int = 100
    generations: int = 512
    new_tokens: int = 40
    grow: bool = False
    batch_tokens: int = 4096
    prefix: str = ""

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read a configuration.

        Raises:
            MechsteerError: no mapping of settings, a key that is unknown or missing, or a value
                that it cannot have.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise MechsteerError(f"{path}: {str(error).splitlines()[0]}") from None
        if not isinstance(content, dict):
            raise MechsteerError(f"{path}: expected settings, key: value, got {content!r:.60}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, content.keys() - known)):
            raise MechsteerError(f"{path}: unknown {', '.join(unknown)}; known: {sorted(known)}")
        hints = get_type_hints(cls)
        given = {k: value(hints[k], v, f"{path}: {k}") for k, v in content.items()}
        _require_possible(given, path)
        try:
            return cls(name=path.stem, **given)
        except TypeError as error:
            raise MechsteerError(f"{path}: {error}") from None

    def quick(self) -> Settings:
        """The same road in minutes: few languages, sentences, doses and seeds."""
        return replace(
            self,
            name=f"{self.name}-quick",
            languages=_first(self.languages, self.targets[:2], 3),
            targets=self.targets[:2],
            ks=(self.ks[0], self.ks[-1]),
            strengths=(1.0,),
            directions=(1.0,),
            scored=64,
            tune=32,
            tested=48,
            seeds=2,
            pairs=64,
            predicted=8,
            generations=16,
            new_tokens=16,
        )

    @property
    def poolings(self) -> tuple[str, tuple[str, ...]]:
        """What is scored, and what experts can be held at beside: means too, in one pass."""
        return self.pooling, (self.value_pooling, "mean")

    @property
    def reading(self) -> Reading:
        """How sentences are read, the same everywhere."""
        return Reading(batch_tokens=self.batch_tokens, prefix=self.prefix)

    @property
    def all_languages(self) -> tuple[str, ...]:
        """Evaluated, scored or negative, each once."""
        return tuple(dict.fromkeys((*self.languages, *self.targets, *self.negatives)))

    def facts(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def config_path(config: str) -> Path:
    """The file of a configuration: one of ours by its name, any other by its path.

    Raises:
        MechsteerError: neither is there.
    """
    ours, given = CONFIGS / f"{config}.yaml", Path(config)
    if ours.is_file():
        return ours
    if given.is_file():
        return given
    names = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
    raise MechsteerError(f"no configuration {config!r}: expected a YAML file, or one of {names}")


def _require_possible(given: Mapping[str, Any], path: Path) -> None:
    """Refuse values that a setting cannot have; the types are right already."""
    for name, found in given.items():
        rule = _RULES.get(name)
        for one in found if isinstance(found, tuple) else (found,):
            if rule and one is not None and not rule.holds(one):
                raise MechsteerError(f"{path}: {name}: expected {rule.expected}, got {shown(one)}")
    if empty := [name for name in _SOME if given.get(name) == ()]:
        raise MechsteerError(f"{path}: {empty[0]}: expected at least one")


def _first(languages: Sequence[str], needed: Sequence[str], n: int) -> tuple[str, ...]:
    """The needed languages and the first others, n together, in the order of the list."""
    others = [code for code in languages if code not in needed][: n - len(needed)]
    return tuple(code for code in languages if code in (*needed, *others))
