"""One forward pass that is read at some hook points and stopped after the last of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.errors import MechsteerError, ModelError, SiteError
from mechsteer.model.derived import opened
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
    whatever happens. Threads that read one model take turns, and what another thread runs on it
    meanwhile is not read.

    Raises:
        SiteError: the forward pass never reached a hook point.
        ModelError: the model does not run on these tokens.
    """
    waiting = set(readers)
    with _attached(model, {name: _once(name, read, waiting) for name, read in readers.items()}):
        try:
            with _ours(model):
                model.run(ids, mask)
        except _AllRead:
            return
    raise SiteError(f"the forward pass never reached {sorted(waiting)}")


@torch.inference_mode()
def observed(model: Model, names: Iterable[str]) -> dict[str, list[torch.Size]]:
    """The shapes of an activation each time it passes its hook point, on a single token."""
    shapes: dict[str, list[torch.Size]] = {name: [] for name in names}

    def counter(name: str) -> Callable[[Tensor], None]:
        return lambda z: shapes[name].append(z.shape)

    ids = torch.zeros(1, 1, dtype=torch.long, device=model.input_device)
    with _attached(model, {name: counter(name) for name in shapes}), _ours(model):
        model.run(ids, torch.ones_like(ids))
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


@contextmanager
def undisturbed(model: Model) -> Iterator[None]:
    """Within, hooks at the model's hook points do nothing, and dropout is off.

    Afterwards all are there as before, in their order: what is tried on a model is to tell about
    the model, and not to be seen by those who watch it.
    """
    modules = {*model.original_model.modules(), *model.hook_dict.values()}
    training = [module for module in modules if module.training]
    with model.facts.lock, ExitStack() as scope:
        for module in training:
            module.training = False
            scope.callback(setattr, module, "training", True)
        for point in set(model.hook_dict.values()):
            own = {handle.hook.id for handle in point.fwd_hooks if handle.is_permanent}
            kept = OrderedDict((n, hook) for n, hook in point._forward_hooks.items() if n in own)
            scope.callback(setattr, point, "_forward_hooks", point._forward_hooks)
            point._forward_hooks = kept  # those TransformerLens itself works with
        yield


def detach(attached: Iterable[tuple[Any, Any]]) -> None:
    """Take exactly these hooks away, given as hook points with the handles ``add_hook`` returned.

    ``reset_hooks()`` would take those of others too; one it took already is no error here.
    """
    for point, handle in attached:
        handle.hook.remove()
        point.fwd_hooks[:] = [kept for kept in point.fwd_hooks if kept is not handle]


@contextmanager
def _attached(model: Model, readers: Mapping[str, Callable[[Tensor], None]]) -> Iterator[None]:
    """Within, readers are called with what passes their hook points in this thread."""
    attached: list[tuple[Any, Any]] = []
    with model.facts.lock, opened(model, readers):
        points = model.hook_dict
        try:
            for name, reader in readers.items():
                attached.append((points[name], points[name].add_hook(_here(reader))))
            yield
        finally:
            detach(attached)


def _here(reader: Callable[[Tensor], None]) -> Callable[..., None]:
    owner = get_ident()

    def on_activation(z: Tensor, hook: Any) -> None:  # TransformerLens passes it by keyword
        if get_ident() == owner:
            reader(z)

    return on_activation


def _once(
    name: str, reader: Callable[[Tensor], None], waiting: set[str]
) -> Callable[[Tensor], None]:
    """A reader that ends the pass where it was the last to wait."""

    def read_it(z: Tensor) -> None:
        reader(z)
        waiting.discard(name)
        if not waiting:
            raise _AllRead

    return read_it
