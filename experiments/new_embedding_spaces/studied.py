"""The studies: the paper's clamp with its choices and controls, and what else might do."""

from __future__ import annotations

from functools import partial
from typing import Any

import mechsteer as ms
from experiments.new_embedding_spaces.fit import Fitted
from mechsteer.corpus import ParallelCorpus
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit
from mechsteer.options.ranking import Ranking
from mechsteer.studies import ByTarget, Study, study
from mechsteer.studies.conditions import Condition
from mechsteer.studies.edit_factory import EditFactory, Studied

PLAIN = "clamp"


def clamps(fitted: Fitted) -> EditFactory:
    """The paper's edit of a condition, and the same edit of random neurons."""
    settings = fitted.settings
    held = partial(ms.clamp, value=settings.value, pooling=settings.value_pooling)  # type: ignore[arg-type]
    edits = {PLAIN: held}
    return EditFactory(fitted.main_scores, edits, Ranking(by=settings.by))  # type: ignore[arg-type]


def main_study(fitted: Fitted) -> Study:
    """The clamp at every k and λ on dev, at the chosen ones on test, beside all controls."""
    settings = fitted.settings
    return study(
        fitted.model,
        **_common(fitted),
        edits=clamps(fitted).edits,
        ks=settings.ks,
        strengths=settings.strengths,
        grow=settings.grow,
        by=settings.by,  # type: ignore[arg-type]
        seeds=range(settings.seeds),
        text=_predicted(fitted),
        quality=True,
        directory=fitted.work / "clamp",
    )


def _predicted(fitted: Fitted) -> ParallelCorpus | None:
    """Some of dev, from all of its documents, for bits per byte; encoders predict no text."""
    n, wanted = fitted.dev.n_sentences, fitted.settings.predicted
    return fitted.dev.rows(range(0, n, max(1, n // wanted))) if wanted else None


def variants(fitted: Fitted, dose: Condition) -> Study:
    """What differs from the clamp in one thing, at the k and λ chosen for the clamp."""
    return study(
        fitted.model,
        **_common(fitted),
        edits=_variants(fitted, dose.k),
        strengths=[dose.strength],
        seeds=(),
        directory=fitted.work / "others",
    )


def direction(fitted: Fitted, layer: int) -> Study:
    """DiffMean after one layer, at the λ chosen for it: no neurons, one vector."""
    towards = partial(ms.diffmean, fitted.model, fitted.embeddings, layers=layer)
    return study(
        fitted.model,
        **_common(fitted),
        edits={"DiffMean": ByTarget(lambda target: towards(target=target))},
        strengths=fitted.settings.directions,
        seeds=(),
        directory=fitted.work / "others",
    )


def _common(fitted: Fitted) -> dict[str, Any]:
    """The paper reads the final norm, so k and λ are chosen there unless a configuration says."""
    settings = fitted.settings
    return {
        "dev": fitted.dev,
        "test": fitted.test,
        "targets": settings.targets,
        "reading": settings.reading,
        "scored": fitted.scored,
        "tune": settings.tune,
        "choose_at": settings.choose_at,
        "only_chosen": True,
    }


def _variants(fitted: Fitted, k: int) -> dict[str, Studied]:
    """The main clamp with one thing changed, for each that the settings name."""
    settings, main = fitted.settings, fitted.main_scores
    usual = {"by": settings.by, "value": settings.value, "pooling": settings.value_pooling}
    criterion = "ap" if settings.by == "auroc" else "auroc"
    site = "post" if settings.site == "linear" else "linear"
    value = "median" if settings.value == "mean" else "mean"
    pooling = "mean" if settings.value_pooling == "max" else "max"
    shown = {"ap": "average precision", "auroc": "AUROC"}[criterion]
    found: dict[str, Studied] = {}
    for changed in settings.beside:
        name, scores, change = {
            "criterion": (f"clamp by {shown}", main, {"by": criterion}),
            "site": (f"clamp at {site}", main, {}),
            "value": (f"clamp to the {value}", main, {"value": value}),
            "pooling": (f"clamp at {pooling} activations", main, {"pooling": pooling}),
        }[changed]
        scores = fitted.scores(site) if changed == "site" else scores
        found[name] = ByTarget(partial(_clamped, scores, k=k, **(usual | change)))
    return found


def _clamped(
    scores: NeuronScores, target: str, *, k: int, by: str, value: str, pooling: str
) -> Edit:
    experts = scores.top(target, k, by=by)  # type: ignore[arg-type]
    return ms.clamp(experts, value=value, pooling=pooling)  # type: ignore[arg-type]
