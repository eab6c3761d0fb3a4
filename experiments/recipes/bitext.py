"""An MTEB bitext task on a model as it stands: inside ``ms.steer`` it evaluates the edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mteb
import numpy as np
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTaskBitextMining
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.cache import ResultCache
from mteb.models.model_meta import ModelMeta

import mechsteer as ms
from mechsteer.steering import state_of

Task = AbsTaskBitextMining


class Encoder:
    """Sentence embeddings of one layer of a TransformerBridge as MTEB wants them.

    MTEB keeps results by a model's name and revision, so both name the edits that are installed.
    """

    def __init__(self, model: Any, layer: int = -1, name: str = "mechsteer/model") -> None:
        self.model, self.layer = model, layer
        self.state = state_of(model)
        revision = f"layer{layer}-{self.state}".replace(" ", "-").replace("/", "-")
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": revision})

    def encode(self, inputs: Any, **_: Any) -> np.ndarray:
        """Embeddings ``[sentence, d_model]`` of batches of texts, float32."""
        texts = [text for batch in inputs for text in batch["text"]]
        # one label for all: an embedding does not depend on it
        corpus = ms.LabelledCorpus({"eng_Latn": texts})
        return ms.embed(self.model, corpus, progress=False)["eng_Latn"][self.layer].numpy()

    def similarity(self, left: Any, right: Any) -> Any:
        """Cosine of each row with each row."""
        return mteb.similarity_functions.cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        """Cosine of each row with its partner."""
        return mteb.similarity_functions.pairwise_cos_sim(left, right)


def local_task(corpus: ms.ParallelCorpus, pairs: list[tuple[str, str]]) -> Task:
    """A bitext task over parallel sentences of one's own; nothing is downloaded."""
    names = ["-".join(pair) for pair in pairs]
    codes = {name: [c.replace("_", "-") for c in name.split("-")] for name in names}

    class Local(AbsTaskBitextMining):
        parallel_subsets = True
        metadata = TaskMetadata(
            name="LocalBitextMining",
            dataset={"path": "local", "revision": corpus.fingerprint},
            description="Parallel sentences of a local corpus.",
            type="BitextMining",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=codes,
            main_score="accuracy",
            date=None,
            domains=None,
            task_subtypes=[],
            license=None,
            annotations_creators=None,
            dialect=[],
            sample_creation=None,
            bibtex_citation="",
            reference=None,
        )

        def load_data(self, **_: Any) -> None:
            sentences = {name: list(texts) for name, texts in corpus.sentences.items()}
            self.dataset = DatasetDict({"test": Dataset.from_dict(sentences)})
            self.data_loaded = True

    return Local()


def evaluate(
    model: Any,
    task: Task,
    *,
    layer: int = -1,
    name: str = "mechsteer/model",
    cache: str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Scores of each language pair of a bitext task, with the edits they are of (``edits``).

    Args:
        model: as it stands.
        task: of MTEB.
        layer: a row of ``ms.embed``.
        name: of the model, as owner/name; it keeps cached results of two models apart.
        cache: a folder where results are kept by model, layer, edits and task.
    """
    encoder = Encoder(model, layer, name)
    kept = None if cache is None else ResultCache(cache)
    found = mteb.evaluate(encoder, task, cache=kept, show_progress_bar=False)
    (scores,) = found.task_results[0].scores.values()
    return {entry["hf_subset"]: {**entry, "edits": encoder.state} for entry in scores}
