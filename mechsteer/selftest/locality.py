r"""An edit of one neuron does what its formula says, there and after it, and then it is gone.

Where neuron ``j`` changes by ``D``, the down-projection's output changes by ``W_out[:, j] D``. Both
outputs are floating-point sums of ``n`` products and a bias, each in error by at most ``g_k S``
whatever the order of the sum: ``k = n + 1`` terms, ``g_k = k u / (1 - k u)``, ``u`` the unit
roundoff of float32, ``S = sum_i |W_i z_i| + |bias|`` (Higham 2002, section 3.1). Storing an output
in the activation's dtype adds its unit roundoff. Sums of 16-bit products run in float32 in every
backend of torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import SiteError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, Site, find_site, residual_points
from mechsteer.selftest.check import Check, Gap, measured, not_applicable, relative
from mechsteer.selftest.derived import base_of
from mechsteer.selftest.plain import linear_module
from mechsteer.selftest.subject import Subject, activations
from mechsteer.steering import steer

_SIZE = 2.0  # of the shift, in units of the largest activation at the point
Snapshot = dict[str, Tensor]


@dataclass(frozen=True)
class Trial:
    """Neuron ``neuron`` of a point, shifted; activations in the order that they fire."""

    point: HookSite
    neuron: int
    shift: float
    before: Snapshot
    under: Snapshot
    real: Tensor

    @property
    def place(self) -> int:
        """How many activations fire before the edited one."""
        return list(self.before).index(self.point.hook)

    def earlier(self) -> Gap:
        """What fires before the edited point keeps its bits."""
        return _same(list(self.before.items())[: self.place], self.under)

    def alone(self) -> Gap:
        """At the point itself that neuron is ``z + shift`` and all others keep their bits."""
        z = self.before[self.point.hook].clone()
        column = z[..., self.neuron]
        shifted = (column.float() + self.shift).to(z.dtype)
        z[..., self.neuron] = torch.where(self.real, shifted, column)
        return _same([(self.point.hook, z)], self.under)

    def reached(self) -> list[Gap]:
        """1 where nothing after the point changed, else 0; nothing where it is the last."""
        later = list(self.before.items())[self.place + 1 :]
        return [Gap(float(_same(later, self.under).difference == 0), 0.0)] if later else []


def shifted(subject: Subject, site: Site, point: HookSite, neuron: int) -> NeuronEdit:
    """The edit that adds twice the point's largest activation to one neuron."""
    start = site.offsets[site.points.index(point)]
    size = _SIZE * float(subject.activations[point.hook][subject.real].abs().max()) or 1.0
    index, one = torch.tensor([start + neuron]), torch.ones(1)
    return NeuronEdit("self-test", site, index, a=one, b=one * size)


def locality(subject: Subject) -> Iterator[Check]:
    """What comes before, at, and after an edited neuron, and what the scope leaves behind."""
    earlier, alone, reached, written, left = [], [], [], [], []
    for sites in apart(subject.model, subject.sites):
        before = _everything(subject, sites)
        for trial in _trials(subject, sites, before):
            earlier.append(trial.earlier())
            alone.append(trial.alone())
            reached += trial.reached()
            written += _written(subject, trial)
        left.append(_same(list(before.items()), _everything(subject, sites)))
    yield measured("edit: before", "what fires before the edited neuron keeps its bits", earlier)
    yield measured("edit: there", "z + shift at the neuron, z at all others", alone)
    yield measured("edit: after", "edits that change nothing that fires later", reached)
    yield _down_projection(written)
    yield measured("edit: left behind", "every activation before the scopes and after", left)


def apart(model: Model, sites: Iterable[Site]) -> list[list[Site]]:
    """Sites in groups, none with two that are computed from one activation: neither is before."""
    groups: list[tuple[list[Site], set[str]]] = []
    for site in sites:
        bases = {base_of(model, point.hook) for point in site.points}
        group = next((g for g in groups if not g[1] & bases), None)
        if group is None:
            groups.append(group := ([], set()))
        group[0].append(site)
        group[1].update(bases)
    return [found for found, _ in groups]


def _trials(subject: Subject, sites: list[Site], before: Snapshot) -> Iterator[Trial]:
    """First, middle and last layer of each component, an active neuron of another third in each."""
    for site in sites:
        for component in dict.fromkeys(point.component for point in site.points):
            points = [point for point in site.points if point.component == component]
            layers = sorted({0, len(points) // 2, len(points) - 1})
            for number, layer in enumerate(layers):
                point = points[layer]
                neuron = _active(subject, point, number, len(layers))
                edit = shifted(subject, site, point, neuron)
                with steer(subject.model, edit, tokenizer=subject.tokenizer):
                    under = _everything(subject, sites)
                yield Trial(point, neuron, float(edit.b), before, under, subject.real)


def _active(subject: Subject, point: HookSite, part: int, parts: int) -> int:
    """The neuron of the largest activation in one part of a point's neurons."""
    start, end = point.width * part // parts, point.width * (part + 1) // parts
    z = subject.activations[point.hook][subject.real][:, start:end]
    return start + int(z.abs().amax(0).argmax())


def _everything(subject: Subject, sites: list[Site]) -> Snapshot:
    """Activations of some sites' neurons, of all down-projections, and of the residual stream."""
    neurons = [point for site in sites for point in site.points]
    points = (*neurons, *_outputs(subject.model), *residual_points(subject.model))
    hooks = dict.fromkeys(point.hook for point in points)
    return activations(subject.model, hooks, subject.ids, subject.mask)


def _outputs(model: Model) -> tuple[HookSite, ...]:
    """Outputs of the down-projections, where the ``linear`` site has them."""
    try:
        return tuple(p for p in find_site(model, "linear").points if p.kind == "down")
    except SiteError:
        return ()


def _same(values: list[tuple[str, Tensor]], others: Snapshot) -> Gap:
    """The largest relative difference of these activations, none allowed."""
    return Gap(max((relative(others[hook], z) for hook, z in values), default=0.0), 0.0)


def _written(subject: Subject, trial: Trial) -> list[Gap]:
    """The change of the down-projection's output beside ``W_out[:, j] D``, of one trial."""
    point = trial.point
    outputs = {(p.stack, p.layer): p.hook for p in _outputs(subject.model)}
    hook = outputs.get((point.stack, point.layer)) if point.kind == "post" else None
    weight = None if hook is None else _weight(linear_module(subject.model, point))
    if hook is None or weight is None:
        return []
    states = [
        (s[trial.point.hook][trial.real].double(), s[hook][trial.real].double())
        for s in (trial.before, trial.under)
    ]
    (z, out), (moved, changed) = states
    expected = (moved - z)[:, trial.neuron, None] * weight[:, trial.neuron]
    error = ((changed - out) - expected).abs()
    each = [_rounding(subject, trial, weight, *state) for state in states]
    allowed = each[0] + each[1]
    worst = int((error / allowed).argmax())
    scale = float(expected.abs().max()) or 1.0
    return [Gap(float(error.flatten()[worst]) / scale, float(allowed.flatten()[worst]) / scale)]


def _rounding(
    subject: Subject,
    trial: Trial,
    weight: Float[Tensor, "out neuron"],
    z: Float[Tensor, "token neuron"],
    out: Float[Tensor, "token out"],
) -> Float[Tensor, "token out"]:
    """Bound on the error of a down-projection's output."""
    bias = getattr(linear_module(subject.model, trial.point), "bias", None)
    u, terms = torch.finfo(torch.float32).eps / 2, weight.shape[1] + 1
    total = z.abs() @ weight.abs().T + (0 if bias is None else bias.detach().cpu().double().abs())
    stored = torch.finfo(subject.dtype).eps / 2 * out.abs()
    return terms * u / (1 - terms * u) * total + stored


def _weight(module: nn.Module | None) -> Float[Tensor, "out neuron"] | None:
    """A down-projection in float64; None where its weights cannot be read as numbers."""
    from transformers.pytorch_utils import Conv1D

    weight = None if hasattr(module, "base_layer") else getattr(module, "weight", None)
    if weight is None or weight.is_meta or weight.ndim != 2 or not weight.is_floating_point():
        return None
    exact: Tensor = (weight.T if isinstance(module, Conv1D) else weight).detach().cpu().double()
    return exact


def _down_projection(gaps: list[Gap]) -> Check:
    name, compared = "edit: W_out", "change of the down-projection's output, and W_out[:, j] shift"
    if not gaps:
        return not_applicable(name, compared, "no edited neuron has a down-projection to read")
    return measured(name, compared, gaps, "rounding of a sum of k products, g_k S")
