"""The scope in which a model runs edited, and after which it is bit for bit itself again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, get_args

from torch import Tensor

from mechsteer.errors import MechsteerError, SiteError
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.edits import as_edits
from mechsteer.model.derived import opened
from mechsteer.model.hooks import detach
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, find_site, residual_points
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.steering import generation
from mechsteer.steering.actions import Action, by_row, neuron_actions, residual_actions
from mechsteer.steering.maxima import of_maxima
from mechsteer.steering.owner import own_thread
from mechsteer.steering.positions import PositionMask, Positions
from mechsteer.steering.state import noted

Hook = Callable[..., Tensor | None]


def steer(
    model: ModelLike,
    *edits: Edit,
    positions: Positions = "all",
    languages: str | Sequence[str] | None = None,
    tokenizer: Any = None,
) -> Steering:
    """Install edits on a model; they act in every forward pass until they are removed.

    Use it as a scope, ``with ms.steer(model, edit): …``, or keep the handle and call ``remove()``.

    Edits act left to right, each on what those before it made of an activation. Scopes nest: an
    inner one acts after the outer. Hooks of others are never touched; those attached before see an
    activation first. An edit that is the identity (no neurons, or strength 0) installs nothing, so
    the logits stay bit-identical.

    A scope belongs to the thread that opens it: while it is open, passes of other threads over the
    model are refused, and opening it waits for those that run.

    Padding is never edited: the scope reads it off the ``attention_mask`` that each pass gets, and
    a pass without one has no padding. Batches may be padded on either side, on the left with the
    tokenizer's own padding token (XLM-R numbers positions by it), and encoder-decoders on the right
    (mBART does not read positions off the mask).

    The encoder and the decoder of an encoder-decoder have positions of their own: an edit of the
    encoder goes by the encoder's mask and tokens, one of the decoder by the decoder's.

    The model may be a plain Hugging Face one that a bridge wraps, called through the bridge or by
    itself; by itself BERT takes padding on the right only (it does not read positions off the
    mask). A bridge given to ``torch.compile`` is steered too, with a graph that breaks at every
    hook: expect no speed-up.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        edits: of neurons or of the residual stream.
        positions: ``"all"`` that are not padding, special tokens included; ``"content"``: real
            tokens (see ``mechsteer.recording.tokens``; a prefix is known where mechsteer embeds or
            predicts, and is text in a pass of one's own); ``"last"``: the last one of each row's
            prompt and all after it; ``"generated"``: all after the prompt. The prompt is what a
            call of ``generate`` was given, padding and a filled cache included, however it reads
            it (chunks, candidates, beams); in a loop of one's own it ends where the cache does; any
            other pass is all prompt, and then ``"generated"`` warns.
        languages: the language of every row of a batch, or a list with one for each row, for edits
            that depend on it; those that do not leave it unread.
        tokenizer: tells special tokens for ``"content"``; the model's plain one by default.

    Raises:
        SiteError: an edit was made for a site this model does not have.
        ArtifactError: an edit was made with another model.
        MechsteerError: unknown positions; an edit that needs the language of each row.
    """
    if positions not in get_args(Positions):
        raise MechsteerError(
            f"expected positions of {', '.join(get_args(Positions))}, got {positions!r}"
        )
    model, edits = as_model(model), as_edits(edits)
    for edit in edits:
        _require_place(model, edit)
    installed = [e if isinstance(e, NeuronEdit) else by_row(e, languages) for e in edits]
    moving = [edit for edit in installed if not edit.is_identity()]
    if positions == "content":
        tokenizer = tokenizer or model.plain_tokenizer
    steering = Steering(model)
    with model.facts.lock:
        try:
            steering.watch(model, moving)
            if moving:
                steering.install(model, moving, positions, tokenizer)
                steering.on_removal(noted(model, moving, positions))
        except BaseException:
            steering.remove()
            raise
    return steering


def _require_place(model: Model, edit: Edit) -> None:
    if edit.model is not None:
        model.require_same(edit.model)
    if isinstance(edit, ResidualEdit):
        model.require_raw()
        if not set(edit.points) <= set(residual_points(model)):
            raise SiteError(
                f"edit {edit.name!r} was made for another residual stream than this model has: "
                "embed with this model and make the edit from that"
            )
    elif find_site(model, edit.site.name) != edit.site:
        raise SiteError(
            f"edit {edit.name!r} was made for another {edit.site.name!r} site than this model has; "
            "score this model and make the edit from its own experts"
        )


class Steering:
    """Handle of installed edits: a context manager, and ``remove()`` for those who keep it.

    Attributes:
        model: what is steered, which is how a model given by its name is reached.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._installed: list[tuple[Any, Any]] = []
        self._fired: dict[str, bool] = {}
        self._where: dict[str, PositionMask] = {}
        self._opened = ExitStack()
        self._require_own = own_thread()

    def watch(self, model: Model, edits: Sequence[Edit]) -> None:
        """While the scope lasts, refuse generation with a cache where that is wrong.

        The first one warns of clamps at maxima, which make a model repeat itself.
        """
        watched = generation.watch(model, counting=False)
        self._opened.callback(generation.forget, model, counting=False)
        if note := of_maxima(edits):
            watched.notes.append(note)
            self._opened.callback(_withdraw, watched.notes, note)

    def install(
        self, model: Model, edits: Sequence[Edit], positions: Positions, tokenizer: Any
    ) -> None:
        """Hook edits that act at some positions, one hook a point that they move anything at."""
        for stack in {place.stack for edit in edits for place in _places(edit)}:
            self._where[stack] = PositionMask(model, stack, positions, tokenizer)
        for edit in edits:  # one after the other, so that each acts on what those before it made
            hooks = [place.hook for place in _places(edit)]
            self._opened.enter_context(opened(model, hooks))
            points = model.hook_dict
            # where the last block's output stands for the final norm, both rows are one point
            actions = {
                points[place.hook]: (place, act)
                for place, act in _actions(edit, self._where).items()
            }
            for point, (place, act) in actions.items():
                hook = self._hook(place.hook, act, self._where[place.stack])
                self._installed.append((point, point.add_hook(hook)))

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Call something once when the edits are taken away."""
        self._opened.callback(forget)

    def _hook(self, name: str, act: Action, where: PositionMask) -> Hook:
        self._fired[name] = False

        def edit(z: Tensor, hook: Any) -> Tensor | None:
            self._require_own()
            self._fired[name] = True
            return None if where.nothing else act(z)

        return edit

    def remove(self) -> None:
        """Take every edit of this handle away; calling it again does nothing."""
        with self.model.facts.lock:
            detach(self._installed)
            self._installed.clear()
            self._opened.close()
            for where in self._where.values():
                where.remove()

    def __enter__(self) -> Steering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()
        silent = [name for name, fired in self._fired.items() if not fired]
        if silent and error is None:
            warnings.warn(f"these edits never acted: no forward reached {silent}", stacklevel=2)


def _withdraw(notes: list[str], note: str) -> None:
    if note in notes:  # nothing was written in this scope
        notes.remove(note)


def _places(edit: Edit) -> tuple[HookSite, ...]:
    return edit.site.points if isinstance(edit, NeuronEdit) else edit.points


def _actions(edit: Edit, where: Mapping[str, PositionMask]) -> dict[HookSite, Action]:
    if isinstance(edit, NeuronEdit):
        return neuron_actions(edit, where)
    return residual_actions(edit, where)
