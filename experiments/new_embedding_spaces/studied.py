"""The two studies: the paper's clamp with its choices and controls, and what else might do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import mechsteer as ms
from experiments.new_embedding_spaces.fit import Fitted
from mechsteer.experts import NeuronScores
from mechsteer.interventions import Edit
from mechsteer.studies.bench import ByTarget, Studied
from mechsteer.studies.protocol import Study, study
from mechsteer.studies.states import State

PLAIN = "clamp"


def main_study(fitted: Fitted) -> Study:
    """The clamp at every k and λ on dev, at the chosen ones on test, beside all controls."""
    settings = fitted.settings
    step = max(1, fitted.dev.n_sentences // settings.predicted)
    return study(
        fitted.model,
        dev=fitted.dev,
        test=fitted.test,
        targets=settings.targets,
        edits={PLAIN: partial(ms.clamp, value=settings.value)},
        ks=settings.ks,
        strengths=settings.strengths,
        by=settings.by,  # type: ignore[arg-type]
        seeds=range(settings.seeds),
        reading=settings.reading,
        scored=fitted.scored,
        text=fitted.dev.rows(range(0, fitted.dev.n_sentences, step)),
        tune=settings.tune,
        choose_at="last",
        only_chosen=True,
        quality=True,
        directory=fitted.work / "clamp",
    )


def other_studies(fitted: Fitted, chosen: Sequence[State], layer: int) -> list[Study]:
    """What differs from the clamp in one thing, at its k and λ; and DiffMean at a λ of its own."""
    settings, dose = fitted.settings, chosen[0]
    by_target = partial(study, fitted.model, dev=fitted.dev, test=fitted.test)
    common = {
        "targets": settings.targets,
        "reading": settings.reading,
        "scored": fitted.scored,
        "seeds": (),
        "tune": settings.tune,
        "choose_at": "last",
        "only_chosen": True,
        "directory": fitted.work / "others",
    }
    edits: dict[str, Studied] = {
        name: ByTarget(make) for name, make in _variants(fitted, dose.k).items()
    }
    direction = ByTarget(
        lambda target: ms.diffmean(fitted.model, fitted.embeddings, target=target, layers=layer)
    )
    return [
        by_target(edits=edits, strengths=(dose.strength,), **common),
        by_target(edits={"DiffMean": direction}, strengths=settings.directions, **common),
    ]


def _variants(fitted: Fitted, k: int) -> dict[str, partial[Edit]]:
    settings, main = fitted.settings, fitted.main_scores
    criterion = "ap" if settings.by == "auroc" else "auroc"
    site = "post" if settings.site == "linear" else "linear"
    value = "median" if settings.value == "mean" else "mean"
    shown = {"ap": "average precision", "auroc": "AUROC"}[criterion]
    clamped = partial(_clamped, k=k)
    return {
        f"clamp by {shown}": partial(clamped, main, by=criterion, value=settings.value),
        f"clamp at {site}": partial(
            clamped, fitted.scores(site), by=settings.by, value=settings.value
        ),
        f"clamp to the {value}": partial(clamped, main, by=settings.by, value=value),
    }


def _clamped(scores: NeuronScores, target: str, *, k: int, by: str, value: str) -> Edit:
    return ms.clamp(scores.top(target, k, by=by), value=value)  # type: ignore[arg-type]
