"""The scope's promises for edits of both kinds together, on every way to run a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit
from mechsteer.model.sites import find_site, residual_points
from tests.shape_checks import unchecked
from tests.steering.conftest import CAUSAL, FAMILIES

IDS = torch.tensor([[1, 20, 30, 40, 2], [1, 50, 60, 2, 2]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
LANGUAGES = ("eng_Latn", "fra_Latn")


def edits_of(model: Any) -> tuple[NeuronEdit, ResidualEdit]:
    """Neurons in every layer, some with a window; three rows, two languages, W and v."""
    generator = torch.Generator().manual_seed(0)
    site, points = find_site(model), residual_points(model)
    index = torch.arange(0, site.n_neurons, 7)
    a, b = torch.randn(2, len(index), generator=generator)
    low, high = torch.full_like(a, -torch.inf), torch.full_like(a, torch.inf)
    low[::2], high[::2] = -0.1, 0.2
    v, left, right = (torch.randn(2, 3, 32, n, generator=generator) for n in (1, 2, 2))
    return NeuronEdit("affine", site, index, a, b, low, high), ResidualEdit(
        "residual",
        (points[0], points[2], points[3]),
        v[..., 0],
        left=left * 0.1,
        right=right * 0.1,
        languages=LANGUAGES,
    )


@torch.inference_mode()
def logits(model: Any) -> Tensor:
    return model(IDS, attention_mask=MASK)


def state(model: Any) -> list[Any]:
    hooks = [(name, len(p.fwd_hooks), len(p._forward_hooks)) for name, p in model.hook_dict.items()]
    return [*hooks, len(model.original_model._forward_pre_hooks), sorted(vars(model))]


@pytest.mark.parametrize("positions", ["all", "last", "content", "generated"])
@pytest.mark.parametrize("family", FAMILIES)
def test_nested_scopes_and_exceptions_leave_bit_identical_logits(
    bridge: Callable[..., Any], family: str, positions: Any
) -> None:
    model = bridge(family)
    neurons, residual = edits_of(model)
    before, attached = logits(model), state(model)
    scope = {"positions": positions, "languages": LANGUAGES}
    with (
        pytest.raises(RuntimeError, match="inside"),
        ms.steer(model, neurons, **scope),
        ms.steer(model, residual, neurons, **scope),
    ):
        if positions != "generated":
            assert not torch.equal(logits(model), before)
        raise RuntimeError("inside")
    assert state(model) == attached
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_strength_0_and_no_edits_install_nothing(bridge: Callable[..., Any], family: str) -> None:
    model = bridge(family)
    neurons, residual = edits_of(model)
    none = NeuronEdit("none", neurons.site, torch.arange(0), torch.zeros(0), torch.zeros(0))
    before, attached = logits(model), state(model)
    still: list[Edit] = [neurons.scaled(0.0), residual.scaled(0.0), none]
    for positions in ("all", "last", "content", "generated"):
        with ms.steer(model, *still, positions=positions, languages=LANGUAGES):
            assert state(model) == attached
            assert torch.equal(logits(model), before)


def test_edits_that_cannot_all_be_installed_leave_none(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    neurons, residual = edits_of(model)
    attached = state(model)
    with pytest.raises(ValueError, match="depends on the language"):
        ms.steer(model, neurons, residual, positions="last")
    assert state(model) == attached


@pytest.mark.parametrize("family", CAUSAL)
def test_inner_scopes_act_after_outer_ones_and_edits_left_to_right(
    bridge: Callable[..., Any], family: str
) -> None:
    model = bridge(family)
    neurons, residual = edits_of(model)
    second = NeuronEdit(
        "second", neurons.site, neurons.index, 0.5 * torch.ones(len(neurons)), neurons.b
    )
    with ms.steer(model, residual, neurons, second, languages=LANGUAGES):
        expected = logits(model)
    with ms.steer(model, second, neurons, residual, languages=LANGUAGES):
        assert not torch.equal(logits(model), expected)
    with (
        ms.steer(model, residual, neurons, languages=LANGUAGES),
        ms.steer(model, second),
    ):
        assert torch.equal(logits(model), expected)


def test_a_windowed_edit_maps_only_values_within_it(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    neurons, _ = edits_of(model)
    hook = neurons.site.points[0].hook
    before = model.run_with_cache(IDS, names_filter=hook)[1][hook].clone()
    with ms.steer(model, neurons):
        after = model.run_with_cache(IDS, names_filter=hook)[1][hook]
    here = neurons.index < neurons.site.points[0].width
    index, a, b = neurons.index[here], neurons.a[here], neurons.b[here]
    assert neurons.low is not None
    assert neurons.high is not None
    z = before[..., index]
    inside = (z >= neurons.low[here]) & (z <= neurons.high[here])
    assert inside[..., ::2].any()
    assert not inside[..., ::2].all()
    torch.testing.assert_close(after[..., index], torch.where(inside, a * z + b, z))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_way_to_run_a_model_is_steered_alike(bridge: Callable[..., Any], family: str) -> None:
    model = bridge(family)
    with ms.steer(model, *edits_of(model), languages=LANGUAGES):
        expected = logits(model)
        with torch.no_grad():
            cached, cache = model.run_with_cache(IDS, attention_mask=MASK)
            hooked = model.run_with_hooks(IDS, attention_mask=MASK)
            wrapped = model.original_model(input_ids=IDS, attention_mask=MASK).logits
            by_place = model.original_model(IDS, attention_mask=MASK).logits
        with_gradient = model(IDS, attention_mask=MASK)
    last = residual_points(model)[3].hook
    assert cache[last].shape == (2, 5, 32)
    for found in (cached, hooked, wrapped, by_place, with_gradient):
        assert torch.equal(found, expected)


def test_gradients_pass_through_edits(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    embeddings = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(1))
    embeddings.requires_grad_()
    with ms.steer(model, *edits_of(model), languages=LANGUAGES):
        model(embeddings).sum().backward()
    assert embeddings.grad is not None
    assert embeddings.grad.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("positions", ["all", "last", "generated"])
def test_low_precision_agrees_teacher_forced_with_and_without_a_cache(
    checkpoint: Callable[..., Any], dtype: torch.dtype, positions: Any
) -> None:
    from mechsteer.model.load import load_model

    tokens, truth = teacher_forced(load_model(checkpoint("llama"), device="cpu"), positions)
    low = load_model(checkpoint("llama"), device="cpu", dtype=dtype)
    cached = teacher_forced(low, positions, tokens, use_cache=True)[1]
    uncached = teacher_forced(low, positions, tokens, use_cache=False)[1]
    # each rounds the same sums in its own order: neither may differ from the other by more than
    # both do from float32
    noise = (cached - truth).abs().max() + (uncached - truth).abs().max()
    assert (cached - uncached).abs().max() <= noise
    with torch.inference_mode():
        plain = low(tokens)[:, 2:-1].float()
    assert noise < 0.5 * (plain - truth).abs().max()


@torch.inference_mode()
def teacher_forced(
    model: Any, positions: Any, tokens: Tensor | None = None, *, use_cache: bool = False
) -> tuple[Tensor, Tensor]:
    """Generate under edits what ``tokens`` say, or greedily; tokens and the logits of each step."""
    steps: list[Tensor] = []

    def choose(ids: Tensor, scores: Tensor) -> Tensor:
        steps.append(scores.float())
        if tokens is None:
            return scores
        wanted = torch.full_like(scores, -torch.inf)
        return wanted.scatter(1, tokens[:, ids.shape[1], None], 0.0)

    with ms.steer(model, *edits_of(model), positions=positions, languages=LANGUAGES):
        found = model.original_model.generate(
            IDS[:, :3],
            attention_mask=torch.ones(2, 3, dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            use_cache=use_cache,
            eos_token_id=None,
            pad_token_id=2,
            logits_processor=[choose],
        )
    return found, torch.stack(steps, 1)


@pytest.mark.slow
def test_a_compiled_bridge_is_steered(checkpoint: Callable[..., Any]) -> None:
    from mechsteer.model.load import load_model

    model = load_model(checkpoint("llama"), device="cpu")
    with unchecked():  # what wraps functions to check them cannot be compiled
        compare_compiled(model, torch.compile(model, backend="eager"))


def compare_compiled(model: Any, compiled: Any) -> None:
    before = logits(model)
    torch.testing.assert_close(logits(compiled), before)
    for positions in ("all", "last"):
        scope = {"positions": positions, "languages": LANGUAGES}
        with ms.steer(model, *edits_of(model), **scope):
            expected, found = logits(model), logits(compiled)
        torch.testing.assert_close(found, expected)
        assert (expected - before).abs().max() > 1e-2
    torch.testing.assert_close(logits(compiled), before)
