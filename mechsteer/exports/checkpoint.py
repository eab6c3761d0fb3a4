"""A checkpoint folder with edits inside its weights, which any engine serves without mechsteer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.exports.baking import bake
from mechsteer.exports.constant import as_sequence, constants, require_everywhere
from mechsteer.exports.plain import plain_copy, run, saved, sentence
from mechsteer.interventions import Edit
from mechsteer.model.interface import Model
from mechsteer.model.loaders import quiet
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import with_bars
from mechsteer.steering import Positions, steer

_LIMIT = 256.0  # roundings of the largest logit that deep models lose to another order of sums


@dataclass(frozen=True)
class Checkpoint:
    """A folder that was written, and how near it comes to the hooked model.

    Attributes:
        folder: model, tokenizer and generation settings.
        switches: fields of ``config.json`` that were turned on so that biases are read.
        carriers: modules whose bias, or embedding, carries a constant.
        widened: how many neurons each MLP has more.
        ulps: largest difference of the logits (of the last hidden states where there is no head)
            from those of the hooked model, in units ``eps·max|logit|`` of the precision; None where
            it was not verified.
    """

    folder: Path
    switches: tuple[str, ...]
    carriers: tuple[str, ...]
    widened: int
    ulps: float | None


@with_bars
def checkpoint(
    model: ModelLike,
    edits: Edit | Sequence[Edit],
    folder: str | Path,
    *,
    positions: Positions = "all",
    language: str | None = None,
    widen: bool = False,
    verify: bool = True,
    progress: bool = True,
) -> Checkpoint:
    """Write a checkpoint folder of transformers whose weights do what the edits do.

    Weights are in the precision the model was loaded in. What is exact: a clamp, a shift or a
    scaling of neurons at every position, and a vector added to the residual stream, as far as
    biases that transformers loads can carry them, see ``bake``. All else is refused.

    Args:
        model: whatever ``mechsteer.wrap`` takes; it stays as it is.
        edits: one, or several that act together in this order.
        folder: to write; it must not exist, or be empty.
        positions: where the edits act; all is what weights can do.
        language: takes one language of edits that depend on it.
        widen: where nothing has a bias, let each gated MLP have 2·d_model more neurons, which
            together are a constant (see ``mechsteer.exports.widening``): Gemma, Qwen 3, Phi 3, mT5.
        verify: load the folder with transformers and compare logits on a few tokens: another
            copy of the weights in memory.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: an edit that weights cannot carry, with the reason; the verification found
            other logits (more than 256 roundings of the
            largest, or ``√eps`` of it).
        ArtifactError: the folder holds files, or cannot be written; the edit is of another model.
    """
    require_everywhere(positions)
    model, several = as_model(model), as_sequence(edits)
    model.require_raw()
    parts = constants(several, language)
    steer(model, *several, languages=language).remove()  # refuses edits of another model
    with empty_folder(Path(folder)) as part:
        baked = bake(model, plain_copy(model), parts, widen=widen)
        baked.plain.config.architectures = [type(baked.plain).__name__]
        saved(baked.plain, model.plain_tokenizer, part)
        how = baked.switches, baked.carriers, baked.widened
        del baked  # one copy less while the folder is compared
        ulps = _compared(model, several, language, part) if verify else None
    return Checkpoint(Path(folder), *how, ulps)


@contextmanager
def empty_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside ``folder``, which it becomes at the end of the block.

    Raises:
        ArtifactError: ``folder`` holds something, or cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is not empty: name a new folder")
    part = folder.parent / f".{folder.name}.{uuid4().hex[:8]}.part"
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@torch.inference_mode()
def _compared(model: Model, edits: Sequence[Edit], language: str | None, folder: Path) -> float:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    with quiet():
        plain: Any = getattr(transformers, config.architectures[0]).from_pretrained(
            folder, dtype=model.dtype, attn_implementation="eager"
        )
    inputs = sentence(plain)
    own = {name: value.to(model.input_device) for name, value in inputs.items()}
    with steer(model, *edits, languages=language):
        hooked = _result(run(model.original_model, own), own["attention_mask"]).cpu()
    found = _result(run(plain.eval(), inputs), inputs["attention_mask"])
    unit = torch.finfo(model.dtype).eps * float(hooked.abs().max())
    ulps = float((found - hooked).abs().max()) / unit
    if not ulps <= min(_LIMIT, torch.finfo(model.dtype).eps ** -0.5):
        raise MechsteerError(
            f"the weights of {config.architectures[0]} give other logits than the edit does "
            f"({ulps:.3g} roundings away), so it cannot be exported; please report it"
        )
    return ulps


def _result(out: Any, mask: Tensor) -> Tensor:
    """Logits, or else the last hidden states, at real tokens."""
    numbers: Tensor = out.logits if "logits" in out else out[0]
    return numbers[mask.bool()].double()
