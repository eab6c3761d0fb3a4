"""Edits of the residual stream for llama.cpp: GGUF control vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mechsteer.artifacts.atomic import replacing
from mechsteer.corpus.names.languages import closest
from mechsteer.errors import MechsteerError
from mechsteer.interventions.edits import Edit, ResidualEdit


def export_gguf(edit: Edit, path: str | Path, *, architecture: str) -> None:
    """Write an edit as a control vector that llama.cpp adds to the residual stream.

    The file holds one float32 ``direction.N`` ``[d]`` a point, λ·v, which llama.cpp adds after
    block N counted from 0, and it starts at N = 1. Row l of the residual stream follows block l
    counted from 1, so it becomes ``direction.(l-1)``: rows 0 and 1 and the final norm have no
    place there.

    Args:
        edit: adds a vector that is the same for all languages: no linear part, no ``restore_norm``
            (``edit.of(language)`` takes one language of an edit that has several).
        path: file to write, ``.gguf`` by custom; written whole or not at all.
        architecture: llama.cpp's name of the model's architecture, such as ``"llama"``.

    Raises:
        MechsteerError: an edit that llama.cpp cannot apply, an unknown architecture, or the package
            ``gguf`` is not installed.

    Source: ``common_control_vector_load`` of llama.cpp, which refuses ``direction.0`` and all that
    is not float32 of one dimension, and ``llama_adapter_cvec``.
    """
    gguf = _library()
    if architecture not in (known := gguf.MODEL_ARCH_NAMES.values()):
        near = ", ".join(closest(architecture, known)) or "llama"
        raise MechsteerError(
            f"llama.cpp knows no architecture {architecture!r}; did you mean {near}?"
        )
    directions = _directions(edit)
    write_directions(directions, path, hint=architecture)


def write_directions(
    directions: Mapping[int, Float[Tensor, " d"]], path: str | Path, *, hint: str
) -> None:
    """Write vectors by block, counted from 0, as a GGUF file of float32 ``direction.N``.

    Raises:
        MechsteerError: the package ``gguf`` is not installed.
    """
    gguf = _library()
    with replacing(Path(path)) as part:
        writer = gguf.GGUFWriter(part, "controlvector")
        writer.add_string("controlvector.model_hint", hint or "unknown")  # repeng wants one
        writer.add_int32("controlvector.layer_count", len(directions))
        for layer, direction in directions.items():
            writer.add_tensor(f"direction.{layer}", direction.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _directions(edit: Edit) -> dict[int, Float[Tensor, " d"]]:
    """What is added after each block, counted from 0."""
    if not isinstance(edit, ResidualEdit):
        raise MechsteerError(
            f"{edit.name!r} moves neurons; control vectors move the residual stream"
        )
    if edit.left is not None:
        raise MechsteerError(f"{edit.name!r} has a linear part, and a control vector has none")
    if edit.restore_norm:
        raise MechsteerError(f"{edit.name!r} restores norms, and a control vector does not")
    if edit.languages:
        raise MechsteerError(
            f"{edit.name!r} depends on the language: export one with edit.of({edit.languages[0]!r})"
        )
    blocks = [point.hook.endswith(".hook_resid_post") for point in edit.points]
    rows = [point.layer for point in edit.points]
    if not rows or min(rows) < 2 or not all(blocks):
        raise MechsteerError(
            f"{edit.name!r} acts at {[point.hook for point in edit.points]}: llama.cpp has control "
            "vectors after the second block and later ones alone"
        )
    moved = (edit.strength * edit.v[0]).cpu().contiguous()
    return {row - 1: moved[i] for i, row in enumerate(rows)}


def _library() -> Any:
    try:
        import gguf
    except ImportError:
        raise MechsteerError(
            "control vectors need the package gguf: pip install 'mechsteer[gguf]'"
        ) from None
    return gguf
