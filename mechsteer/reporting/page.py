"""The report: one self-contained HTML file that opens from disk and needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import langcodes
import pandas as pd
from jinja2 import Environment, StrictUndefined, Template

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.reporting import experts, figures, matrices, space
from mechsteer.reporting.cards import CARDS_ON_PAGE, cards_of
from mechsteer.reporting.data import EXPERT_COLUMNS, ReportData, checked
from mechsteer.reporting.effects import effects
from mechsteer.reporting.names import brief
from mechsteer.reporting.svg import CLASSES
from mechsteer.reporting.tables import Table, table
from mechsteer.reporting.verdict import sentences
from mechsteer.studies.conditions import Arm

__all__ = ["ReportData", "render", "write_report"]

TOP_EXPERTS = 10  # rows a language on the page; the table on disk has all
SHARES = ("retrieval_top1", "mexa")
PAIRS = {"all": "all pairs", "query": "steered as query", "target": "steered as target"}


def render(data: ReportData) -> str:
    """The page as HTML text; equal data give equal bytes.

    Raises:
        ArtifactError: when a table lacks a column or is empty.
    """
    data = checked(data)
    template = _template()
    html = template.render(
        script_hash=_script_hash(template),
        svg_classes=CLASSES,
        title=f"{brief(_name(data.manifest.get('model', 'a model')))}: steering language experts",
        facts=_facts(data),
        provenance=list(_flat(data.manifest)),
        command=data.command,
        confidence=f"{data.confidence:.0%}",
        tables={name: quote(address) for name, address in data.tables.items()},
        **_findings(data),
    )
    # NUL and lone surrogates have no place in an HTML file: show that something stood there.
    return html.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def write_report(data: ReportData, path: str | Path) -> Path:
    """Render and write the page; an existing file is replaced in one step."""
    path = Path(path)
    write_bytes(path, render(data).encode())
    return path


def _findings(data: ReportData) -> dict[str, Any]:
    """Everything computed: the verdict, figures and tables, by their names in the template."""
    main = effects(data)
    measured = set(data.shown["metric"])
    return {
        "verdict": sentences(data, main),
        "effect": figures.effect_figure(data, main),
        "numbers": table(numbers(data), caption="All effects"),
        "expert_figures": _drawn(
            data, experts.experts_figure, experts.ap_figure, experts.overlap_figure
        ),
        "top_experts": _top_experts(data),
        "survival": experts.survival_table(data),
        "alone": experts.alone(data),
        "cards": cards_of(data),
        "undrawn_cards": max(len(data.cards or ()) - CARDS_ON_PAGE, 0),
        "curves": [
            figures.curves_figure(data, metric, title=title)
            for metric, title in figures.CURVES.items()
            if metric in measured
        ],
        "dose": space.dose_figure(data),
        "matrices": _drawn(data, matrices.base_figure, matrices.change_figure),
        "space": _drawn(data, space.projection_figure, space.hubness_figure),
        "distances": figures.distances_figure(data) if "distance_pairs" in measured else None,
    }


def _drawn(
    data: ReportData, *makers: Callable[[ReportData], figures.Figure | None]
) -> list[figures.Figure]:
    """The figures that there are data for."""
    return [figure for make in makers if (figure := make(data))]


def numbers(data: ReportData) -> pd.DataFrame:
    """Effects on every share in percentage points: all pairs, and those with the steered language.

    Columns metric, pairs, language, place, layer, edit, change, from, to.
    """
    parts = [
        effects(data, metric=metric, pairs=pairs).assign(metric=metric, pairs=words)
        for metric in SHARES
        if metric in set(data.shown["metric"])
        for pairs, words in PAIRS.items()
    ]
    whole = pd.concat(parts, ignore_index=True)
    ends = ["value", "low", "high"]
    whole[ends] = (100 * whole[ends].astype(float)).round(2)
    whole["edit"] = [
        data.arms[Arm(*pair)] for pair in zip(whole["kind"], whole["edit"], strict=True)
    ]
    whole["place"] = whole["place"].str.replace("_", " ")
    names = {"value": "change", "low": "from", "high": "to"}
    columns = ["metric", "pairs", "language", "place", "layer", "edit", *ends]
    return whole[columns].rename(columns=names)


def _top_experts(data: ReportData) -> Table:
    """The first experts of each language with every score they are judged by."""
    also = [n for n in ("prevalence", "script_ap", "script_prevalence") if n in data.experts]
    columns = [*EXPERT_COLUMNS, *also]
    first = data.experts[data.experts["rank"] <= data.experts["rank"].min() + TOP_EXPERTS - 1]
    names = {"ap": "AP", "auroc": "AUROC", "effect_size": "d"}
    names |= {"script_ap": "AP, same script", "script_prevalence": "prevalence, same script"}
    return table(first[columns].rename(columns=names), caption="Top experts")


def _facts(data: ReportData) -> dict[str, str]:
    """What was run, in the words a reader asks for it."""
    moved = data.results[data.results["kind"].isin(["edit", "random"])]
    neurons = data.results[data.results["k"] > 0]
    seeds = sorted(set(neurons.loc[neurons["kind"] == "random", "seed"]))
    controls = [name for arm, name in data.arms.items() if arm.kind not in ("base", "edit")]
    layers = data.chosen_layer
    same = len(set(layers.values())) == 1
    return {
        "Model": f"{_name(data.manifest.get('model', '–'))}, {data.n_layers} layers",
        "Corpus": f"{_name(data.manifest.get('corpus', '–'))}, "
        f"{data.n_sentences} parallel test sentences",
        "Languages": ", ".join(map(_spelled, data.languages)),
        "Steered": ", ".join(data.steered),
        "Edits": ", ".join(f"{data.called(edit)} (k = {data.k_of(edit)})" for edit in data.edits),
        "Controls": ", ".join(controls) or "none",
        "All k run": ", ".join(map(str, sorted(neurons["k"].unique()))),
        "Strength λ": ", ".join(f"{s:g}" for s in sorted(moved["strength"].unique())),
        "Random seeds": ", ".join(map(str, seeds)) or "none",
        "Best layer on dev": str(next(iter(layers.values())))
        if same
        else ", ".join(f"{layer} for {code}" for code, layer in layers.items()),
    }


def _spelled(code: str) -> str:
    """A language's English name and its code, where it has one."""
    try:
        name = langcodes.Language.get(code.replace("_", "-")).language_name()
    except langcodes.LanguageTagError:
        return code
    return f"{name.partition(' (')[0]} ({code})"


def _name(value: Any) -> str:
    """How the manifest names a model or a corpus."""
    if isinstance(value, Mapping):
        return str(next((value[key] for key in ("name", "id", "path") if key in value), "unnamed"))
    return str(value)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of the manifest with dotted names; lists of plain values in one line."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list)) for v in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{i}")
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(
        files("mechsteer.reporting").joinpath("template.html").read_text()
    )


def _script_hash(template: Template) -> str:
    """What the content-security policy allows to run: the page's own script, byte for byte."""
    script = "".join(template.blocks["script"](template.new_context()))
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
