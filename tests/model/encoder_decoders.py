"""Tiny encoder-decoders, and their neurons by PyTorch's own hooks on the plain model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

VOCABULARY = 330
ENDS = "$A </s>"  # the template of a tokenizer that ends sentences, as theirs do

T5 = {
    "d_model": 32,
    "d_ff": 88,
    "num_layers": 2,
    "num_heads": 4,
    "d_kv": 8,
    "vocab_size": VOCABULARY,
    "decoder_start_token_id": 0,
    "initializer_factor": 0.25,  # the fixture's 4 on top is too much for unscaled attention
}
BART = {
    "d_model": 32,
    "encoder_ffn_dim": 88,
    "decoder_ffn_dim": 88,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "max_position_embeddings": 64,
    "vocab_size": VOCABULARY,
}
CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "t5": ("T5Config", "T5ForConditionalGeneration", T5 | {"num_decoder_layers": 3}),
    "mt5": ("MT5Config", "MT5ForConditionalGeneration", T5),
    "m2m100": (
        "M2M100Config",
        "M2M100ForConditionalGeneration",
        BART | {"decoder_start_token_id": 2},
    ),
    "mbart": ("MBartConfig", "MBartForConditionalGeneration", BART),
    "bart": ("BartConfig", "BartForConditionalGeneration", BART),
}
# its encoder pads sentences to whole windows of attention
LED = (
    "LEDConfig",
    "LEDForConditionalGeneration",
    BART
    | {
        "decoder_start_token_id": 2,
        "attention_window": 8,
        "max_encoder_position_embeddings": 64,
        "max_decoder_position_embeddings": 64,
    },
)
STARTS = {"t5": 0, "mt5": 0, "m2m100": 2, "mbart": 2, "bart": 2}


def down_projections(plain: Any) -> dict[str, list[torch.nn.Linear]]:
    """The down-projection of every layer of each stack of a plain Hugging Face model."""
    found: dict[str, list[torch.nn.Linear]] = {}
    for name, stack in (("encoder", plain.get_encoder()), ("decoder", plain.get_decoder())):
        blocks = stack.layers if hasattr(stack, "layers") else stack.block
        found[name] = [
            block.fc2 if hasattr(block, "fc2") else block.layer[-1].DenseReluDense.wo
            for block in blocks
        ]
    return found


@torch.inference_mode()
def run_plain(
    plain: Any,
    ids: Tensor,
    mask: Tensor,
    start: int,
    *,
    edit: Callable[[str, int, Tensor], Tensor] = lambda stack, layer, z: z,
) -> tuple[dict[tuple[str, int], Tensor], Any]:
    """Neurons by stack and layer, and the output, of a plain model that reads a batch twice."""
    caught: dict[tuple[str, int], Tensor] = {}
    handles = []

    def hook(stack: str, layer: int) -> Callable[..., Any]:
        def catch(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
            z = edit(stack, layer, args[0])
            caught[stack, layer] = z.clone()
            return (z,)

        return catch

    for stack, modules in down_projections(plain).items():
        for layer, module in enumerate(modules):
            handles.append(module.register_forward_pre_hook(hook(stack, layer)))
    shifted = torch.full_like(ids, start)
    shifted[:, 1:] = ids[:, :-1]
    out = plain(
        input_ids=ids,
        attention_mask=mask,
        decoder_input_ids=shifted,
        decoder_attention_mask=mask,
        output_hidden_states=True,
        use_cache=False,  # another layout of keys in memory rounds differently
    )
    for handle in handles:
        handle.remove()
    return caught, out


def plain_of(checkpoint: Callable[..., Path], family: str) -> Any:
    """A tiny encoder-decoder as transformers itself runs it."""
    import transformers

    cls = getattr(transformers, CONFIGS[family][1])
    folder = checkpoint(family, template=ENDS)
    return cls.from_pretrained(folder, attn_implementation="eager").eval()
