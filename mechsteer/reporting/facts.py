"""What was run, in words; and the manifest, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import langcodes

from mechsteer.plots.panels import row_name
from mechsteer.reporting.data import ReportData


def facts(data: ReportData) -> dict[str, str]:
    """What was run, in the words a reader asks for it."""
    moved = data.results[data.results["kind"].isin(["edit", "random"])]
    neurons = data.results[data.results["k"] > 0]
    seeds = sorted(set(neurons.loc[neurons["kind"] == "random", "seed"]))
    controls = [name for arm, name in data.arms.items() if arm.kind not in ("base", "edit")]
    layers = {code: data.chosen_layer[code] for code in data.steered if code in data.chosen_layer}
    same = len(set(layers.values())) == 1
    return {
        "Model": f"{name_of(data.manifest.get('model', '–'))}, {data.n_layers} layers",
        "Corpus": f"{name_of(data.manifest.get('corpus', '–'))}, "
        f"{data.n_sentences} parallel test sentences",
        "Languages": ", ".join(map(spelled, data.languages)),
        "Steered": ", ".join(data.steered),
        "Edits": ", ".join(_edit(data, edit) for edit in data.edits),
        "Controls": ", ".join(controls) or "none",
        "All k run": ", ".join(map(str, sorted(neurons["k"].unique()))) or "none",
        "Strength λ": ", ".join(f"{s:g}" for s in sorted(moved["strength"].unique())),
        "Random seeds": ", ".join(map(str, seeds)) or "none",
        "Best layer on dev": row_name(next(iter(layers.values())), data.n_layers)
        if same
        else ", ".join(
            f"{row_name(layer, data.n_layers)} for {code}" for code, layer in layers.items()
        ),
        "Layers": _convention(data.n_layers),
    }


def _edit(data: ReportData, edit: str) -> str:
    k = data.k_of(edit)
    return data.called(edit) + (f" (k = {k})" if k else "")


def _convention(n_layers: int) -> str:
    """How layers are counted on the page: one number for neurons, one for embeddings."""
    last = n_layers - 1
    return (
        f"neurons by their layer, 0 to {last}; embeddings by the layers passed, 1 to {n_layers}: "
        f"layer {last} writes into the embedding after {n_layers}"
    )


def spelled(code: str) -> str:
    """A language's English name and its code, where it has one."""
    try:
        name = langcodes.Language.get(code.replace("_", "-")).language_name()
    except langcodes.LanguageTagError:
        return code
    return f"{name.partition(' (')[0]} ({code})"


def name_of(value: Any) -> str:
    """How the manifest names a model or a corpus."""
    if isinstance(value, Mapping):
        return str(next((value[key] for key in ("name", "id", "path") if key in value), "unnamed"))
    return str(value)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of the manifest with dotted names; lists of plain values in one line."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list)) for v in value):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{name}.{i}")
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
