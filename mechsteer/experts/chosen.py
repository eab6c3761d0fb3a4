"""The experts of a language: chosen neurons with what their edits need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.display import Displayed, count
from mechsteer.equality import ByValue
from mechsteer.errors import MechsteerError, shown
from mechsteer.experts.moments import Beside, Moments, picked
from mechsteer.kernels import Pooling
from mechsteer.model.sites import Site

if TYPE_CHECKING:
    from mechsteer.model.identity import ModelIdentity

PER_EXPERT = ("ap", "auroc", "effect_size", "mean", "median", "std")


class Expert(NamedTuple):
    """One expert: where it is, counted from 0, and its scores and statistics."""

    language: str
    rank: int
    component: str
    layer: int
    neuron: int
    ap: float
    auroc: float
    effect_size: float
    mean: float
    median: float
    std: float


@dataclass(frozen=True, eq=False, repr=False)
class Experts(Displayed, ByValue):
    """Chosen neurons of one language, in rank order, with what their edits need.

    ``index`` are flat neuron numbers of ``site``; the other tensors are float32 ``[expert]``. The
    statistics are of activations pooled as they were scored, those of ``beside`` of the other
    poolings that were recorded in the same pass. ``script_ap`` is the average precision among
    languages of one script, None where the language is the only one of its script.

    ``experts[3]`` is one ``Expert``, ``experts[:10]`` or ``experts[[2, 5]]`` are experts again, and
    a loop goes through them one by one, best first.
    """

    language: str
    site: Site
    pooling: Pooling
    index: Int[Tensor, " expert"]
    selection: str
    tied_at_cut: int
    ap: Float[Tensor, " expert"]
    auroc: Float[Tensor, " expert"]
    effect_size: Float[Tensor, " expert"]
    mean: Float[Tensor, " expert"]
    median: Float[Tensor, " expert"]
    std: Float[Tensor, " expert"]
    model: ModelIdentity | None = None
    beside: Beside = field(default_factory=dict)
    script_ap: Float[Tensor, " expert"] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, place: Any) -> Any:
        """One expert by its place in rank order, or some of them; negative ones from the end.

        Args:
            place: a whole number; a slice, whole numbers or a mask of all experts for some.

        Raises:
            IndexError: there is none.
            MechsteerError: it is no place.
        """
        places = range(len(self))
        if isinstance(place, slice):
            return self.pick(places[place])
        listed = place.tolist() if hasattr(place, "tolist") else place
        if _is_whole(listed):
            return self._expert(places[listed])
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise MechsteerError(f"expected places of experts from 0, got {shown(place)}")
        if len(listed) == len(self) and all(isinstance(each, bool) for each in listed):
            return self.pick([row for row, chosen in enumerate(listed) if chosen])
        if not all(map(_is_whole, listed)):
            raise MechsteerError(
                f"expected places of experts from 0, or a mask of {len(self)}, got {shown(place)}"
            )
        return self.pick([places[each] for each in listed])

    def __iter__(self) -> Iterator[Expert]:
        return map(self._expert, range(len(self)))

    def _expert(self, row: int) -> Expert:
        numbers = (float(getattr(self, name)[row]) for name in PER_EXPERT)
        return Expert(self.language, row + 1, *self.site.locate(int(self.index[row])), *numbers)

    def _line(self) -> str:
        total = count(self.site.n_neurons, "neuron")
        return f"{self.language}: {len(self):,} of {total} of {self.site.name}, {self.selection}"

    def _shown(self) -> pd.DataFrame:
        return self.table()

    def pick(self, rows: Sequence[int], *, selection: str | None = None) -> Experts:
        """Some of the experts, by their places in rank order; ranks are theirs among each other."""
        kept = torch.tensor(list(rows), dtype=torch.int64)
        whole = torch.equal(kept, torch.arange(len(self)))
        selection = selection or (self.selection if whole else f"{len(kept)} of {self.selection}")
        columns: Any = {name: getattr(self, name)[kept] for name in ("index", *PER_EXPERT)}
        columns["script_ap"] = None if self.script_ap is None else self.script_ap[kept]
        beside = picked(self.beside, kept)
        return replace(self, selection=selection, beside=beside, **columns)

    def statistic(self, name: str, pooling: Pooling) -> Tensor:
        """Mean or median of each expert over the language's sentences, pooled in one way.

        Raises:
            MechsteerError: that pooling was not recorded with the scores.
        """
        if pooling != self.pooling and pooling not in self.beside:
            known = ", ".join((self.pooling, *self.beside))
            raise MechsteerError(
                f"expected a pooling that was recorded with the scores ({known}), got {pooling!r}: "
                f'score again with also_pooling="{pooling}" (a new run with --also-pooling '
                f"{pooling}), or take pooling={self.pooling!r}"
            )
        source: Experts | Moments = self if pooling == self.pooling else self.beside[pooling]
        found: Tensor = getattr(source, name)
        return found

    def in_layer(self, layer: int) -> Experts:
        """The experts of one layer, in rank order; there may be none."""
        places = [self.site.locate(flat)[1] for flat in self.index.tolist()]
        rows = [row for row, place in enumerate(places) if place == layer]
        return self.pick(rows, selection=f"{self.selection}, layer {layer}")

    def table(self) -> pd.DataFrame:
        """One row an expert: language, rank, component, layer, neuron, scores and statistics.

        ``script_ap``, the average precision among languages of one script, is the last column; it
        is not there where the language is the only one of its script.
        """
        places = [self.site.locate(flat) for flat in self.index.tolist()]
        components, layers, neurons = zip(*places, strict=True) if places else ((), (), ())
        head = {"language": self.language, "rank": range(1, len(self) + 1)}
        where = {"component": components, "layer": layers, "neuron": neurons}
        columns = {name: getattr(self, name).numpy() for name in PER_EXPERT}
        if self.script_ap is not None:
            columns["script_ap"] = self.script_ap.numpy()
        return pd.DataFrame(head | where | columns)


def _is_whole(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)
