"""The best neurons of one language straight from a recording, without a table of all scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mechsteer.corpus.names.languages import script_of
from mechsteer.errors import MechsteerError
from mechsteer.experts.among import among, by_script, whom
from mechsteer.experts.compiling import compiling
from mechsteer.experts.moments import MOMENTS, Moments
from mechsteer.experts.scores import PER_EXPERT, Experts, resolve_k
from mechsteer.kernels import TopExperts, effect_size, top_experts
from mechsteer.kernels import score as score_columns
from mechsteer.options.ranking import Within
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.recording.finite import naming

if TYPE_CHECKING:
    from mechsteer.kernels import Pooling
    from mechsteer.recording import Recording


@with_bars
def top_of_recording(
    recording: Recording,
    language: str,
    k: float,
    *,
    pooling: Pooling = "max",
    within: Within = "all",
    progress: bool = True,
) -> Experts:
    """The k neurons that detect ``language`` best, by average precision.

    The same experts as ``score_recording(recording, pooling=pooling).top(language, k, within=…)``,
    ties included, at a fraction of its time and memory: most neurons are only bounded, see
    ``mechsteer.kernels.top_experts``. For one language; where several are wanted, score once.

    Args:
        recording: what was recorded.
        language: canonical code, one of the recording's.
        k: a number of neurons (int), or a fraction of all neurons (float below 1).
        pooling: ``"max"``, ``"mean"`` or ``"last"``; it must have been recorded.
        within: told from ``"all"`` other languages, or from those of its own ``"script"``.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: a language or pooling that was not recorded, k outside ``[0, neurons]``, an
            activation that is not finite.
    """
    if len(recording.languages) < 2:
        raise MechsteerError(
            f"expected a recording of at least two languages, got {list(recording.languages)}: a "
            "detector of one language needs sentences of others"
        )
    if language not in recording.languages:
        raise MechsteerError(
            f"expected a language of the recording ({', '.join(recording.languages)}), got "
            f"{language!r}"
        )
    count, label = resolve_k(k, recording.site.n_neurons), recording.languages.index(language)
    judged = among(recording, language, within)
    positive = judged.labels == judged.languages.index(language)
    found: list[TopExperts] = []
    for point in bar(recording.site.points, "searching", "layer"):
        x = judged.pick(recording.activations(point, pooling=pooling))
        most = min(count, x.shape[1])
        with naming(point), compiling():
            found.append(top_experts(x, positive, most, labels=judged.labels))
    offsets = recording.site.offsets
    flat = torch.cat([part.index.cpu() + at for part, at in zip(found, offsets, strict=True)])
    ap, d = (
        torch.cat([getattr(part, name).cpu() for part in found]) for name in ("ap", "effect_size")
    )
    best = flat[torch.from_numpy(np.lexsort((flat, -d, -ap))[:count])]
    others = [how for how in recording.pooling if how != pooling]
    tied = _tied_at(ap.sort(descending=True).values[count - 1], found) if count else 0
    return Experts(
        language,
        recording.site,
        pooling,
        best,
        f"top {count} by ap{whom(language, within)}",
        tied,
        model=recording.model,
        beside={how: _moments(recording, best, label, how) for how in others},
        script_ap=_script_ap(recording, best, language, pooling),
        **_statistics(recording, best, label, pooling),
    )


def _script_ap(
    recording: Recording, experts: Tensor, language: str, pooling: Pooling
) -> Tensor | None:
    """Average precision of each expert among the languages of one script, where there are any."""
    peers = by_script(recording).get(script_of(language))
    if peers is None:
        return None
    found = torch.empty(len(experts), dtype=torch.float32)
    for point, at in zip(recording.site.points, recording.site.offsets, strict=True):
        here = ((experts >= at) & (experts < at + point.width)).nonzero().flatten()
        if len(here):
            x = peers.pick(recording.activations(point, pooling=pooling))
            own = x[:, (experts[here] - at).to(x.device)]
            ap = score_columns(own, peers.labels, moments=False).ap
            found[here] = ap[peers.languages.index(language)].cpu()
    return found


def _tied_at(cut: Tensor, found: list[TopExperts]) -> int:
    """Neurons of the site with the average precision of the last expert.

    A layer whose own last one is worse has listed all of them; one that ends at it has counted
    them; none ends above it.
    """
    return sum(
        part.tied_at_cut if part.ap[-1] == cut else int((part.ap == cut).sum()) for part in found
    )


def _moments(recording: Recording, experts: Tensor, label: int, pooling: Pooling) -> Moments:
    """What an edit needs of each expert under another pooling."""
    return Moments(**_statistics(recording, experts, label, pooling, MOMENTS))


def _statistics(
    recording: Recording,
    experts: Tensor,
    label: int,
    pooling: Pooling,
    names: Sequence[str] = PER_EXPERT,
) -> dict[str, Tensor]:
    """What an edit needs of each expert, scored layer by layer."""
    columns = {name: torch.empty(len(experts), dtype=torch.float32) for name in names}
    for point, at in zip(recording.site.points, recording.site.offsets, strict=True):
        here = ((experts >= at) & (experts < at + point.width)).nonzero().flatten()
        if not len(here):
            continue
        x = recording.activations(point, pooling=pooling)
        with naming(point):
            scores = score_columns(x[:, (experts[here] - at).to(x.device)], recording.labels)
        moments = (scores.mean, scores.std, scores.rest_mean, scores.rest_std)
        d = effect_size(*(table for table in moments if table is not None))
        for name, values in columns.items():
            table = d if name == "effect_size" else getattr(scores, name)
            values[here] = table[label].cpu()
    return columns
