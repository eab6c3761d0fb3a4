"""A study of a model that does not exist: embeddings as a plain function of the edit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.corpus import ParallelCorpus
from mechsteer.interventions import Edit, NeuronEdit, clamp
from mechsteer.interventions.edits import fingerprint
from mechsteer.recording import DEFAULT_READING, Reading
from mechsteer.studies.edit_factory import EditFactory, Studied
from mechsteer.studies.findings import Study
from mechsteer.studies.measurements import Measurements, measure
from mechsteer.studies.options import StudyOptions
from mechsteer.studies.protocol import Inputs, Scored, run
from mechsteer.studies.runner import ModelFunctions
from tests.made import LANGUAGES, made_scores

N, LAYERS, D = 24, 4, 8  # rows 0 to 3: embedding, two blocks, final norm


def text(split: str, *, languages: tuple[str, ...] = LANGUAGES, n: int = N) -> ParallelCorpus:
    return ParallelCorpus({c: [f"{split} {c} {i}" for i in range(n)] for c in languages})


def space(seed: int, *, n: int = N, layers: int = LAYERS, shared: float = 1.0) -> dict[str, Tensor]:
    """Float32 ``[layer, sentence, d]`` of each language around a shared meaning."""
    random = torch.Generator().manual_seed(seed)
    meaning = shared * torch.randn(layers, n, D, generator=random)
    return {code: meaning + torch.randn(layers, n, D, generator=random) for code in LANGUAGES}


def measured(seed: int, **knobs: Any) -> Measurements:
    return measure(space(seed, **knobs))


@dataclass
class Model:
    """Embeds and predicts by arithmetic, and remembers what it was asked."""

    seed: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def embed(self, corpus: ParallelCorpus, edit: Edit | None) -> dict[str, Tensor]:
        """The space of a text, moved by what the edit is: row 0 never."""
        self.asked.append(("embed", "none" if edit is None else edit.name))
        start = 100 * self.seed + (7 if "test" in corpus.sentences[corpus.languages[0]][-1] else 0)
        x = space(start, n=corpus.n_sentences)
        if edit is None:
            return x
        move = space(int(fingerprint(edit)[:6], 16), n=corpus.n_sentences, shared=0.0)
        scale = torch.linspace(0, 0.6, LAYERS)[:, None, None]
        return {code: x[code] + scale * move[code] for code in x}

    def bits_per_byte(self, texts: Any, language: str, edit: Edit | None) -> float:
        self.asked.append(("predict", language))
        moved = 0.0 if not isinstance(edit, NeuronEdit) else float(edit.b.abs().sum())
        return 2.0 + moved + len(texts) / 1000

    @property
    def functions(self) -> ModelFunctions:
        return ModelFunctions(self.embed, self.bits_per_byte)


def made_study(
    *,
    model: Model | None = None,
    edits: dict[str, Studied] | None = None,
    folder: Path | None = None,
    reading: Reading = DEFAULT_READING,
    dev: ParallelCorpus | None = None,
    test: ParallelCorpus | None = None,
    costed: ParallelCorpus | None = None,
    **options: Any,
) -> Study:
    """The protocol whole, on made scores and the model above."""
    model = model or Model()
    dev = dev or text("dev")
    given = {"targets": ["fra_Latn"], "ks": [4], "seeds": [0]} | options
    wanted = StudyOptions(**given)
    scores = made_scores()
    embedded = model.embed(dev, None)
    model.asked.clear()
    return run(
        Inputs(
            model.functions,
            Scored(scores, embedded),
            dev,
            test or text("test"),
            EditFactory(scores, edits or {"clamp": clamp}, wanted),
            reading,
            text=costed,
            folder=folder,
        ),
        wanted,
    )


def renamed(edit: NeuronEdit, name: str) -> NeuronEdit:
    return replace(edit, name=name)
