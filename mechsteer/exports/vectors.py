"""Vectors of the residual stream in formats of other engines: EasySteer, vLLM-Hook, Neuronpedia.

Each engine adds a vector at some rows of the residual stream to every token. Row l follows block l,
counted from 1; the engines count blocks from 0. llama.cpp's control vectors are in
``mechsteer.interventions.control_vector``. Formats are as their projects' sources read them; the
commits are named at each function.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.errors import MechsteerError
from mechsteer.exports.constant import vector_of
from mechsteer.interventions import Edit
from mechsteer.interventions.control_vector import write_directions

_NEURONPEDIA_LIMIT = 24576  # entries of a vector that its API takes
# vLLM's models whose blocks are not called ``model.layers.N``, where vLLM-Hook looks for them
_OTHER_BLOCKS = (
    *("GPT2LMHeadModel", "GPTBigCodeForCausalLM", "GPTJForCausalLM", "GPTNeoXForCausalLM"),
    *("BloomForCausalLM", "FalconForCausalLM", "MPTForCausalLM", "MptForCausalLM"),
    "OPTForCausalLM",
)


def easysteer(edit: Edit, path: str | Path, *, language: str | None = None) -> None:
    """Write an edit as the GGUF file that EasySteer's algorithm ``direct`` adds, and repeng reads.

    The file holds one float32 ``direction.N`` ``[d]`` a row, λ·v, for the output of block N counted
    from 0; ``scale`` 1 on all tokens, of prompt and answer, is the edit. In repeng it is
    ``ControlVector.import_gguf`` with a ``ControlModel`` of these blocks, coefficient 1 and not
    normalised.

    Args:
        edit: adds a vector to rows that follow a block, and does nothing else.
        path: file to write, ``.gguf``.
        language: takes one language of an edit that has several.

    Raises:
        MechsteerError: an edit that is no such vector; the package ``gguf`` is not installed.

    Source: ZJU-REAL/EasySteer-vllm-v1 at 4b85a7f: ``_read_gguf``, ``DirectionVector`` and
    ``DirectAlgorithm`` of ``vllm/model_hooks/steering``; vgel/repeng at 021022a, ``extract.py``.
    """
    blocks = _by_block(edit, language, "EasySteer")
    write_directions(blocks, path, hint=edit.model.architecture if edit.model else "")


def vllm_hook(edit: Edit, path: str | Path, *, language: str | None = None) -> None:
    """Write an edit as a steering configuration of vLLM-Hook, with its vector beside it.

    ``path`` is JSON with the method ``add_vector``, coefficient 1, at all positions;
    ``optimal_layer`` names blocks counted from 0, whose output it is added to. The vector λ·v is
    ``{"dir": [d]}`` in a file of ``torch.save`` of the same name, ``.pt``, which is what vLLM-Hook
    reads; the configuration names it by its whole path.

    Args:
        edit: adds one vector, the same at each of its rows, which follow a block.
        path: file to write, ``.json``.
        language: takes one language of an edit that has several.

    Raises:
        MechsteerError: an edit that is no such vector, or has another one at each row; a model
            whose blocks vLLM-Hook does not find.

    Source: IBM/vLLM-Hook, the worker ``steer_hook_act`` at 01fe640 (one block) and
    ``model_configs/mia_v0/activation_steer`` at 0623043 (a list of them, which older versions
    refuse).
    """
    blocks = _by_block(edit, language, "vLLM-Hook")
    if edit.model is not None and edit.model.architecture in _OTHER_BLOCKS:
        raise MechsteerError(
            f"vLLM-Hook looks for blocks named model.layers.N, and vLLM names those of "
            f"{edit.model.architecture} otherwise: it would add nothing"
        )
    first, *others = blocks.values()
    if not all(torch.equal(first, other) for other in others):
        raise MechsteerError(
            f"{edit.name!r} has a vector of its own at each of {len(blocks)} rows, and vLLM-Hook "
            "adds one: make the edit of a single row"
        )
    path = Path(path)
    vector = path.with_suffix(".pt")
    if vector == path:
        raise MechsteerError(f"expected a configuration that ends in .json, got {path.name}")
    content = io.BytesIO()
    torch.save({"dir": first}, content)
    write_bytes(vector, content.getvalue())
    steering = {
        "method": "add_vector",
        "coefficient": 1.0,
        "optimal_layer": next(iter(blocks)) if not others else list(blocks),
        "vector_path": str(vector.resolve()),
        "apply_at_all_positions": True,
    }
    info = {"model_info": {"model_id": edit.model.name}} if edit.model else {}
    _write_json(path, {**info, "steering": steering})


def neuronpedia(
    edit: Edit,
    path: str | Path,
    *,
    model_id: str,
    label: str | None = None,
    language: str | None = None,
) -> None:
    """Write an edit as bodies of requests that make vectors on Neuronpedia, one a row.

    The file is a JSON list; each entry is what ``POST /api/vector/new`` takes. Neuronpedia knows
    the input of a block, ``hook_resid_pre``: row l is the input of block l counted from 0, so the
    last block's output and the final norm have no place. The vector is λ·v at strength 1: steer
    with a strength multiplier of 1 and without normalisation.

    Args:
        edit: adds a vector to rows that a block reads, and does nothing else.
        path: file to write.
        model_id: Neuronpedia's name of the model, ``"gemma-2-2b-it"`` say.
        label: shown there; the edit's name by default.
        language: takes one language of an edit that has several.

    Raises:
        MechsteerError: an edit that is no such vector.

    Source: hijohnnylin/neuronpedia, ``newVectorSchema`` of ``/api/vector/new`` and
    ``VECTOR_VALID_HOOK_TYPE_TO_DETAILS``, which knows ``hook_resid_pre`` alone; strengths are from
    -300 to 300.
    """
    vectors = vector_of(edit, language)
    last = edit.model.n_layers if edit.model else None
    wrong = [
        point.hook
        for point in vectors
        if not point.hook.endswith((".hook_resid_post", ".hook_resid_pre")) or point.layer == last
    ]
    if wrong or not vectors or any(len(v) > _NEURONPEDIA_LIMIT for v in vectors.values()):
        raise MechsteerError(
            f"{edit.name!r} acts at {wrong or 'no row'}: Neuronpedia adds vectors of up to "
            f"{_NEURONPEDIA_LIMIT} entries to the input of a block, that is, rows 0 to the last "
            "but one block's"
        )
    bodies = [
        {
            "modelId": model_id,
            "layerNumber": point.layer,
            "hookType": "hook_resid_pre",
            "vector": v.tolist(),
            "vectorDefaultSteerStrength": 1,
            "vectorLabel": label or edit.name,
        }
        for point, v in vectors.items()
    ]
    _write_json(Path(path), bodies)


def _by_block(edit: Edit, language: str | None, engine: str) -> dict[int, Float[Tensor, " d"]]:
    """What is added after each block, counted from 0."""
    vectors = vector_of(edit, language)
    wrong = [point.hook for point in vectors if not point.hook.endswith(".hook_resid_post")]
    if wrong or not vectors:
        raise MechsteerError(
            f"{edit.name!r} acts at {wrong or 'no row'}: {engine} adds vectors to what blocks give,"
            " not to the embedding or the final norm"
        )
    if any(point.stack for point in vectors):
        raise MechsteerError(f"{edit.name!r} acts in an encoder, and {engine} steers decoders")
    return {point.layer - 1: v.contiguous() for point, v in vectors.items()}


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())
