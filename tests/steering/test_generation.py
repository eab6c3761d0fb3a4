"""Where prompts end under every way of generating: as in plain generation, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.steering.generation import Call, forget, watch
from tests.steering.test_positions import PROMPT, observe, padded, shift_of

LONG = torch.tensor([[1, 20, 30, 40, 20, 30, 40, 50, 20, 30]])
PLAIN = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 2}
COUNTED = pytest.mark.parametrize("positions", ["last", "generated"])


def steered(model: Any, positions: Any, ids: Tensor | None, **options: Any) -> Tensor:
    """What transformers' own ``generate`` returns under a shift large enough to be seen."""
    with torch.inference_mode(), ms.steer(model, shift_of(model, size=10.0), positions=positions):
        return model.original_model.generate(ids, **PLAIN | options)


@pytest.mark.parametrize("positions", ["all", "last", "generated"])
@pytest.mark.parametrize(
    "options",
    [
        {"prompt_lookup_num_tokens": 3},
        {"prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 1},
        {"prefill_chunk_size": 3},
        {"prefill_chunk_size": 1},
        {"prefill_chunk_size": 64},
        {"use_cache": False},
        {"num_beams": 1, "num_return_sequences": 1},
    ],
)
def test_the_text_is_that_of_plain_generation(
    bridge: Callable[..., Any], options: dict[str, Any], positions: Any
) -> None:
    model = bridge("llama")
    plain = steered(model, positions, LONG)
    assert torch.equal(steered(model, positions, LONG, **options), plain)
    with torch.inference_mode():
        assert not torch.equal(model.original_model.generate(LONG, **PLAIN), plain)


@COUNTED
@pytest.mark.parametrize("same", [True, False])
def test_the_text_of_an_assisted_model_is_its_own(
    bridge: Callable[..., Any], same: bool, positions: Any
) -> None:
    model = bridge("llama")
    assistant = model if same else bridge("llama", template="$A")
    plain = steered(model, positions, LONG)
    found = steered(model, positions, LONG, assistant_model=assistant.original_model)
    assert torch.equal(found, plain)


@COUNTED
@pytest.mark.parametrize("new_part_only", [True, False])
def test_a_prompt_that_goes_on_from_a_filled_cache_ends_where_it_does_without(
    bridge: Callable[..., Any], new_part_only: bool, positions: Any
) -> None:
    model = bridge("llama")
    with torch.inference_mode():
        first = model.original_model.generate(
            PROMPT, return_dict_in_generate=True, **PLAIN | {"max_new_tokens": 3}
        )
    ids = torch.cat([first.sequences, LONG[:, 1:]], dim=1)
    n_cached = first.past_key_values.get_seq_length()
    given = ids[:, n_cached:] if new_part_only else ids
    found = steered(
        model,
        positions,
        given,
        attention_mask=torch.ones_like(ids),
        past_key_values=first.past_key_values,
    )
    plain = steered(model, positions, ids)
    assert torch.equal(found[:, given.shape[1] :], plain[:, ids.shape[1] :])


@COUNTED
def test_a_filled_cache_is_part_of_the_prompt_at_every_pass(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    with torch.inference_mode():
        _, cache = model(PROMPT, return_type="logits_and_cache", use_cache=True)
    ids = torch.cat([PROMPT, torch.tensor([[7, 8, 9]])], dim=1)
    options = PLAIN | {"past_key_values": cache, "max_new_tokens": 2}
    found = observe(model, positions, lambda: model.original_model.generate(ids, **options))
    assert found == [[[0, 0, int(positions == "last")]], [[1]]]


@COUNTED
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("options", [{}, {"prefill_chunk_size": 2}, {"num_beams": 2},
                                     {"do_sample": True, "num_return_sequences": 2}])  # fmt: skip
def test_padded_prompts_end_at_their_last_real_token_however_they_are_read(
    bridge: Callable[..., Any], options: dict[str, Any], side: str, positions: Any
) -> None:
    model = bridge("llama")
    ids, mask = padded(side)
    copies = max(options.get("num_beams", 1), options.get("num_return_sequences", 1))
    run = PLAIN | {"max_new_tokens": 2, "attention_mask": mask} | options
    found = observe(model, positions, lambda: model.original_model.generate(ids, **run))
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    start = torch.nn.functional.one_hot(last, mask.shape[1]).repeat_interleave(copies, 0)
    expected = start if positions == "last" else torch.zeros_like(start)
    prompt = torch.cat([torch.tensor(part) for part in found[:-1]], dim=1)
    assert prompt.tolist() == expected.tolist()
    assert found[-1] == [[1]] * len(start)


def test_prompts_read_in_parts_without_their_mask_are_refused_where_padding_may_follow(
    bridge: Callable[..., Any],
) -> None:
    model = bridge("llama")
    ids, _ = padded("left")
    ids[ids == 2] = 0
    with pytest.raises(MechsteerError, match="pass attention_mask to generate"):
        steered(model, "last", ids, prefill_chunk_size=2, pad_token_id=0)


@COUNTED
def test_a_prompt_of_embeddings_ends_where_that_of_its_tokens_does(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    embeds = model.original_model.get_input_embeddings()(LONG)
    found = steered(model, positions, None, inputs_embeds=embeds)
    assert torch.equal(found, steered(model, positions, LONG)[:, LONG.shape[1] :])


@COUNTED
def test_chunks_through_the_bridge_are_as_well_known(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    options = {"max_new_tokens": 3, "do_sample": False, "stop_at_eos": False}
    found = observe(
        model, positions, lambda: model.hf_generate(PROMPT, prefill_chunk_size=2, **options)
    )
    assert found == [[[0, 0]], [[0, int(positions == "last")]], [[1]], [[1]]]


@COUNTED
def test_a_static_cache_is_refused_by_name(bridge: Callable[..., Any], positions: Any) -> None:
    model = bridge("llama")
    with pytest.raises(MechsteerError, match="generate with a dynamic cache"):
        steered(model, positions, LONG, cache_implementation="static")


@COUNTED
def test_requests_packed_into_one_row_are_refused_by_name(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    steering = ms.steer(model, shift_of(model), positions=positions)
    with pytest.raises(MechsteerError, match="generate_batch packs several prompts into one row"):
        model.original_model.generate_batch([[1, 20]])
    steering.remove()


@COUNTED
@pytest.mark.parametrize("option", ["prompt_lookup_num_tokens", "prefill_chunk_size"])
def test_a_decoder_whose_prompt_is_read_in_parts_is_refused_by_name(
    bridge: Callable[..., Any], option: str, positions: Any
) -> None:
    model = bridge("t5", template="$A </s>")
    with pytest.raises(MechsteerError, match=f"decoder ends with {option}"):
        steered(model, positions, PROMPT, **{option: 2})


def test_settings_kept_on_the_model_are_read_too(bridge: Callable[..., Any]) -> None:
    model = bridge("t5", template="$A </s>")
    settings = model.original_model.generation_config
    settings.prefill_chunk_size = 2
    try:
        with pytest.raises(MechsteerError, match="prefill_chunk_size"):
            steered(model, "generated", PROMPT)
    finally:
        settings.prefill_chunk_size = None


def test_nothing_stays_on_a_model_when_the_last_scope_ends(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    before = set(vars(model.original_model)), set(vars(model.module))
    with ms.steer(model, shift_of(model), positions="last"):
        assert set(vars(model.original_model)) != before[0]
        model(PROMPT)
    assert (set(vars(model.original_model)), set(vars(model.module))) == before


@COUNTED
def test_a_pass_of_ones_own_is_generated_behind_a_cache_that_is_shorter(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    with torch.inference_mode():
        _, cache = model(PROMPT[:, :2], return_type="logits_and_cache", use_cache=True)
    found = observe(model, positions, lambda: model(LONG[:, 1:6], past_key_values=cache))
    assert found == [[[1] * 5]]


@COUNTED
def test_a_loop_that_says_it_generates_counts_a_filled_cache(
    bridge: Callable[..., Any], positions: Any
) -> None:
    model = bridge("llama")
    with torch.inference_mode():
        _, cache = model(PROMPT, return_type="logits_and_cache", use_cache=True)

    def run() -> None:
        with watch(model).running(Call()):
            model(torch.tensor([[7, 8]]), past_key_values=cache)
            model(torch.tensor([[9]]), past_key_values=cache)
        forget(model)

    assert observe(model, positions, run) == [[[0, int(positions == "last")]], [[1]]]
