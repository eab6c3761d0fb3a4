"""A steered encoder as a module of sentence-transformers: ``encode`` with the edit inside.

What it gives is ``mechsteer.embed`` of one row under the edits: the mean over real tokens. Edits
that weights cannot carry (of a language, a position, with a linear part) are carried too, so
mechsteer must be installed where the folder is loaded; a checkpoint of constant edits needs none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.described import described
from mechsteer.artifacts.files import read_bytes
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.exports.checkpoint import empty_folder
from mechsteer.exports.plain import plain_copy, saved
from mechsteer.interventions import Edit, ResidualEdit, load_edits, save_edit
from mechsteer.interventions.edits import as_edits
from mechsteer.kernels import pool_tokens
from mechsteer.model.hooks import read
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.model.sites import residual_points
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import with_bars
from mechsteer.recording.tokens import padding, require_known, tokenize
from mechsteer.steering import Positions, steer

_EDITS, _SETTINGS = "edits.safetensors", "mechsteer.json"
_MODULE = f"{__name__}.SteeredEncoder"


@dataclass(frozen=True)
class Settings:
    """What an encoder of a folder is asked beside its model and edits."""

    layer: int
    positions: str
    language: str | None
    dtype: str


@with_bars
def sentence_transformer(
    model: ModelLike,
    edits: Edit | Sequence[Edit],
    folder: str | Path,
    *,
    layer: int = -1,
    positions: Positions = "all",
    language: str | None = None,
    progress: bool = True,
) -> Path:
    """Write a folder that ``SentenceTransformer`` opens with ``trust_remote_code``.

    ``encode(texts, language="fra_Latn")`` names the language where an edit depends on it, as
    centring does; ``prompt=`` is read before each text and not pooled. sentence-transformers asks
    for ``trust_remote_code`` before it imports any module that is not its own; no code is in the
    folder.

    Args:
        model: whatever ``mechsteer.wrap`` takes; it stays as it is.
        edits: one, or several that act together in this order.
        folder: to write; it must not exist, or be empty.
        layer: row of ``mechsteer.embed`` that is pooled; -1 is the final norm.
        positions: where the edits act.
        language: of all texts, where an edit depends on it and ``encode`` does not say.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: no such row or positions; an edit of another model.
        ArtifactError: the folder holds files, or cannot be written.
    """
    model, several = as_model(model), as_edits(edits)
    rows = len(residual_points(model))
    if not -rows <= layer < rows:
        raise MechsteerError(f"expected a layer from {-rows} to {rows - 1}, got {layer}")
    named = language or _a_language(several)
    steer(model, *several, positions=positions, languages=named).remove()  # refuses what is foreign
    settings = Settings(layer, positions, language, str(model.dtype).removeprefix("torch."))
    loose = [replace(edit, model=None) for edit in several]  # of the weights that lie beside them
    with empty_folder(Path(folder)) as part:
        SteeredEncoder(model, loose, settings).save(str(part))
        modules = [{"idx": 0, "name": "0", "path": "", "type": _MODULE, "kwargs": ["language"]}]
        write_bytes(part / "modules.json", json.dumps(modules, indent=2).encode())
    return Path(folder)


class SteeredEncoder(nn.Module):
    """Texts to sentence embeddings under edits, as sentence-transformers runs a module.

    Args:
        model: an encoder, or any model with a residual stream.
        edits: act together in this order.
        settings: row, positions and language.
    """

    forward_kwargs = frozenset({"language"})
    save_in_root = True

    def __init__(self, model: Model, edits: Sequence[Edit], settings: Settings) -> None:
        super().__init__()
        self._model, self._edits, self._settings = [model], tuple(edits), settings
        self.inner = model.module  # so that ``to(device)`` reaches it
        self._point = residual_points(model)[settings.layer]

    @property
    def tokenizer(self) -> Any:
        """The model's plain one."""
        return self._model[0].plain_tokenizer

    @property
    def max_seq_length(self) -> int:
        """Tokens that a text is cut to."""
        return self._model[0].context_length()

    def get_embedding_dimension(self) -> int:
        """Width of the residual stream."""
        return self._point.width

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **_: Any
    ) -> dict[str, Tensor]:
        """Token ids, mask and which tokens are real, padded on the right.

        Raises:
            MechsteerError: a text without a real token, or a token that the model does not embed.
        """
        model = self._model[0]
        n, read_before = self.max_seq_length, prompt or ""
        texts = list(tokenize(list(inputs), self.tokenizer, prefix=read_before, context=n))
        for text, tokens in zip(inputs, texts, strict=True):
            require_known(tokens, self.tokenizer, model.n_words, repr(text[:40]))
            if not tokens.real.any():
                raise MechsteerError(f"{text[:40]!r} has no real token: remove it")
        ids = [torch.from_numpy(tokens.ids).long() for tokens in texts]
        real = [torch.from_numpy(tokens.real) for tokens in texts]
        pad = padding(self.tokenizer, model.n_words)
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad),
            "attention_mask": pad_sequence([torch.ones_like(i) for i in ids], batch_first=True),
            "real": pad_sequence(real, batch_first=True),
        }

    @torch.inference_mode()
    def forward(self, features: dict[str, Any], language: str | None = None) -> dict[str, Any]:
        """Add ``sentence_embedding``, float32 ``[text, d]``.

        Raises:
            MechsteerError: an edit depends on the language and none was said.
        """
        model, named = self._model[0], language or self._settings.language
        if not isinstance(named, str | None):  # encode sorts texts, so a list would be out of order
            raise MechsteerError("expected one language for all texts of a call of encode")
        if named is None and (known := _languages(self._edits)):
            raise MechsteerError(
                f"an edit depends on the language: encode(texts, language={known[0]!r})"
            )
        found: list[Float[Tensor, "text d"]] = []
        real = features["real"].bool()

        def pool(z: Tensor) -> None:
            pooled = pool_tokens(z, real, how="mean")
            assert isinstance(pooled, Tensor)
            found.append(pooled)

        device = model.input_device
        ids, mask = (features[name].to(device) for name in ("input_ids", "attention_mask"))
        positions: Any = self._settings.positions
        with steer(model, *self._edits, positions=positions, languages=named):
            read(model, ids, mask, {self._point.hook: pool})
        return {**features, "sentence_embedding": found[0].clone()}

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write model, tokenizer, edits and settings."""
        folder, model = Path(output_path), self._model[0]
        saved(plain_copy(model), model.plain_tokenizer, folder)
        if self._edits:
            save_edit(self._edits, folder / _EDITS)
        write_bytes(folder / _SETTINGS, json.dumps(vars(self._settings), indent=2).encode())

    @staticmethod
    def load(model_name_or_path: str, subfolder: str = "", **_: Any) -> SteeredEncoder:
        """Read a folder.

        Raises:
            ArtifactError: it is no folder that ``sentence_transformer`` wrote.
        """
        folder = Path(model_name_or_path) / subfolder
        if not (folder / _SETTINGS).is_file():
            raise ArtifactError(f"{folder} is no folder of a steered encoder: no {_SETTINGS}")
        try:
            content = json.loads(read_bytes(folder / _SETTINGS))
        except ValueError:
            raise ArtifactError(f"{folder / _SETTINGS} is no JSON: copy it again") from None
        settings = described(Settings, content, str(folder / _SETTINGS))
        if settings.positions not in get_args(Positions):
            raise ArtifactError(f"{folder / _SETTINGS} has positions {settings.positions!r}")
        dtype = getattr(torch, settings.dtype, torch.float32)
        edits = load_edits(folder / _EDITS) if (folder / _EDITS).exists() else ()
        return SteeredEncoder(load_model(folder, device="cpu", dtype=dtype), edits, settings)


def _languages(edits: Sequence[Edit]) -> tuple[str, ...]:
    """Languages of the first edit that depends on them."""
    return next((e.languages for e in edits if isinstance(e, ResidualEdit) and e.languages), ())


def _a_language(edits: Sequence[Edit]) -> str | None:
    return next(iter(_languages(edits)), None)
