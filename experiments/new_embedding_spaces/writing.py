"""Does the model write the target language? Texts from nothing, judged by a language identifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

import mechsteer as ms
from experiments.new_embedding_spaces.elsewhere import interval
from experiments.new_embedding_spaces.fit import Fitted
from mechsteer.artifacts.files import content_hash, read_json, write_json
from mechsteer.artifacts.runs import versions
from mechsteer.costs import language_probability, sample
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import fingerprint
from mechsteer.progress import progress
from mechsteer.studies.conditions import BASE, Condition
from mechsteer.studies.edit_factory import EditFactory

TOP_P = 0.9  # section 3.3 of the paper, as is the temperature of 1


def language_written(fitted: Fitted, factory: EditFactory) -> pd.DataFrame:
    """Probability of each target, of what the model writes as it is and at each k (λ = 1).

    No rows for an encoder, which writes nothing.
    """
    settings = fitted.settings
    if not settings.generations:
        return pd.DataFrame(columns=["language", "k", "value", "ci_low", "ci_high", "n"])
    doses = list(factory.conditions(settings.targets, settings.ks, (1.0,)))
    rows: list[dict[str, Any]] = []
    for condition in progress([BASE, *doses], "writing", "condition"):
        edits = () if condition == BASE else (factory.edit(condition),)
        texts = _written(fitted, condition, edits)
        for target in [condition.language] if condition.language else settings.targets:
            rows.append(
                {"language": target, "k": condition.k or 0}
                | interval(language_probability(texts, target))
            )
    return pd.DataFrame(rows)


def _written(fitted: Fitted, condition: Condition, edits: tuple[Edit, ...]) -> list[str]:
    """The texts of a condition, kept in the work folder."""
    settings = fitted.settings
    options = {"max_new_tokens": settings.new_tokens, "top_p": TOP_P, "seed": 0}
    model = fitted.main_scores.model
    facts = [settings.generations, options, versions(), model and model.weights_hash]
    key = content_hash([*facts, *map(fingerprint, edits)])
    path = Path(fitted.work, "written", f"{condition.file_name}.json")
    if path.exists() and (known := read_json(path)).get("key") == key:
        return list(known["texts"])
    with ms.steer(fitted.model, *edits):
        texts = list(sample(fitted.model, settings.generations, **options).texts)
    write_json(path, {"key": key, "texts": texts})
    return texts
