"""What a row of the roster is: a family of models, its classes, its sizes when tiny.

A family is what shares one Hugging Face class, and so one adapter of TransformerLens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["decoder", "encoder", "encoder-decoder", "mixture of experts", "other"]

# More rows than the tokenizer has tokens: some tokenizers of transformers add their padding.
VOCABULARY = 336
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 88,
    "max_position_embeddings": 64,
    "vocab_size": VOCABULARY,
}
LLAMA = {**SIZES, **TOKENS, "num_key_value_heads": 2}
HEADS = {**LLAMA, "head_dim": 8}
GPT = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": VOCABULARY}
GPT_TOKENS = {"bos_token_id": 1, "eos_token_id": 2}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}


@dataclass(frozen=True)
class Mlp:
    """Paths of the linear modules of layer ``{}`` in the plain model.

    Where ``gate`` and ``up`` are one path, its output holds the gate and then the up branch.
    """

    up: str
    down: str
    gate: str | None = None


GATED = Mlp(
    "model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.down_proj", "model.layers.{}.mlp.gate_proj"
)
FUSED = Mlp(
    "model.layers.{}.mlp.gate_up_proj",
    "model.layers.{}.mlp.down_proj",
    "model.layers.{}.mlp.gate_up_proj",
)
PLAIN = Mlp("model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.down_proj")
FC = Mlp("model.layers.{}.fc1", "model.layers.{}.fc2")


def bert(name: str) -> Mlp:
    layer = f"{name}.encoder.layer.{{}}"
    return Mlp(f"{layer}.intermediate.dense", f"{layer}.output.dense")


def dense(layer: str) -> Mlp:
    return Mlp(f"{layer}.mlp.dense_h_to_4h", f"{layer}.mlp.dense_4h_to_h")


@dataclass(frozen=True)
class Family:
    """A family of models, named ``key`` in the tests.

    ``mlp`` says where plain modules lie, for tests that find them by name; ``sites`` are those that
    are tested, none where mechsteer refuses the family, and then ``note`` is a part of the refusal.
    ``rebuilt`` says that TransformerLens sums some layers in another order, so that numbers agree
    within rounding instead of bit for bit. ``template`` is what a tokenizer of the family makes of
    a sentence.
    """

    key: str
    title: str
    examples: str
    config: str
    model: str
    sizes: Mapping[str, Any] = field(repr=False)
    mlp: Mlp | None = None
    rebuilt: bool = False
    kind: Kind = "decoder"
    note: str = ""
    sites: tuple[str, ...] = ("post", "linear")
    template: str = "<s> $A"


def llama_like(  # noqa: PLR0917 - a row of a table
    key: str,
    title: str,
    examples: str,
    name: str,
    sizes: Mapping[str, Any] = LLAMA,
    mlp: Mlp | None = GATED,
    **options: Any,
) -> Family:
    """A family whose classes are ``{name}Config`` and ``{name}ForCausalLM``."""
    classes = f"{name}Config", f"{name}ForCausalLM"
    return Family(key, title, examples, *classes, sizes, mlp, **options)
