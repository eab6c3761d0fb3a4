"""The Hugging Face model itself, read through PyTorch's own forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mechsteer.errors import SiteError
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.model.loaders import quiet
from mechsteer.model.mixtures import shared_projection
from mechsteer.model.sites import HookSite
from mechsteer.model.sites.attention import PROJECTIONS, projection

COPY_LIMIT = 3e9  # bytes of parameters up to which a second copy is loaded to compare with
_WRAPPED = "._original_component"
# the module of an MLP whose input (True) or output holds the neurons of a component
_PLACES = {
    "post": ("out", True),
    "shared": ("out", True),
    "gate": ("gate", False),
    "up": ("in", False),
    "down": ("out", False),
    **dict.fromkeys(PROJECTIONS, ("", False)),
}


@dataclass(frozen=True)
class Plain:
    """A model to compare with, and how it was come by.

    Attributes:
        copy: a second copy that TransformerLens never touched; None where the modules inside the
            bridge are read in place, and then ``how`` says why.
        how: in words, for the table.
        headless: the checkpoint has no prediction head, so a random one was put on it.
    """

    copy: nn.Module | None
    how: str
    headless: bool = False


@dataclass(frozen=True)
class PlainPoint:
    """Where a hook point lies in the plain model: before or after a module, or a part of that."""

    module: nn.Module
    before: bool
    columns: tuple[int, int | None] = 0, None

    @contextmanager
    def reading(self, keep: Callable[[Tensor], None]) -> Iterator[None]:
        """Hand what passes here to ``keep``, copied to the CPU."""

        def give(out: Any) -> None:
            z = out[0] if isinstance(out, tuple) else out  # some say how it is scaled, too
            keep(z[..., slice(*self.columns)].detach().to("cpu", copy=True))

        if self.before:
            handle = self.module.register_forward_pre_hook(lambda _, args: give(args[0]))
        else:
            handle = self.module.register_forward_hook(lambda _, args, out: give(out))
        try:
            yield
        finally:
            handle.remove()


def plain_model(model: Model) -> Plain:
    """Load a second copy of the wrapped model where its source is known and its size is sensible.

    The copy is of the same class, dtype and attention (eager in a bridge), and is only used when
    every weight it shares with the model is equal.
    """
    wrapped = model.original_model
    source = getattr(wrapped.config, "_name_or_path", "")
    if reason := _why_no_copy(wrapped, source):
        return Plain(None, f"the modules inside the bridge, in place: {reason}")
    first = next(wrapped.parameters())
    loader: Any = type(wrapped)
    attention = getattr(wrapped.config, "_attn_implementation", None) or "eager"
    try:
        with quiet():
            copy, info = loader.from_pretrained(
                source,
                revision=getattr(wrapped.config, "_commit_hash", None),
                attn_implementation=attention,
                dtype=first.dtype,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Plain(None, f"the modules inside the bridge, in place: no second copy ({text})")
    random = set(info["missing_keys"])
    copy = copy.to(first.device).eval()
    if not _same_weights(copy, wrapped, leave_out=random):
        return Plain(None, f"the modules inside the bridge, in place: {source} has other weights")
    return Plain(copy, f"a second copy of the plain model, {attention} attention", bool(random))


def linear_module(model: Model, point: HookSite) -> nn.Module | None:
    """The linear module that takes or gives the neurons of a hook point.

    None where no module does: the experts of a mixture are computed inside one.
    """
    if point.kind not in _PLACES:  # computed from another activation, or inside experts
        return None
    block = model.stack(point.stack).blocks[point.layer]
    if point.hook.endswith(".shared.hook_post"):
        shared: nn.Module = shared_projection(block.original_component)[0]
        return shared
    if point.kind in PROJECTIONS:
        found_there: nn.Module | None = projection(
            model.stack(point.stack), point.layer, point.kind
        )
        return found_there
    mlp = block.mlp
    name, _ = _PLACES[point.kind]
    found = getattr(mlp, name, None) or getattr(mlp, f"dense_{name}", None)
    module: nn.Module | None = getattr(found, "original_component", found)
    return module


def plain_point(model: Model, plain: Plain, point: HookSite) -> PlainPoint | None:
    """Find a hook point in the plain model, by the name of its module or, fused, by its weights.

    None where no module takes or gives its neurons.

    Raises:
        SiteError: the plain model has no such module.
    """
    module = linear_module(model, point)
    if module is None:
        return None
    _, before = _PLACES[point.kind]
    if (there := module_there(model, plain, module)) is not None:
        return PlainPoint(there, before)
    found = None if plain.copy is None else _fused(plain.copy, module)
    if found is None and point.kind not in PROJECTIONS:  # theirs may be interleaved by head
        raise SiteError(f"{point.hook} has no counterpart in the plain model")
    return found


def module_there(model: Model, plain: Plain, module: Any) -> nn.Module | None:
    """A module of the model in what it is compared with, by name; None where that has none."""
    if plain.copy is None:
        same: nn.Module = module
        return same
    modules = dict(plain.copy.named_modules())
    parts = model.original_model.named_modules(remove_duplicate=False)
    names = (name.replace(_WRAPPED, "") for name, part in parts if part is module)
    return next((modules[name] for name in names if name in modules), None)


def rebuilt(
    model: Model, copy: nn.Module, run: Callable[[], Any], run_plain: Callable[[], Any]
) -> tuple[str, ...]:
    """Classes of plain modules that run in the copy and not in the bridge, which replaced them."""
    inner: dict[str, nn.Module] = {}
    for name, part in model.original_model.named_modules():
        inner[name.replace(_WRAPPED, "")] = part  # the innermost comes last
    modules = dict(copy.named_modules())
    fired = _fired(modules, run_plain) - _fired(inner, run)
    return tuple(sorted({type(modules[name]).__name__ for name in fired}))


def _why_no_copy(wrapped: HuggingFaceModel, source: str) -> str:
    parameters = list(wrapped.parameters())
    size = sum(p.numel() * p.element_size() for p in parameters)
    if getattr(wrapped, "is_quantized", False):
        return "its weights are quantised"
    if len({p.device for p in parameters}) > 1 or parameters[0].device.type not in ("cpu", "cuda"):
        return "it is not on one CPU or one GPU"
    if not source:
        return "where it was loaded from is not known"
    if size > COPY_LIMIT:
        return f"a second copy would take {size / 1e9:.1f} GB"
    return ""


def _same_weights(copy: nn.Module, wrapped: HuggingFaceModel, *, leave_out: set[str]) -> bool:
    theirs = {name.replace(_WRAPPED, ""): p for name, p in wrapped.named_parameters()}
    adapted = any(".base_layer." in name for name in theirs)  # as LoRA does
    return not adapted and all(
        torch.equal(parameter, theirs[name])
        for name, parameter in copy.named_parameters()
        if name in theirs and name not in leave_out
    )


def _fused(copy: nn.Module, part: nn.Module) -> PlainPoint | None:
    """The columns of a wider module's output whose weights are those of ``part``."""
    weight = _rows(part)
    if weight is None:
        return None
    for module in copy.modules():
        whole = _rows(module)
        if whole is None or whole.shape[1] != weight.shape[1]:
            continue
        for start in range(0, len(whole) - len(weight) + 1, len(weight)):
            columns = start, start + len(weight)
            if torch.equal(whole[slice(*columns)], weight):
                return PlainPoint(module, before=False, columns=columns)
    return None


def _rows(module: nn.Module) -> Tensor | None:
    """A weight with a row for each number that its module gives; None where it has none."""
    weight: Tensor | None = getattr(module, "weight", None)
    if weight is None or weight.ndim != 2:
        return None
    return weight.T if hasattr(module, "nf") else weight


def _fired(modules: Mapping[str, nn.Module], run: Callable[[], Any]) -> set[str]:
    seen: set[str] = set()

    def noting(name: str) -> Any:
        return lambda *_: seen.add(name)

    handles = [part.register_forward_hook(noting(name)) for name, part in modules.items()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return seen
