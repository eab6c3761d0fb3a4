"""mechsteer: which neurons carry a language, and what moving them does.

Names resolve on first use (PEP 562): ``import mechsteer`` pulls in neither torch nor
TransformerLens, whose import alone takes over five seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mechsteer import plots
    from mechsteer.corpus import LabelledCorpus, ParallelCorpus
    from mechsteer.costs import cost, perplexity
    from mechsteer.errors import MechsteerError
    from mechsteer.experts.score import score
    from mechsteer.experts.scores import Experts, NeuronScores
    from mechsteer.experts.significance import experts_by_evidence
    from mechsteer.interventions import (
        NeuronEdit,
        ResidualEdit,
        aura,
        centring,
        clamp,
        damp,
        diffmean,
        gaussian_transport,
        linear_map,
        linear_transport,
        load_edit,
        load_edits,
        recover,
        remove_subspace,
        save_edit,
        shift,
        zero,
    )
    from mechsteer.model.load import load_model
    from mechsteer.recording import embed
    from mechsteer.reporting import report
    from mechsteer.selftest import self_test
    from mechsteer.steering import steer
    from mechsteer.studies.bench import ByTarget
    from mechsteer.studies.protocol import Study, study

_HOMES = {
    "ByTarget": "studies.bench",
    "Experts": "experts.scores",
    "LabelledCorpus": "corpus",
    "MechsteerError": "errors",
    "NeuronEdit": "interventions",
    "NeuronScores": "experts.scores",
    "ParallelCorpus": "corpus",
    "ResidualEdit": "interventions",
    "Study": "studies.protocol",
    "aura": "interventions",
    "centring": "interventions",
    "clamp": "interventions",
    "cost": "costs",
    "damp": "interventions",
    "diffmean": "interventions",
    "embed": "recording",
    "experts_by_evidence": "experts.significance",
    "gaussian_transport": "interventions",
    "linear_map": "interventions",
    "linear_transport": "interventions",
    "load_edit": "interventions",
    "load_edits": "interventions",
    "load_model": "model.load",
    "perplexity": "costs",
    "recover": "interventions",
    "remove_subspace": "interventions",
    "report": "reporting",
    "save_edit": "interventions",
    "score": "experts.score",
    "self_test": "selftest",
    "shift": "interventions",
    "steer": "steering",
    "study": "studies.protocol",
    "zero": "interventions",
}

__all__ = [
    "ByTarget",
    "Experts",
    "LabelledCorpus",
    "MechsteerError",
    "NeuronEdit",
    "NeuronScores",
    "ParallelCorpus",
    "ResidualEdit",
    "Study",
    "aura",
    "centring",
    "clamp",
    "cost",
    "damp",
    "diffmean",
    "embed",
    "experts_by_evidence",
    "gaussian_transport",
    "linear_map",
    "linear_transport",
    "load_edit",
    "load_edits",
    "load_model",
    "perplexity",
    "plots",
    "recover",
    "remove_subspace",
    "report",
    "save_edit",
    "score",
    "self_test",
    "shift",
    "steer",
    "study",
    "zero",
]


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("mechsteer.plots")
    if name not in _HOMES:
        raise AttributeError(f"module 'mechsteer' has no attribute {name!r}")
    return getattr(import_module(f"mechsteer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
