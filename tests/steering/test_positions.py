"""Where edits act: padding on either side, content, the end of the prompt, what is generated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.interventions import NeuronEdit, ResidualEdit
from mechsteer.model.sites import find_site, residual_points
from tests.steering.conftest import CAUSAL, FAMILIES

ROWS = ([1, 20, 30, 40, 50, 60, 2], [1, 70, 80], [1, 90, 100, 110, 2])
PAD = 2
OPTIONS = {"do_sample": False, "stop_at_eos": False, "return_type": "tokens"}


def padded(side: str) -> tuple[Tensor, Tensor]:
    longest = max(map(len, ROWS))
    ids, mask = [], []
    for row in ROWS:
        gap = longest - len(row)
        left = gap if side == "left" else 0
        ids.append([PAD] * left + row + [PAD] * (gap - left))
        mask.append([0] * left + [1] * len(row) + [0] * (gap - left))
    return torch.tensor(ids), torch.tensor(mask)


def shift_of(model: Any, row: int = 2, size: float = 1.0) -> ResidualEdit:
    v = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(row))
    return ResidualEdit("shift", (residual_points(model)[row],), size * v)


def clamp_of(model: Any) -> NeuronEdit:
    site = find_site(model)
    index = torch.arange(0, site.n_neurons, 5)
    return NeuronEdit("clamp", site, index, torch.zeros(len(index)), torch.ones(len(index)))


@contextmanager
def moved(model: Any, row: int = 2) -> Any:
    """Positions that a shift at a row of the residual stream moved, pass by pass."""
    point = model.hook_dict[residual_points(model)[row].hook]
    before: list[Tensor] = []
    after: list[Tensor] = []
    handle = point.add_hook(lambda h, hook: before.append(h.clone()), prepend=True)
    last = point.add_hook(lambda h, hook: after.append(h.clone()))
    found: list[Any] = []
    try:
        yield found
    finally:
        found += [(a != b).any(-1).int().tolist() for a, b in zip(after, before, strict=True)]
        for each in (handle, last):
            each.hook.remove()
            point.fwd_hooks[:] = [kept for kept in point.fwd_hooks if kept is not each]


def observe(model: Any, positions: Any, run: Callable[[], Any], edit: Any = None) -> list[Any]:
    with (
        torch.inference_mode(),
        ms.steer(model, edit or shift_of(model), positions=positions),
        moved(model) as found,
    ):
        run()
    return found


@pytest.mark.parametrize("positions", ["all", "content", "last"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_edited_batch_equals_its_edited_sentences(
    bridge: Callable[..., Any], family: str, side: str, positions: Any
) -> None:
    model = bridge(family)
    (ids, mask), rows = padded(side), ROWS
    if family == "xlmr":  # numbers positions by which tokens are its padding token
        ids, rows = ids + 1, [[token + 1 for token in row] for row in ROWS]
        ids[mask == 0] = 1
    with (
        torch.inference_mode(),
        ms.steer(model, clamp_of(model), shift_of(model), positions=positions),
    ):
        together = model(ids, attention_mask=mask)
        for row, tokens in enumerate(rows):
            alone = model(torch.tensor([tokens]))[0]
            found = together[row][mask[row].bool()]
            assert (found - alone).abs().max() <= 1e-5 * alone.abs().max()


def test_all_is_every_position_that_is_not_padding(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    for side in ("right", "left"):
        ids, mask = padded(side)
        found = observe(model, "all", lambda ids=ids, mask=mask: model(ids, attention_mask=mask))
        assert found == [mask.tolist()]
    assert observe(model, "all", lambda: model(ids)) == [torch.ones_like(ids).tolist()]


def test_content_leaves_out_special_tokens(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    ids, mask = padded("left")
    found = observe(model, "content", lambda: model(ids, attention_mask=mask))
    assert found == [[[0, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 0]]]
    assert observe(model, "content", lambda: model(torch.tensor([[1, 20, 0, 2]]))) == [
        [[0, 1, 1, 0]]  # an unknown word is a word
    ]


def test_content_of_embeddings_cannot_be_told(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    with (
        pytest.raises(MechsteerError, match="this pass got embeddings"),
        ms.steer(model, shift_of(model), positions="content"),
    ):
        model(torch.zeros(1, 3, 32))


def test_arguments_by_place_are_those_of_a_forward_that_names_itself(
    bridge: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bridge("llama")
    ids, mask = padded("left")
    wrapped = model.original_model
    instead = wraps(type(wrapped).forward)(partial(wrapped.forward))  # as nnsight puts it there
    monkeypatch.setattr(wrapped, "forward", instead)
    assert observe(model, "all", lambda: wrapped(ids, mask)) == [mask.tolist()]
    with pytest.raises(MechsteerError, match="cannot tell which tokens"):
        observe(model, "all", lambda: wrapped(input_ids=None))


def test_last_is_the_last_real_token_of_each_row(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    ids, mask = padded("right")
    with torch.inference_mode():
        plain = model(padded("left")[0])
    assert observe(model, "last", lambda: model(ids, attention_mask=mask)) == [
        [[0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]]
    ]
    ids, mask = padded("left")
    assert observe(model, "last", lambda: model(ids, attention_mask=mask)) == [[[0] * 6 + [1]] * 3]
    assert observe(model, "last", lambda: model(ids)) == [[[0] * 6 + [1]] * 3]
    with torch.inference_mode(), ms.steer(model, clamp_of(model), positions="last"):
        assert torch.equal(model(ids)[:, :-1], plain[:, :-1])


PROMPT = torch.tensor([[1, 20, 30, 40]])
WITH_CACHE = {
    "all": [[[1, 1, 1, 1]], [[1]], [[1]]],
    "last": [[[0, 0, 0, 1]], [[1]], [[1]]],
    "generated": [[[0, 0, 0, 0]], [[1]], [[1]]],
}
WITHOUT = {
    "all": [[[1] * 4], [[1] * 5], [[1] * 6]],
    "last": [[[0, 0, 0, 1]], [[0, 0, 0, 1, 1]], [[0, 0, 0, 1, 1, 1]]],
    "generated": [[[0, 0, 0, 0]], [[0, 0, 0, 0, 1]], [[0, 0, 0, 0, 1, 1]]],
}


@pytest.mark.parametrize("positions", ["all", "last", "generated"])
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("how", ["generate", "hf_generate", "generate_stream", "wrapped model"])
def test_the_prompt_ends_where_the_first_pass_of_a_generation_does(
    bridge: Callable[..., Any], how: str, cache: bool, positions: Any
) -> None:
    model = bridge("llama")

    def run() -> None:
        options = {"max_new_tokens": 3, "do_sample": False}
        if how == "wrapped model":
            model.original_model.generate(PROMPT, use_cache=cache, eos_token_id=None, **options)
        elif how == "hf_generate":
            uses = {} if cache else {"use_cache": False}
            options |= {"stop_at_eos": False, "use_past_kv_cache": cache, **uses}
            model.hf_generate(PROMPT, **options)
        else:
            options |= {"stop_at_eos": False, "use_past_kv_cache": cache, "verbose": False}
            out = getattr(model, how)(PROMPT, return_type="tokens", **options)
            for _ in out if how == "generate_stream" else ():
                model(PROMPT[:, :2])  # a pass between two steps is none of the generation's

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = observe(model, positions, run)
    found = [rows for rows in found if len(rows[0]) != 2]
    assert found == (WITH_CACHE if cache else WITHOUT)[positions]


def test_generation_after_padding_on_either_side(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    for side in ("left", "right"):
        ids, mask = padded(side)
        for cache in (True, False):
            found = observe(
                model,
                "last",
                lambda ids=ids, mask=mask, cache=cache: model.generate(
                    ids,
                    attention_mask=mask,
                    max_new_tokens=2,
                    use_past_kv_cache=cache,
                    verbose=False,
                    **OPTIONS,
                ),
            )
            last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
            start = torch.nn.functional.one_hot(last, mask.shape[1])
            new = torch.ones(3, 1, dtype=torch.long)
            second = new if cache else torch.cat([start, new], 1)
            assert found == [start.tolist(), second.tolist()]


def test_two_generations_have_prompts_of_their_own(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")

    def run() -> None:
        for prompt in (PROMPT, PROMPT[:, :2]):
            model.generate(
                prompt, max_new_tokens=2, use_past_kv_cache=False, verbose=False, **OPTIONS
            )

    expected = [[[0] * 4], [[0] * 4 + [1]], [[0] * 2], [[0] * 2 + [1]]]
    assert observe(model, "generated", run) == expected


def test_a_loop_of_ones_own_generates_where_it_continues_a_cache(
    bridge: Callable[..., Any],
) -> None:
    model = bridge("llama")

    def run() -> None:
        _, cache = model(PROMPT, return_type="logits_and_cache", use_cache=True)
        model(torch.tensor([[7, 8]]), past_key_values=cache)

    with pytest.warns(UserWarning, match="empty in a plain forward pass"):
        assert observe(model, "generated", run) == [[[0] * 4], [[1, 1]]]


def test_generated_in_a_plain_forward_is_empty_and_warns(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    before = model(PROMPT)
    with (
        ms.steer(model, shift_of(model), positions="generated"),
        pytest.warns(UserWarning, match="empty in a plain forward pass"),
    ):
        assert torch.equal(model(PROMPT), before)


def test_unknown_positions_name_the_known_ones(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    with pytest.raises(MechsteerError, match="all, content, last, generated, got 'first'"):
        ms.steer(model, shift_of(model), positions="first")


def test_a_mask_that_does_not_tell_padding_is_refused(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    with (
        pytest.raises(MechsteerError, match=r"attention_mask \[batch, token\].*\(1, 1, 4, 4\)"),
        ms.steer(model, shift_of(model)),
    ):
        model(PROMPT, attention_mask=torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_generate_is_the_models_own_again_in_whatever_order_scopes_end(
    bridge: Callable[..., Any], first: str
) -> None:
    model = bridge("llama")
    outer = ms.steer(model, shift_of(model), positions="last")
    inner = ms.steer(model, shift_of(model, 3), positions="generated")
    one, other = (outer, inner) if first == "outer" else (inner, outer)
    one.remove()
    assert "generate" in vars(model.module)
    other.remove()
    other.remove()
    for owner in (model.module, model.original_model):
        assert not {"generate", "generate_stream"} & set(vars(owner))
    assert not model.original_model._forward_pre_hooks


def test_a_generate_of_the_users_own_is_given_back(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")

    def mine(*args: Any, **kwargs: Any) -> str:
        return "mine"

    model.generate = mine
    try:
        with ms.steer(model, shift_of(model), positions="last"):
            assert model.generate() == "mine"
            model(PROMPT)
        assert vars(model)["generate"] is mine
    finally:
        del model.generate


@pytest.mark.parametrize("positions", ["all", "last", "generated"])
@pytest.mark.parametrize("family", CAUSAL)
def test_greedy_generation_is_the_same_with_and_without_a_cache(
    bridge: Callable[..., Any], family: str, positions: Any
) -> None:
    model = bridge(family)
    options = {"max_new_tokens": 8, "verbose": False, **OPTIONS}
    ids, mask = padded("left")
    edits = clamp_of(model), shift_of(model, size=10.0)
    with ms.steer(model, *edits, positions=positions):
        cached, uncached = (
            model.generate(ids, attention_mask=mask, use_past_kv_cache=cache, **options)
            for cache in (True, False)
        )
    plain = model.generate(ids, attention_mask=mask, **options)
    assert torch.equal(cached, uncached)
    assert not torch.equal(cached, plain)
