"""What explains models of one's own, and languages one by one.

    python -m experiments.linguistic_similarity.own

From ``measured/`` (which ``measure`` writes) and the published matrices: distances by layer, by
retrieval and by gain; characteristics of single languages by layer; rankings of source languages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.linguistic_similarity import own_figures
from experiments.linguistic_similarity.explained import explained
from experiments.linguistic_similarity.layers import of_model, predictors
from experiments.linguistic_similarity.measure import EMBEDDED, MEASURED, UNSEEN
from experiments.linguistic_similarity.run import PERMUTATIONS, RESULTS
from experiments.linguistic_similarity.singles import of_published, of_responses, of_study
from mechsteer.crosslingual.similarities.usable import usable
from mechsteer.pairwise import rank_sources
from mechsteer.typology import read_layers
from mechsteer.typology.folder import typology_folder

SUBSETS: dict[str, dict[str, Sequence[str] | None]] = {
    "embedded": {"all": None, "trained": EMBEDDED, "untrained": UNSEEN},
    "gemma3-270m": {"all": None},
}
Matrices = dict[str, np.ndarray]


def matrices(table: pd.DataFrame, languages: Sequence[str]) -> Matrices:
    """Each column of pairs as a matrix of some languages; NaN where no value is."""
    cells = table.set_index(["source", "target"])
    return {
        str(name): cells[name]
        .unstack()
        .reindex(index=list(languages), columns=list(languages))
        .to_numpy()
        for name in cells.columns
    }


def named(table: pd.DataFrame) -> pd.DataFrame:
    """``response`` parted in state, metric and place."""
    parts = table["response"].str.split("; ", expand=True)
    parts.columns = pd.Index(["state", "metric", "place"])
    return pd.concat([parts, table.drop(columns="response")], axis=1)


def by_pair(data: Path, permutations: int) -> Iterator[pd.DataFrame]:
    """Retrieval and its gains of every ordered pair, by all distances at once."""
    for model, subsets in SUBSETS.items():
        table = pd.read_csv(MEASURED / f"{model}.pairs.csv")
        for subset, chosen in subsets.items():
            languages = tuple(chosen or dict.fromkeys(table["source"]))
            known = predictors(languages, data)
            if model == "embedded" and chosen is None:
                trained = np.isin(languages, EMBEDDED).astype(float)
                known["trained"] = trained[:, None] + trained
            varied = {n: m for n, m in matrices(table, languages).items() if _varies(m)}
            kept, _ = usable(next(iter(varied.values())), known)
            found = named(explained(varied, kept, languages, permutations=permutations))
            yield found.assign(model=model, languages=subset)


def by_layer(data: Path, permutations: int) -> Iterator[pd.DataFrame]:
    """Cosines of every layer, as for the published matrices."""
    for model, subsets in SUBSETS.items():
        for subset, chosen in subsets.items():
            name = model if subset == "all" else f"{model}, {subset}"
            folder = MEASURED / f"{model}_flores200"
            yield of_model(folder, data, permutations=permutations, only=chosen, name=name)[0]


def by_language(data: Path, permutations: int) -> Iterator[pd.DataFrame]:
    """Characteristics of single languages: published and measured layers, retrieval, gains."""
    published = data / "published"
    for folder in sorted(p for p in (published / "mplm_sim").iterdir() if p.is_dir()):
        yield of_published(read_layers(folder), None, data=data, permutations=permutations)
    yield of_study(published / "xlanalysis5k", permutations)
    for model in SUBSETS:
        known = pd.read_csv(MEASURED / f"{model}.languages.csv")
        held = read_layers(MEASURED / f"{model}_flores200")
        yield of_published(held, known, data=data, permutations=permutations)
        varied = matrices(pd.read_csv(MEASURED / f"{model}.pairs.csv"), held.languages)
        yield of_responses(
            model, varied, held.languages, known, data=data, permutations=permutations
        )


def by_source(data: Path) -> Iterator[pd.DataFrame]:
    """Rankings of sources for the transfer of topics, before and after edits."""
    table = pd.read_csv(MEASURED / "embedded.transfer.csv")
    retrieval = matrices(pd.read_csv(MEASURED / "embedded.pairs.csv"), EMBEDDED)
    near = predictors(EMBEDDED, data)
    for name, gains in matrices(table, EMBEDDED).items():
        place = name.split("; ")[2]
        own = {
            f"{m} of translations": retrieval[f"none; {m}; {place}"]
            for m in ("retrieval_top1", "mexa")
        }
        kept, _ = usable(gains, near)
        found = rank_sources(gains, nearer=kept, higher=own, languages=EMBEDDED)
        yield named(found.table().assign(response=name)).assign(model="embedded")


def _varies(matrix: np.ndarray) -> bool:
    return len(np.unique(matrix[np.isfinite(matrix)])) > 1


def main() -> None:
    """Write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder that holds typology/")
    parser.add_argument("--permutations", type=int, default=PERMUTATIONS)
    parser.add_argument("--only", nargs="*", help="some of the tables")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    folder, n = typology_folder(asked.data), asked.permutations
    asked.out.mkdir(parents=True, exist_ok=True)
    tables = {
        "own_layers": by_layer(folder, n),
        "own_pairs": by_pair(folder, n),
        "characteristics": by_language(folder, n),
        "sources": by_source(folder),
    }
    for name in asked.only or tables:
        table = pd.concat(list(tables[name]), ignore_index=True)
        path = asked.out / f"{name}.csv"
        table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")
        own_figures.draw(name, table, path.with_suffix(".svg"))
        print(path)


if __name__ == "__main__":
    main()
