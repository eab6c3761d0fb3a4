"""A checkpoint folder with edits inside its weights, which any engine serves without mechsteer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from mechsteer.errors import ArtifactError, ModelError
from mechsteer.exports.baking import bake
from mechsteer.exports.constant import acting, constants, require_everywhere
from mechsteer.exports.lengthening import Unlayered
from mechsteer.exports.plain import plain_copy, saved
from mechsteer.exports.verification import (
    TOLERANCE,
    attention_of,
    carried_distance,
    distance,
    own_distance,
    require_near,
    require_tolerance,
)
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import as_edits
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import with_bars
from mechsteer.steering import Positions, steer


@dataclass(frozen=True)
class Checkpoint:
    """A folder that was written, and how near it comes to the hooked model.

    Attributes:
        folder: model, tokenizer and generation settings.
        switches: fields of ``config.json`` that were turned on so that biases are read.
        carriers: modules whose bias, or embedding, carries a constant.
        layers: how many blocks it has more.
        widened: how many neurons each MLP has more.
        ulps: largest difference of the logits (of the last hidden states where there is no head)
            from those of the hooked model, in units ``eps·max|logit|`` of the precision; None where
            it was not verified.
        own: the same between the model as it is wrapped and transformers' own, without edits or,
            where they carry it on, with them in the weights of both: 0 unless TransformerLens sums
            in another order, or another device does.
    """

    folder: Path
    switches: tuple[str, ...]
    carriers: tuple[str, ...]
    layers: int
    widened: int
    ulps: float | None
    own: float | None


@with_bars
def checkpoint(
    model: ModelLike,
    edits: Edit | Sequence[Edit],
    folder: str | Path,
    *,
    positions: Positions = "all",
    language: str | None = None,
    layers: bool = True,
    widen: bool = False,
    tolerance: float = TOLERANCE,
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
        layers: let each vector of the residual stream have a block of its own, which adds it to
            the bit; without them it goes into a bias of the block that is there, to a few
            roundings.
        widen: where nothing has a bias, let each gated MLP have 2·d_model more neurons, which
            together are a constant but for a few roundings, or some tens (see
            ``mechsteer.exports.widening``): Gemma 2 and 3, Qwen 3, GLM, mT5.
        tolerance: how many roundings ``ulps`` may be beyond ``own``.
        verify: load the folder with transformers and compare logits on a few tokens: another
            copy of the weights in memory.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: an edit that weights cannot carry, with the reason; the verification found
            logits further away than the tolerance.
        ModelError: a class of one's own.
        ArtifactError: the folder holds files, or cannot be written; the edit is of another model.
    """
    require_everywhere(positions)
    model, several = as_model(model), as_edits(edits)
    model.require_raw()
    constants(several, language)  # refuses what depends on the token
    steer(model, *several, languages=language).remove()  # refuses edits of another model
    parts = constants([acting(model, edit) for edit in several], language)
    require_tolerance(tolerance)
    with empty_folder(Path(folder)) as part:
        plain = plain_copy(model)
        own = own_distance(model, plain) if verify else None
        try:
            baked = bake(model, plain, parts, layers=layers, widen=widen)
        except Unlayered:
            plain = plain_copy(model)
            baked = bake(model, plain, parts, layers=False, widen=widen)
        baked.plain.config.architectures = [_known(type(baked.plain))]
        saved(baked.plain, model.plain_tokenizer, part, attention_of(model))
        how = baked.switches, baked.carriers, baked.layers, baked.widened
        del plain, baked  # one copy less while the folder is compared
        ulps = None if own is None else distance(model, several, language, part)
        if ulps is not None and own is not None:
            if own and ulps > own + tolerance:
                own = max(own, carried_distance(model, part))
            require_near(ulps, own, tolerance, model.dtype)
    return Checkpoint(Path(folder), *how, ulps, own)


def _known(kind: type) -> str:
    """The name by which transformers finds a class.

    Raises:
        ModelError: it does not.
    """
    import transformers

    if getattr(transformers, kind.__name__, None) is not kind:
        raise ModelError(
            f"{kind.__name__} is no class of transformers, and a checkpoint is opened by the name "
            "of its class: load the model with transformers' own"
        )
    name: str = kind.__name__
    return name


@contextmanager
def empty_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside ``folder``, which it becomes at the end of the block.

    Raises:
        ArtifactError: ``folder`` holds something, or cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is not empty: name a new folder")
    folder = folder.resolve()  # a link's target, and "." by its name
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
