"""Do experts tell a language or its script? ``python -m experiments.script_control.run``.

Resumable: what a model has read lies in the work folder, results are written anew each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import mechsteer as ms
from experiments.script_control.figure import draw
from mechsteer.corpus import ParallelCorpus
from mechsteer.experts import NeuronScores, script_overlap, survival
from mechsteer.experts.score import score_recording

HERE = Path(__file__).parent
LANGUAGES = (
    *("deu_Latn", "fra_Latn", "spa_Latn", "rus_Cyrl", "ukr_Cyrl", "hin_Deva", "jpn_Jpan"),
    *("arb_Arab", "arb_Latn", "zho_Hans", "zho_Hant"),  # two languages in two scripts each
)
TARGETS = ("fra_Latn", "deu_Latn", "rus_Cyrl", "hin_Deva", "arb_Arab", "jpn_Jpan")
SENTENCES = 60
K = 0.01  # of all neurons
BATCH_TOKENS = 1024


def main() -> None:
    """Measure one model and write its tables, and the figure of all that were measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder or a name")
    parser.add_argument("--name", required=True, help="what the results call it")
    parser.add_argument("--data", type=Path, required=True, help="the folder flores200")
    parser.add_argument("--work", type=Path, default=Path("script-control"))
    asked = parser.parse_args()
    for name, table in measured(asked.model, asked.data, asked.work / asked.name).items():
        file = HERE / "results" / f"{name}.csv"
        kept = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=["model"])
        kept = kept[kept["model"] != asked.name]
        table.insert(0, "model", asked.name)
        whole = pd.concat([frame for frame in (kept, table) if len(frame)]).sort_values(
            "model", kind="stable"
        )
        whole.to_csv(file, index=False, float_format="%.4f", lineterminator="\n")
    draw(pd.read_csv(HERE / "results" / "survival.csv"), HERE / "results" / "figure.svg")


def measured(source: str, data: Path, work: Path) -> dict[str, pd.DataFrame]:
    """The tables of one model: AP among all and one script, survival, two scripts."""
    model = ms.load_model(source, device="cpu")
    dev, other = (
        ParallelCorpus.from_dir(data, languages=LANGUAGES, split=split).head(SENTENCES)
        for split in ("dev", "devtest")
    )
    reading = ms.recording.Reading(batch_tokens=BATCH_TOKENS)
    recording = ms.record(model, dev, reading=reading, directory=work / "recording")
    scores = score_recording(recording)
    found = survival(
        model,
        dev,
        recording,
        scores,
        TARGETS,
        others={"other sentences": other.sentences},
        reading=reading,
        directory=work / "copies",
        k=K,
    )
    return {
        "same_script": same_script(scores),
        "survival": found.table,
        "two_scripts": script_overlap(scores, K),
    }


def same_script(scores: NeuronScores) -> pd.DataFrame:
    """Medians over the k experts of each target, told from all languages and from one script.

    A target that is alone in its script has no numbers there.
    """
    rows = []
    for target in TARGETS:
        own = scores.top(target, K)
        row = {"language": target, "k": len(own), "chance": scores.prevalence(target)}
        row |= {"ap": float(own.ap.median()), "perfect": int((own.ap == 1).sum())}
        if own.script_ap is not None:
            among = scores.top(target, K, within="script")
            row |= {
                "script_chance": scores.prevalence(target, within="script"),
                "script_ap": float(own.script_ap.median()),
                "script_perfect": int((own.script_ap == 1).sum()),
                "same_experts": len(set(own.index.tolist()) & set(among.index.tolist())),
            }
        rows.append(row)
    table = pd.DataFrame(rows)
    counts = [name for name in ("script_perfect", "same_experts") if name in table]
    return table.astype(dict.fromkeys(counts, "Int64"))


if __name__ == "__main__":
    main()
