"""Whether bfloat16 tells the story of float32: ``python -m experiments.real_models.precision``.

Gemma 3 270M is studied twice, whole: scored, its experts chosen and clamped, and measured beside
random neurons, once in each precision and on the same sentences of FLORES-200. Resumable: what was
measured lies in the work folder.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch

import mechsteer as ms
from experiments.new_embedding_spaces.fit import flores
from experiments.real_models.fetch import fetch
from mechsteer.studies.findings import Study
from mechsteer.studies.options import ScoreOptions
from mechsteer.studies.results import Arm, series
from mechsteer.studies.run import score_for_study

HERE = Path(__file__).parent
PRECISIONS = ("float32", "bfloat16")
LANGUAGES = (
    *("eng_Latn", "fra_Latn", "deu_Latn", "spa_Latn"),
    *("rus_Cyrl", "jpn_Jpan", "hin_Deva", "tur_Latn"),
)
TARGETS = ("fra_Latn", "jpn_Jpan")
N_DEV, N_TEST, K, SEED = 40, 50, 0.01, 0
ARMS = {
    "none": Arm("base"),
    "clamp": Arm("edit", "clamp"),
    "random": Arm("random", "clamp"),
    "centring": Arm("centring"),
}


def studied(precision: str, folder: Path, work: Path) -> tuple[Study, dict[str, set[int]]]:
    """The study in one precision, and its experts of each target."""
    model = ms.load_model(folder, device="cpu", dtype=getattr(torch, precision))
    dev, test = flores("dev", LANGUAGES, N_DEV), flores("devtest", LANGUAGES, N_TEST)
    scored = score_for_study(model, dev, ScoreOptions(), directory=work / "recording")
    study = ms.study(
        model, dev=dev, test=test, scored=scored, directory=work,
        edits={"clamp": partial(ms.clamp, pooling="max")},  # at maxima, as the paper does
        targets=TARGETS, ks=[K], seeds=[SEED],
    )  # fmt: skip
    experts = {code: set(scored.scores.top(code, K).index.tolist()) for code in TARGETS}
    return study, experts


def told(study: Study, places: dict[str, int]) -> pd.DataFrame:
    """Values at each place with their intervals, and changes from no edit with paired ones."""
    rows = []
    for name, arm in ARMS.items():
        for target in TARGETS if arm.edit else TARGETS[:1]:
            for metric in ("retrieval_top1", "distance_pairs"):
                lines = {"value": metric}
                if name != "none" and metric == "retrieval_top1":
                    lines["change"] = f"{metric}.delta"
                for what, read in lines.items():
                    line = series(study.results, arm, language=target, metric=read)
                    at = line.set_index("layer")
                    for place, row in places.items():
                        cell = at.loc[row]
                        rows.append(
                            {
                                "state": name,
                                "target": target if arm.edit else "",
                                "metric": metric,
                                "what": what,
                                "place": place,
                                "value": cell["value"],
                                "low": cell["low"],
                                "high": cell["high"],
                            }
                        )
    return pd.DataFrame(rows)


def compared(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Both precisions side by side; whether each value lies in the other's interval."""
    keys = ["state", "target", "metric", "what", "place"]
    one, other = (found[name].set_index(keys).add_suffix(f"_{name}") for name in PRECISIONS)
    table = one.join(other)
    for name, rival in (PRECISIONS, PRECISIONS[::-1]):
        inside = table[f"value_{name}"].between(table[f"low_{rival}"], table[f"high_{rival}"])
        table[f"{name}_inside"] = inside.where(table[f"low_{rival}"].notna())
    return table.reset_index()


def main() -> None:
    """Study in both precisions, then write ``results/precision.csv``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("models"))
    parser.add_argument("--work", type=Path, default=Path("runs/precision"))
    options = parser.parse_args()
    folder = fetch("gemma", options.output)
    studies = {name: studied(name, folder, options.work / name) for name in PRECISIONS}
    # read both at the rows that float32 names: a best layer that moved would show as a difference
    places = {str(place): row for place, row in studies["float32"][0].places.items()}
    table = compared({name: told(study, places) for name, (study, _) in studies.items()})
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    table.to_csv(results / "precision.csv", index=False, float_format="%.4g")
    print(table.to_string())
    for code in TARGETS:
        one, other = (studies[name][1][code] for name in PRECISIONS)
        print(f"{code}: {len(one & other)} of {len(one)} experts are the same")
    print({name: study.best_layer for name, (study, _) in studies.items()})


if __name__ == "__main__":
    main()
