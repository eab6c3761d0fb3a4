"""Fit an edit to every layer: all at once, or each with the layers before it already edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from typing_extensions import Unpack

from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.errors import MechsteerError
from mechsteer.interventions.compose import compose
from mechsteer.interventions.edits import Edit
from mechsteer.kernels import Pooling
from mechsteer.model.interface import Model
from mechsteer.model.sites import Site, find_site
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.recording import Recording, record
from mechsteer.recording.points import points_of, residual_rows
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions
from mechsteer.steering import steer

# the edit of one layer (of one row, for the residual stream) from what was recorded there
Make = Callable[[Recording, int], Edit]


@with_bars
def fit(
    model: ModelLike,
    corpus: Sentences,
    make: Make,
    *,
    incremental: bool = False,
    residual: bool = False,
    layers: Sequence[int] | None = None,
    site: str = "post",
    pooling: Pooling | tuple[Pooling, ...] = "mean",
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> Edit:
    """Make the edit of each layer from what the layer does on a corpus, and merge them into one.

    At once, the model is recorded as it is. Incrementally, each layer is recorded with the edits of
    the layers before it installed, so that it is fitted to what will really reach it. A pass ends
    at the layer whose neurons are being fitted, so L layers cost about L/2 passes.

    ``make`` gets a recording and a layer, and returns the edit of that layer alone:
    ``lambda recording, layer: linear_transport(experts.in_layer(layer), recording)``. Edits that
    depend on the language of a row cannot be fitted incrementally: a batch mixes languages.

    Args:
        model: in eval mode, whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language.
        make: the edit of a layer; one that changes nothing is fine.
        incremental: whether earlier layers are edited already.
        residual: fit the residual stream: ``layers`` are its rows (row 0 is the embedding, row l
            follows block l), and the recording holds embeddings, of all rows, instead of neurons.
        layers: which to edit; all by default.
        site: whose neurons are recorded.
        pooling: what is recorded of them.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        progress: show bars where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Source: Rodriguez et al. 2025 (2410.23054), who call the two ``incr`` and ``atonce``.

    Raises:
        MechsteerError: a layer the model does not have, edits that do not merge into one, or both
            stacks of an encoder-decoder incrementally: a decoder reads what its encoder gives, so
            fit ``site="encoder.post"``, and with that installed ``site="decoder.post"``.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    recorder = partial(
        record,
        model,
        corpus,
        site=site,
        pooling=pooling,
        tokenizer=tokenizer,
        reading=reading.changed(options),
        progress=False,
    )
    steps = _steps(model, site, layers, residual=residual)
    if incremental and not residual:
        _require_one_stack(find_site(model, site))
    at_once = None if incremental else _recorded(recorder, steps, residual=residual)
    made: list[Edit] = []
    for layer in bar(steps, "fitting", "layer"):
        if at_once is None:
            with steer(model, *compose(*made)):
                recording = _recorded(recorder, [layer], residual=residual)
        made.append(make(at_once or recording, layer))
    return _one(made)


def _steps(model: Model, site: str, layers: Sequence[int] | None, *, residual: bool) -> list[int]:
    """The layers to edit in the order of the forward pass."""
    if residual:
        known = {row.layer for row in residual_rows(model)}
    else:
        known = {point.layer for point in points_of(find_site(model, site), None)}
    steps = sorted(known if layers is None else set(layers))
    if not steps or not set(steps) <= known:
        raise MechsteerError(f"expected layers from 0 to {max(known)}, got {list(layers or [])}")
    return steps


def _require_one_stack(site: Site) -> None:
    stacks = sorted({point.stack for point in site.points})
    if len(stacks) > 1:
        raise MechsteerError(
            f"site {site.name!r} has layers in two stacks, and the {stacks[0]} reads what the "
            f"{stacks[1]} gives: fit incrementally site='encoder.{site.name}', then, with that "
            f"edit installed, site='decoder.{site.name}'"
        )


def _recorded(
    recorder: Callable[..., Recording], layers: list[int], *, residual: bool
) -> Recording:
    if residual:
        return recorder(layers=(), embeddings=True)
    return recorder(layers=layers)


def _one(made: list[Edit]) -> Edit:
    merged = compose(*made)
    if len(merged) > 1:
        kinds = ", ".join(edit.name for edit in merged)
        raise MechsteerError(f"expected edits that merge into one, got {kinds}")
    return merged[0] if merged else made[0]
