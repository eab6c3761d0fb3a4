"""The protocol of Sundar et al. 2025, whole, on one model, beside its controls.

    python -m experiments.new_embedding_spaces.run embedded

Resumable: what was recorded and measured lies in the work folder, one file a state.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from experiments.new_embedding_spaces import figures, pages, tables
from experiments.new_embedding_spaces.baselines import compare
from experiments.new_embedding_spaces.correlations import correlations
from experiments.new_embedding_spaces.elsewhere import Elsewhere
from experiments.new_embedding_spaces.fit import Fitted
from experiments.new_embedding_spaces.settings import CONFIGS, HERE, Settings, config_path
from experiments.new_embedding_spaces.studied import (
    PLAIN,
    clamps,
    direction,
    main_study,
    variants,
)
from experiments.new_embedding_spaces.writing import language_written
from mechsteer.artifacts.files import write_json
from mechsteer.artifacts.runs import versions
from mechsteer.reporting import report, summary
from mechsteer.studies import Study
from mechsteer.studies.doses import spread
from mechsteer.studies.places import Place, spoken
from mechsteer.studies.quality import QUALITIES

PRECISION = "%.6g"


def main() -> None:
    """Run what is missing, then write the tables, the figures and the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    names = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
    parser.add_argument("config", help=f"which model: {names}, or a YAML file of your own")
    parser.add_argument("--work", type=Path, default=Path("runs/new_embedding_spaces"))
    parser.add_argument("--output", type=Path, help="default: results/CONFIG here, or in --work")
    parser.add_argument("--quick", action="store_true", help="the same road in minutes")
    options = parser.parse_args()
    path = config_path(options.config)
    settings = Settings.load(path)
    settings = settings.quick() if options.quick else settings
    work = options.work / settings.name
    ours = HERE if path.parent == CONFIGS else work
    run(Fitted(settings, work), options.output or ours / "results" / settings.name)


def run(fitted: Fitted, output: Path) -> None:
    """All stages in order; each reads back what it finds finished."""
    found = main_study(fitted)
    others = [variants(fitted, found.chosen[0]), direction(fitted, found.best_layer)]
    factory = clamps(fitted)
    written = language_written(fitted, factory)
    elsewhere = Elsewhere(fitted, found, factory)
    output.mkdir(parents=True, exist_ok=True)
    frames = {
        "written": written,
        "pairs": elsewhere.on_pairs(),
        "within": elsewhere.within_languages(),
        "baselines": compare(
            fitted.embeddings,
            fitted.test_embeddings,
            targets=fitted.settings.targets,
            layers=elsewhere.layers,
            tune=spread(fitted.dev.n_sentences, fitted.settings.tune),
        ),
    }
    write_all(fitted, found, others, frames, output)
    report(found, fitted.work / "report.html", command=f"python -m {__package__}.run")


def write_all(
    fitted: Fitted,
    found: Study,
    others: list[Study],
    frames: dict[str, pd.DataFrame],
    output: Path,
) -> None:
    """Every table as CSV, the ones to read in ``tables.md``, and the figures."""
    settings = fitted.settings
    layers = found.places
    paper = tables.paper_place(layers)
    main, *beside = (tables.labelled(study.results) for study in (found, *others))
    new = [rows[~rows["edit"].isin(main["edit"].unique())] for rows in beside]
    results = pd.concat([main, *new], ignore_index=True)
    tried = [tables.labelled(study.doses) for study in (found, others[-1])]
    n_neurons = fitted.main_scores.site.n_neurons
    frames |= {
        "layers": results[(results["source"] == "*") & (results["target"] == "*")],
        "effects": tables.effects(results, layers),
        "distances": tables.distances(results, settings.targets, layers[paper]),
        "doses": pd.concat([tried[0], tried[1].query("kind == 'edit'")]),
        "sweep": tables.sweep(tried[0], frames["written"], n_neurons, layers),
        "correlations": correlations(results, edit=PLAIN, layer=layers[paper]),
        "experts": found.experts,
        "overlap": found.overlap,
    }
    for name, frame in frames.items():
        path = output / f"{name}.csv"
        frame.to_csv(path, index=False, float_format=PRECISION, lineterminator="\n")
    (output / "tables.md").write_text(page(fitted, found, results, frames), encoding="utf-8")
    write_json(output / "settings.json", facts(fitted, found))
    figures.draw_all(results, frames["sweep"], frames["effects"], output, found.best_layer)


def page(
    fitted: Fitted, found: Study, results: pd.DataFrame, frames: dict[str, pd.DataFrame]
) -> str:
    """The Markdown of all tables under one heading each."""
    dose, layers = found.chosen[0], found.places
    paper = tables.paper_place(layers)
    experts = found.experts.groupby("language")["auroc"].mean()
    lines, _ = summary(found)
    chosen = (
        f"Chosen on dev: k = {dose.k} of {fitted.main_scores.site.n_neurons:,} neurons, "
        f"λ = {dose.strength:g} (the best top-1 at {spoken(fitted.settings.choose_at)}). Rows of "
        f"the residual stream: {_listed(layers)}. Mean AUROC of the experts "
        f"{experts.mean():.3f} (paper: 0.97 Aya, 0.99 BLOOM, 0.83 PolyLM). "
        f"{found.n_sentences} test sentences; values in per cent, changes from no edit in points "
        "with 95 % intervals over sentences, means over targets (and seeds)."
    )
    within = frames["within"]["pairs"].iloc[0]
    sections = {
        "What it says": "\n".join(f"- {line}" for line in lines),
        "Setup": chosen,
        "How many experts (dev)": pages.sweep_table(frames["sweep"], dose),
        "Distances (Table 1)": pages.distance_table(frames["distances"], paper),
        "Retrieval over all ordered pairs": pages.effect_table(frames["effects"], "all"),
        "Retrieval with the target's queries (Figure 4)": pages.effect_table(
            frames["effects"], "query"
        ),
        "Without any edit, after the model": pages.baseline_table(frames["baselines"]),
        "Against English on other text (Table 7)": pages.english_table(frames["pairs"]),
        f"Within a language, {within} (Tables 3, 5, 6)": pages.within_table(frames["within"]),
        "Distance and retrieval (Table 2)": pages.correlation_table(frames["correlations"]),
        "The space": pages.quality_table(results, layers, QUALITIES),
    }
    parts = [f"## {title}\n\n{body}\n" for title, body in sections.items()]
    return "\n".join([f"# {fitted.settings.name}\n", *parts])


def _listed(layers: Mapping[Place, int]) -> str:
    return ", ".join(f"{place.replace('_', ' ')} {row}" for place, row in layers.items())


def facts(fitted: Fitted, found: Study) -> dict[str, Any]:
    """What the numbers were made with."""
    return {
        "settings": fitted.settings.facts(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "provenance": dict(found.provenance),
        "chosen": [vars(state) for state in found.chosen],
        "places": found.places,
    }


if __name__ == "__main__":
    main()
