"""What explains how similar languages are? ``python -m experiments.linguistic_similarity.run``.

Without arguments: the published matrices of five models and xlanalysis5k, from
``$MECHSTEER_DATA/typology/published``. With folders of other models in the layout of mPLM-Sim, only
those, into the folder that ``-o`` names.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.linguistic_similarity import figures
from experiments.linguistic_similarity.layers import of_model
from experiments.linguistic_similarity.published_distances import agreement
from experiments.linguistic_similarity.reanalysis import conclusions, reanalysis
from mechsteer.errors import MechsteerError
from mechsteer.typology import read_published_pairs
from mechsteer.typology.folder import typology_folder

RESULTS = Path(__file__).parent / "results"
PERMUTATIONS = 999


def main(arguments: Sequence[str] | None = None) -> None:
    """Write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("matrices", nargs="*", type=Path, help="folders of sents_layerN.tsv")
    parser.add_argument("--data", type=Path, help="the folder that holds typology/")
    parser.add_argument("--permutations", type=int, default=PERMUTATIONS)
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    try:
        write(asked)
    except MechsteerError as error:
        parser.error(str(error))


def write(asked: argparse.Namespace) -> None:
    """Every table and figure that was asked for."""
    folder = typology_folder(asked.data)
    published = folder / "published"
    asked.out.mkdir(parents=True, exist_ok=True)
    models = asked.matrices or sorted(p for p in (published / "mplm_sim").iterdir() if p.is_dir())
    parts = [of_model(path, folder, permutations=asked.permutations) for path in models]
    tables = {
        "layers": pd.concat([table for table, _ in parts], ignore_index=True),
        "matrices": pd.concat([read for _, read in parts], ignore_index=True),
    }
    if not asked.matrices:
        pairs = read_published_pairs(published / "xlanalysis5k")
        tables["distances"], tables["differences"] = agreement(folder, pairs)
        tables["alignment"] = reanalysis(pairs, folder, permutations=asked.permutations)
        tables["conclusions"] = conclusions(tables["alignment"])
        figures.alignment(tables["alignment"], asked.out / "alignment.svg")
    figures.layers(tables["layers"], asked.out / "layers.svg")
    for name, table in tables.items():
        path = asked.out / f"{name}.csv"
        table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")
        print(path)


if __name__ == "__main__":
    main()
