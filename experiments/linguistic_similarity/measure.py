"""A model of one's own, measured: ``python -m experiments.linguistic_similarity.measure embedded``.

Reads the first sentences of FLORES-200 and writes what ``own`` explains: the mean cosine of
translations at every layer (in mPLM-Sim's layout), retrieval of every ordered pair with its gain
under a clamp, what the tokenizer makes of each language, and for the embedded model the transfer of
topics. Gemma's pairs are those of
``new_embedding_spaces``, whose work folder is named with ``--protocol``. Resumable.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import mechsteer as ms
from experiments.new_embedding_spaces.fit import flores
from mechsteer.cli.do.models import open_model
from mechsteer.corpus import ParallelCorpus, Task
from mechsteer.studies.options import ScoreOptions
from mechsteer.studies.run import score_for_study
from mechsteer.typology import fertility

MEASURED = Path(__file__).parent / "measured"
EMBEDDED = (
    "arb_Arab", "deu_Latn", "ell_Grek", "eng_Latn", "fin_Latn", "fra_Latn", "jpn_Jpan", "kor_Hang",
    "rus_Cyrl", "spa_Latn", "vie_Latn", "zho_Hans",
)  # fmt: skip
UNSEEN = (
    "bul_Cyrl", "ces_Latn", "heb_Hebr", "hin_Deva", "hun_Latn", "ind_Latn", "ita_Latn", "nld_Latn",
    "pol_Latn", "por_Latn", "ron_Latn", "swe_Latn", "swh_Latn", "tha_Thai", "tur_Latn", "ukr_Cyrl",
)  # fmt: skip
GEMMA = (
    "ces_Latn", "deu_Latn", "ell_Grek", "eng_Latn", "fra_Latn", "heb_Hebr", "hin_Deva", "ind_Latn",
    "ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn", "ron_Latn",
    "rus_Cyrl", "spa_Latn", "tha_Thai", "tur_Latn", "ukr_Cyrl", "vie_Latn",
)  # fmt: skip
METRICS = ("retrieval_top1", "mexa")
PLACES = ("best_layer", "last_block")
Pairs = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Settings:
    """What the numbers of a model depend on."""

    languages: tuple[str, ...]
    trained: tuple[str, ...]  # known to have been; of Gemma, which was trained on the web, nothing
    tested: int
    scored: int = 100
    targets: tuple[str, ...] = ("eng_Latn", "rus_Cyrl")
    k: float = 0.01
    longest: int | None = None  # tokens of a sentence in any language


MODELS = {
    "embedded": Settings((*EMBEDDED, *UNSEEN), EMBEDDED, tested=100, longest=256),
    "gemma3-270m": Settings(GEMMA, (), tested=50),
}


def short(split: str, settings: Settings, model: Any, n: int) -> ParallelCorpus:
    """The first sentences of FLORES that are no longer than ``longest`` tokens in any language."""
    corpus = flores(split, settings.languages)
    if settings.longest is None:
        return corpus.head(n)
    tokenize = model.plain_tokenizer.tokenize
    fits = (
        row
        for row, told in enumerate(zip(*corpus.sentences.values(), strict=True))
        if max(len(tokenize(sentence)) for sentence in told) < settings.longest
    )
    return corpus.rows(list(islice(fits, n)))


def cosines(embeddings: Mapping[str, Tensor]) -> np.ndarray:
    """Mean cosine of translations: [layer, language, language]."""
    unit = torch.stack([torch.nn.functional.normalize(x, dim=-1) for x in embeddings.values()])
    means: np.ndarray = torch.einsum("alsd,blsd->lab", unit, unit).numpy() / unit.shape[2]
    return means


def write_layers(folder: Path, languages: tuple[str, ...], values: np.ndarray) -> None:
    """One table a layer, as ``read_layers`` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for layer, matrix in enumerate(values):
        np.fill_diagonal(own := matrix.astype(float), np.nan)
        table = pd.DataFrame(own, languages, languages)
        path = folder / f"sents_layer{layer}.tsv"
        table.to_csv(path, sep="\t", float_format="%.5f", lineterminator="\n")


def pairs(results: pd.DataFrame, places: Mapping[int, str], metrics: Sequence[str]) -> pd.DataFrame:
    """One row an ordered pair: each metric without an edit, and its gains, at some rows."""
    rows = results[(results["source"] != "*") & (results["target"] != "*")]
    rows = rows[(rows["source"] != rows["target"]) & rows["layer"].isin(places)]
    base, gain = rows["kind"] == "base", rows["kind"].isin(["centring", "edit"])
    gains = [f"{metric}.delta" for metric in metrics]
    rows = rows[(base & rows["metric"].isin(metrics)) | (gain & rows["metric"].isin(gains))]
    told = (rows["edit"] + " " + rows["language"]).where(rows["kind"] == "edit", rows["kind"])
    state = told.replace("base", "none")
    column = state + "; " + rows["metric"] + "; " + rows["layer"].map(dict(places))
    wide = rows.assign(column=column).pivot_table(
        index=["source", "target"], columns="column", values="value", aggfunc="mean", sort=False
    )
    return wide.rename_axis(columns=None).reset_index()


def studied(model: Any, settings: Settings, test: ParallelCorpus, work: Path) -> Pairs:
    """Pairs under a clamp to each target and to none; and transfer between trained languages."""
    dev = short("dev", settings, model, settings.scored)
    recording = work / "study" / "recording"
    scored = score_for_study(model, dev, ScoreOptions(), directory=recording)
    edits = {"clamp": partial(ms.clamp, value="mean")}
    found = ms.study(
        model, dev=dev, test=test, scored=scored, edits=edits, targets=settings.targets,
        ks=[settings.k], seeds=(), directory=work / "study",
    )  # fmt: skip
    rows = {row: place for place, row in found.places.items() if place in PLACES}
    probed = ms.transfer(
        model, Task.embedded("dev"), test=Task.embedded("test"), scores=scored.scores, edits=edits,
        targets=settings.targets, k=settings.k, seeds=(), layers=sorted(rows),
        directory=work / "transfer",
    )  # fmt: skip
    return {
        "pairs": pairs(found.results, rows, METRICS),
        "transfer": pairs(probed.results, rows, ["accuracy"]),
    }


def of_protocol(folder: Path) -> Pairs:
    """Pairs that ``new_embedding_spaces`` measured, at the rows that it chose."""
    results = pd.read_parquet(folder / "report.results.parquet")
    single = results[(results["source"] != "*") & results["metric"].eq("retrieval_top1")]
    best, last, _ = sorted(set(single[single["target"] != "*"]["layer"]))
    return {"pairs": pairs(results, {best: PLACES[0], last: PLACES[1]}, METRICS)}


def measure(name: str, folder: str, work: Path, protocol: Path | None) -> None:
    """Write ``measured/NAME_flores200/`` and ``NAME.KIND.csv``: pairs, languages, transfer."""
    settings, model = MODELS[name], open_model(folder)
    test = short("devtest", settings, model, settings.tested)
    found = ms.record(model, test, layers=(), embeddings=True, directory=work / "embeddings")
    values = cosines(found.embeddings_by_language())
    write_layers(MEASURED / f"{name}_flores200", test.languages, values)
    tables = of_protocol(protocol) if protocol else studied(model, settings, test, work)
    for kind, table in tables.items():
        table.to_csv(MEASURED / f"{name}.{kind}.csv", index=False, float_format="%.4f")
    texts = fertility(test, model.plain_tokenizer.tokenize)[["language", "tokens_per_sentence"]]
    if settings.trained:
        texts["trained"] = texts["language"].isin(settings.trained).astype(int)
    texts.to_csv(MEASURED / f"{name}.languages.csv", index=False, float_format="%.2f")


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--model", help="its folder; the name by default")
    parser.add_argument("--work", type=Path, default=Path("build/linguistic_similarity"))
    parser.add_argument("--protocol", type=Path, help="work folder of new_embedding_spaces")
    asked = parser.parse_args()
    MEASURED.mkdir(exist_ok=True)
    measure(asked.name, asked.model or asked.name, asked.work / asked.name, asked.protocol)


if __name__ == "__main__":
    main()
