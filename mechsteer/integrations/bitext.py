"""Bitext mining of MTEB on a model as it stands: inside ``ms.steer`` it evaluates the edit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.integrations.needed import needed
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.recording import embed
from mechsteer.steering import state_of


def evaluate(
    model: ModelLike,
    task: Any,
    *,
    layer: int = -1,
    name: str = "mechsteer/model",
    cache: str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Scores of each language pair of a bitext task, with the edits they are of (``edits``).

    MTEB retrieves in one direction and counts a tie as whatever came first, so its accuracy can
    differ from ``retrieval`` here, where a tie is a miss.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        task: of ``mteb.get_task``, or ``local_task``.
        layer: a row of ``ms.embed``.
        name: of the model, as owner/name.
        cache: a folder where MTEB keeps results, by weights, layer, edits and task.

    Raises:
        MechsteerError: MTEB is not installed.
    """
    library = needed("mteb", "eval")
    encoder = Encoder(model, layer, name)
    kept = None if cache is None else needed("mteb.cache", "eval").ResultCache(cache)
    found = library.evaluate(encoder, task, cache=kept, show_progress_bar=False)
    (scores,) = found.task_results[0].scores.values()
    return {entry["hf_subset"]: {**entry, "edits": encoder.state} for entry in scores}


class Encoder:
    """Sentence embeddings of one row of a model as MTEB wants them.

    MTEB keeps results by a model's name and revision, so the revision names weights, layer and
    edits: those that are installed when this is made, and no others while it encodes.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        layer: a row of ``ms.embed``.
        name: of the model, as owner/name.

    Attributes:
        state: the edits that were installed when this was made, see ``ms.steering.state_of``.
    """

    def __init__(self, model: ModelLike, layer: int = -1, name: str = "mechsteer/model") -> None:
        self.model, self.layer = as_model(model), layer
        self.state = state_of(self.model)
        weights = self.model.identity().weights_hash.rpartition(":")[2][:8]
        revision = re.sub(r"[^\w.=+-]", "-", f"{weights} layer{layer} {self.state}")
        self.mteb_model_meta = needed("mteb.models.model_meta", "eval").ModelMeta.create_empty(
            {"name": name, "revision": revision}
        )

    def encode(self, inputs: Any, **_: Any) -> NDArray[np.float32]:
        """Embeddings ``[sentence, d_model]`` of batches of texts, float32.

        Raises:
            MechsteerError: other edits are installed than when this was made.
        """
        if (state := state_of(self.model)) != self.state:
            raise MechsteerError(
                f"this Encoder is that of a model with edits {self.state!r}, and {state!r} are "
                "installed: make one inside ms.steer"
            )
        texts = [text for batch in inputs for text in batch["text"]]
        # one label for all: an embedding does not depend on it
        found = embed(self.model, LabelledCorpus({"eng_Latn": texts}), progress=False)
        rows: NDArray[np.float32] = found["eng_Latn"][self.layer].numpy()
        return rows

    def similarity(self, left: Any, right: Any) -> Any:
        """Cosine of each row with each row."""
        return needed("mteb", "eval").similarity_functions.cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        """Cosine of each row with its partner."""
        return needed("mteb", "eval").similarity_functions.pairwise_cos_sim(left, right)


def local_task(corpus: ParallelCorpus, pairs: Sequence[tuple[str, str]]) -> Any:
    """A bitext task of MTEB over parallel sentences of one's own; nothing is downloaded.

    Raises:
        CorpusError: a language that the corpus does not have.
        MechsteerError: MTEB is not installed.
    """
    if missing := [code for pair in pairs for code in pair if code not in corpus.languages]:
        raise CorpusError(f"no {missing[0]} in {corpus.name}: it has {', '.join(corpus.languages)}")
    kind = needed("mteb.abstasks", "eval").AbsTaskBitextMining
    data = needed("datasets", "eval")
    codes = {"-".join(pair): [code.replace("_", "-") for code in pair] for pair in pairs}

    def load_data(self: Any, **_: Any) -> None:
        sentences = {name: list(texts) for name, texts in corpus.sentences.items()}
        self.dataset = data.DatasetDict({"test": data.Dataset.from_dict(sentences)})
        self.data_loaded = True

    said = {"parallel_subsets": True, "metadata": _metadata(corpus, codes), "load_data": load_data}
    return type("LocalBitextMining", (kind,), said)()


def _metadata(corpus: ParallelCorpus, codes: dict[str, list[str]]) -> Any:
    unknown = ("date", "domains", "license", "annotations_creators", "sample_creation", "reference")
    return needed("mteb.abstasks.task_metadata", "eval").TaskMetadata(
        name="LocalBitextMining",
        dataset={"path": "local", "revision": corpus.fingerprint},
        description="Parallel sentences of a local corpus.",
        type="BitextMining",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=codes,
        main_score="accuracy",
        task_subtypes=[],
        dialect=[],
        bibtex_citation="",
        **dict.fromkeys(unknown),
    )
