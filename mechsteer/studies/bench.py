"""What a study runs: the edit a state names, and a model measured in that state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import content_hash, read_json, write_json
from mechsteer.artifacts.runs import versions
from mechsteer.experts.controls import random_like
from mechsteer.experts.scores import Criterion, Experts, NeuronScores
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.edits import fingerprint
from mechsteer.model.interface import Model
from mechsteer.recording import Reading, embed
from mechsteer.steering import embed_steered, steer
from mechsteer.studies.plane import Plane
from mechsteer.studies.states import Measures, State, measure

if TYPE_CHECKING:
    from mechsteer.corpus import ParallelCorpus

BASE = State()
CENTRING = State("centring")
RANDOM = "random"


@dataclass(frozen=True)
class ByTarget:
    """An edit that a target language decides, without experts: of the residual stream, say.

    ``ms.studies.ByTarget(lambda target: ms.diffmean(model, dev, target=target, layers=3))``
    """

    make: Callable[[str], Edit]


EditMaker: TypeAlias = Callable[[Experts], Edit]
Studied: TypeAlias = EditMaker | ByTarget | Edit


class Maker:
    """Turns the name of a state into its edit, from the scores of the dev corpus."""

    def __init__(self, scores: NeuronScores, edits: Mapping[str, Studied], by: Criterion) -> None:
        self.scores = scores
        self.edits = edits
        self._by = by

    def options(
        self, targets: Sequence[str], ks: Sequence[float], strengths: Sequence[float]
    ) -> Iterator[State]:
        """Every state to try: experts at each k and strength, the others at each strength.

        A finished edit belongs to the one target there is, or to none of several.
        """
        for name, studied in self.edits.items():
            finished = isinstance(studied, Edit) and len(targets) > 1
            counts = [self.scores.resolve_k(k) for k in ks] if _takes_experts(studied) else [0]
            for target, k, strength in product([""] if finished else targets, counts, strengths):
                yield State(name, target, k, strength)

    def experts(self, state: State) -> Experts:
        """The neurons a state moves: its language's best, or random ones in their layers."""
        experts = self.scores.top(state.language, state.k, by=self._by)
        return experts if state.seed < 0 else random_like(self.scores, experts, seed=state.seed)

    def table(self, state: State) -> pd.DataFrame:
        """The experts of a state with the value they are held at and the chance level of AP."""
        edit, prevalence = self.edit(state), self.scores.prevalence(state.language)
        value = edit.b.numpy() if isinstance(edit, NeuronEdit) else float("nan")
        return self.experts(state).table().assign(value=value, prevalence=prevalence)

    def control(self, state: State, seed: int) -> State:
        """The same edit on random neurons; named after the edit where there are several."""
        name = RANDOM if len(self.edits) == 1 else f"{RANDOM} {state.edit}"
        return replace(state, edit=name, seed=seed)

    def edit(self, state: State) -> Edit:
        """The edit of a state, at its strength."""
        name = state.edit.removeprefix(RANDOM).strip() or next(iter(self.edits))
        studied = self.edits[name]
        if isinstance(studied, Edit):
            made: Edit = studied
        elif isinstance(studied, ByTarget):
            made = studied.make(state.language)
        else:
            made = studied(self.experts(state))
        return made.scaled(state.strength)


def _takes_experts(studied: Studied) -> bool:
    return not isinstance(studied, ByTarget | Edit)


@dataclass(frozen=True)
class Bench:
    """A model and the parallel text it is measured on; a folder remembers what was measured."""

    model: Model
    corpus: ParallelCorpus
    maker: Maker
    reading: Reading
    folder: Path | None
    plane: Plane | None = None

    def embeddings(self, state: State = BASE) -> dict[str, Tensor]:
        """Embed the corpus with the model in a state."""
        reading: dict[str, Any] = {"progress": False, "reading": self.reading}
        if state == BASE:
            return embed(self.model, self.corpus, **reading)
        edit = self.maker.edit(state)
        if isinstance(edit, ResidualEdit) and edit.languages:  # a batch must be in one language
            return embed_steered(self.model, self.corpus, edit, **reading)
        with steer(self.model, edit):
            return embed(self.model, self.corpus, **reading)

    def measured(
        self, state: State, how: Callable[[], LayerEmbeddings], *, probed: Collection[int] = ()
    ) -> Measures:
        """Measure a state, or read it back if just this was measured before."""
        if self.folder is None:
            return measure(how(), self.plane, probed=probed)
        path = self.folder / f"{state.label}.safetensors"
        key = self._key(state, sorted(probed))
        known = Measures.load(path, key)
        if known is None:
            known = measure(how(), self.plane, probed=probed)
            known.save(path, key)
        return known

    def bits_per_byte(self, state: State, language: str, texts: Sequence[str]) -> float:
        """How well the model in a state predicts some texts, measured once like everything else."""
        from mechsteer.costs import perplexity

        name = f"{state.label} {language} bits per byte.json"
        key = content_hash([self._key(state), *texts])
        if self.folder is not None and (path := self.folder / name).exists():
            known = read_json(path)
            if known.get("key") == key:
                return float(known["bits_per_byte"])
        edits = () if state == BASE else (self.maker.edit(state),)
        with steer(self.model, *edits, languages=language):
            prefix = self.reading.prefix
            found = perplexity(self.model, texts, prefix=prefix, progress=False).bits_per_byte
        if self.folder is not None:
            write_json(self.folder / name, {"key": key, "bits_per_byte": found})
        return found

    def _key(self, state: State, probed: Sequence[int] = ()) -> str:
        """Hash of all that determines the numbers of a state."""
        facts: dict[str, Any] = {"corpus": self.corpus.fingerprint, "versions": versions()}
        facts |= asdict(self.reading)
        facts["state"] = asdict(state)
        facts["plane"] = self.plane.fingerprint if self.plane else None
        facts["probed"] = list(probed)
        facts["model"] = asdict(self.maker.scores.model) if self.maker.scores.model else None
        if state not in (BASE, CENTRING):
            facts["edit"] = fingerprint(self.maker.edit(state))
        return content_hash(facts)


class Album(Mapping[State, Measures]):
    """What was measured on a bench, by state, in the order it was.

    Where the bench has a folder a state is read from it each time it is looked at, so that memory
    holds one state however many there are.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._read: dict[State, Callable[[], Measures]] = {}

    def add(
        self,
        state: State,
        how: Callable[[], LayerEmbeddings] | None = None,
        *,
        probed: Collection[int] = (),
    ) -> None:
        """Measure a state, by embedding the corpus in it unless told how."""
        how = how or partial(self._bench.embeddings, state)
        again = partial(self._bench.measured, state, how, probed=probed)
        found = again()
        self._read[state] = again if self._bench.folder else lambda: found

    def __getitem__(self, state: State) -> Measures:
        return self._read[state]()

    def __iter__(self) -> Iterator[State]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
