"""The names of neurons: a hook point holds those of one layer, a site all of one kind."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from mechsteer.errors import SiteError


@dataclass(frozen=True)
class HookSite:
    """One hook point that holds neurons: ``("post", 3, "blocks.3.mlp.hook_post", 768)``.

    The two stacks of an encoder-decoder have components of their own, ``"encoder.post"`` and
    ``"decoder.post"``, and each counts its layers from 0.
    """

    component: str
    layer: int
    hook: str
    width: int

    def __post_init__(self) -> None:
        """Refuse what no model has.

        Raises:
            SiteError: a layer below 0, or no neurons.
        """
        if self.layer < 0 or self.width < 1:
            raise SiteError(f"expected a layer of 0 or more with neurons, got {self}")

    @property
    def stack(self) -> str:
        """``"encoder"`` or ``"decoder"``; empty where a model has one stack."""
        return self.component.rpartition(".")[0]

    @property
    def kind(self) -> str:
        """The component without its stack: ``"post"``."""
        return self.component.rpartition(".")[2]

    @property
    def layer_name(self) -> str:
        """``"layer 3"``, or ``"encoder layer 3"``."""
        return f"{self.stack} layer {self.layer}".lstrip()


@dataclass(frozen=True)
class Site:
    """All neurons of one kind in a model, numbered flat in the order of ``points``, layer-major.

    >>> site = Site("post", (HookSite("post", 0, "a", 3), HookSite("post", 1, "b", 5)))
    >>> site.n_neurons, site.offsets, site.locate(4), site.number("post", 1, 1)
    (8, (0, 3), ('post', 1, 1), 4)
    """

    name: str
    points: tuple[HookSite, ...]

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all points together."""
        return sum(point.width for point in self.points)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Flat number of the first neuron of each point."""
        return (0, *accumulate(point.width for point in self.points))[:-1]

    def locate(self, index: int) -> tuple[str, int, int]:
        """Component, layer and neuron of a flat number.

        Raises:
            SiteError: the site has no such neuron.
        """
        if not 0 <= index < self.n_neurons:
            raise SiteError(f"expected a neuron from 0 to {self.n_neurons - 1}, got {index}")
        number = bisect_right(self.offsets, index) - 1
        point = self.points[number]
        return point.component, point.layer, index - self.offsets[number]

    def number(self, component: str, layer: int, neuron: int) -> int:
        """Flat number of a neuron, the inverse of ``locate``.

        Raises:
            SiteError: the site has no such neuron.
        """
        for point, at in zip(self.points, self.offsets, strict=True):
            if (point.component, point.layer) == (component, layer) and 0 <= neuron < point.width:
                return at + neuron
        raise SiteError(f"site {self.name!r} has no neuron {component}:{layer}:{neuron}")

    def spans(self, neurons: range) -> list[tuple[HookSite, int, int]]:
        """Hook points of a range of flat numbers, each with its own first neuron and that after.

        >>> site = Site("post", (HookSite("post", 0, "a", 3), HookSite("post", 1, "b", 5)))
        >>> [(point.layer, start, stop) for point, start, stop in site.spans(range(2, 5))]
        [(0, 2, 3), (1, 0, 2)]
        """
        found = [
            (point, max(neurons.start - at, 0), min(neurons.stop - at, point.width))
            for point, at in zip(self.points, self.offsets, strict=True)
        ]
        return [span for span in found if span[1] < span[2]]
