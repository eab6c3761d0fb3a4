"""From a condition to its edit: which neurons, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import pandas as pd

from mechsteer.errors import MechsteerError
from mechsteer.experts.controls import random_like
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.interventions import Edit, NeuronEdit
from mechsteer.options.ranking import DEFAULT_RANKING, Ranking
from mechsteer.studies.conditions import Condition


@dataclass(frozen=True)
class ByTarget:
    """An edit that a target language decides, without experts: of the residual stream, say.

    ``ms.studies.ByTarget(lambda target: ms.diffmean(model, dev, target=target, layers=3))``
    """

    make: Callable[[str], Edit]


MakeEdit: TypeAlias = Callable[[Experts], Edit]
Studied: TypeAlias = MakeEdit | ByTarget | Edit


class EditFactory:
    """Turns a condition into its edit, from the scores of the dev corpus.

    Args:
        scores: of every neuron.
        edits: what is studied, by name; any name but an empty one.
        ranking: what ranks experts, and whom it tells their language from.

    Raises:
        MechsteerError: no edit, or one without a name.
    """

    def __init__(
        self,
        scores: NeuronScores,
        edits: Mapping[str, Studied],
        ranking: Ranking = DEFAULT_RANKING,
    ) -> None:
        if not edits or not all(edits):
            raise MechsteerError(f"expected one named edit or more, got {list(edits)}")
        self.scores = scores
        self.edits = dict(edits)
        self._ranking = ranking

    def conditions(
        self, targets: Sequence[str], ks: Sequence[int | float], strengths: Sequence[int | float]
    ) -> Iterator[Condition]:
        """Every condition to try: experts at each k and strength, the others at each strength.

        A finished edit belongs to the one target there is, or to none of several. Equal ones, of
        ks that are the same number of neurons, come once.
        """
        whose = list(targets) if len(targets) == 1 else [None]
        counts = list(dict.fromkeys(self.scores.resolve_k(k) for k in ks))
        for name, studied in self.edits.items():
            of = whose if isinstance(studied, Edit) else targets
            of_k = counts if takes_experts(studied) else [None]
            if takes_experts(studied):
                for target in targets:  # refused before anything is measured
                    self.scores.among(target, self._ranking.within)
            for target, k, strength in product(of, of_k, dict.fromkeys(strengths)):
                yield Condition("edit", name, target, k, strength)

    def control(self, condition: Condition, seed: int) -> Condition:
        """The same edit, on random neurons."""
        return replace(condition, kind="random", seed=seed)

    def experts(self, condition: Condition) -> Experts:
        """The neurons a condition moves: its language's best, or random ones in their layers.

        Raises:
            MechsteerError: a condition without experts.
        """
        language, k = condition.language, condition.k
        if language is None or k is None:
            raise MechsteerError(f"the condition {condition.label} has no experts")
        how = self._ranking
        experts = self.scores.top(language, k, by=how.by, within=how.within)
        if condition.seed is None:
            return experts
        return random_like(self.scores, experts, seed=condition.seed)

    def table(self, condition: Condition) -> pd.DataFrame:
        """The experts of a condition, the value they are held at and the chance levels of AP.

        ``script_ap`` and its chance level ``script_prevalence`` are among languages of one script;
        they are not there where the language is the only one of its script.
        """
        edit, experts = self.edit(condition), self.experts(condition)
        value = edit.b.numpy() if isinstance(edit, NeuronEdit) else float("nan")
        prevalence = self.scores.prevalence(experts.language)
        table = experts.table().assign(value=value, prevalence=prevalence)
        if experts.script_ap is None:
            return table
        chance = self.scores.prevalence(experts.language, within="script")
        return table.assign(script_prevalence=chance)

    def edit(self, condition: Condition) -> Edit:
        """The edit of a condition, at its strength.

        Raises:
            MechsteerError: a condition without an edit.
        """
        if condition.edit is None or condition.strength is None:
            raise MechsteerError(f"the condition {condition.label} has no edit")
        studied = self.edits[condition.edit]
        if isinstance(studied, Edit):
            made: Edit = studied
        elif isinstance(studied, ByTarget):
            made = studied.make(str(condition.language))
        else:
            made = studied(self.experts(condition))
        return made.scaled(condition.strength)


def takes_experts(studied: Studied) -> bool:
    """Whether an edit is made from experts, so that it has a k and a random control."""
    return not isinstance(studied, ByTarget | Edit)
