"""One forward pass that is read at some hook points and stopped after the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.errors import MechsteerError, ModelError, SiteError
from mechsteer.model.interface import Model


class _AllRead(Exception):  # noqa: N818 - not an error: it ends a forward pass early
    """Every reader has had its activation; the rest of the forward pass is not needed."""


def read(
    model: Model,
    ids: Int[Tensor, "sentence token"],
    mask: Int[Tensor, "sentence token"],
    readers: Mapping[str, Callable[[Tensor], None]],
) -> None:
    """Run a model on token ids and hand each named activation to its reader.

    The pass ends as soon as the last reader was called, which spares the unembedding: a fifth of
    the time of a small model, and gigabytes of logits. Readers see what hooks installed before them
    (edits, say) made of the activation. The decoder of an encoder-decoder reads the same sentences
    one position to the right (see ``mechsteer.model.decoder``), and is not run at all where only
    the encoder is read. Only the readers' own hooks are attached, and exactly those are removed,
    whatever happens.

    Raises:
        SiteError: the forward pass never reached a hook point.
        ModelError: the model does not run on these tokens.
    """
    points = model.hook_dict
    waiting = set(readers)
    attached = []
    try:
        for name, reader in readers.items():
            hook = _hook(name, reader, waiting)
            attached.append((points[name], points[name].add_hook(hook)))
        with _ours(model):
            model.run(ids, mask)
    except _AllRead:
        return
    finally:
        detach(attached)
    raise SiteError(f"the forward pass never reached {sorted(waiting)}")


@torch.inference_mode()
def observed(model: Model, names: Iterable[str]) -> dict[str, list[torch.Size]]:
    """The shapes of an activation each time it passes its hook point, on a single token."""
    points, attached = model.hook_dict, []
    shapes: dict[str, list[torch.Size]] = {name: [] for name in names}

    def counter(name: str) -> Callable[..., None]:
        return lambda z, hook: shapes[name].append(z.shape)

    ids = torch.zeros(1, 1, dtype=torch.long, device=model.input_device)
    mask = torch.ones_like(ids)
    try:
        for name in shapes:
            attached.append((points[name], points[name].add_hook(counter(name))))
        with _ours(model):
            model.run(ids, mask)
    finally:
        detach(attached)
    return shapes


@contextmanager
def _ours(model: Model) -> Iterator[None]:
    """Name what a forward pass stumbles over by the model, in one line."""
    try:
        yield
    except (MechsteerError, _AllRead):
        raise
    except Exception as error:
        line = (str(error).strip() or "no message").splitlines()[0]
        advice = "; lower batch_tokens" if "out of memory" in line else ""
        raise ModelError(
            f"{model.cfg.architecture} does not run: {type(error).__name__}: {line}{advice}"
        ) from error


def detach(attached: Iterable[tuple[Any, Any]]) -> None:
    """Take exactly these hooks away, given as hook points with the handles ``add_hook`` returned.

    ``reset_hooks()`` would take those of others too; one it took already is no error here.
    """
    for point, handle in attached:
        handle.hook.remove()
        point.fwd_hooks[:] = [kept for kept in point.fwd_hooks if kept is not handle]


def _hook(name: str, reader: Callable[[Tensor], None], waiting: set[str]) -> Callable[..., None]:
    # TransformerLens passes the hook point by keyword and names it anew, so the name is closed over
    def on_activation(z: Tensor, hook: Any) -> None:
        reader(z)
        waiting.discard(name)
        if not waiting:
            raise _AllRead

    return on_activation
