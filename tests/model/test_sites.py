from __future__ import annotations

from functools import partial

import pytest
import torch

from mechsteer.errors import SiteError
from mechsteer.model.hooks import read
from mechsteer.model.load import load_model
from mechsteer.model.sites import (
    HookSite,
    Site,
    find_site,
    require_width,
    residual_points,
    site_table,
)
from mechsteer.recording import embed, record

BIT_EQUAL = ("llama", "xglm", "bert", "xlmr")  # TransformerLens runs their own modules
READABLE = ("llama", "gpt2", "bloom", "xglm", "bert", "xlmr")
WIDTHS = {"llama": 88, "gpt2": 128, "bloom": 128, "xglm": 88, "bert": 88, "xlmr": 88}


@pytest.mark.parametrize("family", READABLE)
def test_post_is_as_wide_as_the_down_projection_takes(bridge, family: str) -> None:
    site = find_site(bridge(family))
    assert [point.layer for point in site.points] == [0, 1, 2]
    assert {(point.component, point.width) for point in site.points} == {("post", WIDTHS[family])}


@pytest.mark.parametrize("family", READABLE)
def test_linear_is_every_linear_module_of_the_mlp(bridge, family: str) -> None:
    site = find_site(bridge(family), "linear")
    gate = [("gate", 88)] if family == "llama" else []
    layer = [*gate, ("up", WIDTHS[family]), ("down", 32)]
    assert [(point.component, point.width) for point in site.points] == layer * 3


@pytest.mark.parametrize("family", READABLE)
@pytest.mark.parametrize("name", ["post", "linear"])
def test_the_widths_by_the_weights_are_those_of_a_forward_pass(bridge, family, name) -> None:
    rows = site_table(bridge(family), name)
    assert {row.verdict for row in rows} == {"ok"}
    assert [row.width for row in rows] == [
        point.width for point in find_site(bridge(family), name).points
    ]


def test_neurons_are_numbered_layer_by_layer_through_the_components(bridge) -> None:
    site = find_site(bridge("llama"), "linear")
    assert site.n_neurons == 3 * (88 + 88 + 32)
    assert site.offsets[:4] == (0, 88, 176, 208)
    assert site.locate(0) == ("gate", 0, 0)
    assert site.locate(87) == ("gate", 0, 87)
    assert site.locate(88) == ("up", 0, 0)
    assert site.locate(208 + 176 + 5) == ("down", 1, 5)
    assert site.locate(site.n_neurons - 1) == ("down", 2, 31)


@pytest.mark.parametrize("index", [-1, 8])
def test_a_neuron_that_is_not_there_is_refused(index: int) -> None:
    site = Site("post", (HookSite("post", 0, "a", 3), HookSite("post", 1, "b", 5)))
    with pytest.raises(SiteError, match="from 0 to 7"):
        site.locate(index)


@pytest.mark.parametrize("name", ["post", "linear"])
def test_a_mixture_of_experts_is_refused_with_the_reason(bridge, name: str) -> None:
    with pytest.raises(SiteError, match=r"mixture of experts.*not neurons.*'experts'"):
        find_site(bridge("mixtral"), name)


def test_the_table_of_a_mixture_of_experts_shows_the_refusal_of_each_layer(bridge) -> None:
    rows = site_table(bridge("mixtral"))
    assert [row.layer for row in rows] == [0, 1, 2]
    assert all("mixture of experts" in row.verdict and row.width is None for row in rows)


def test_an_unknown_site_names_the_known_ones(bridge) -> None:
    with pytest.raises(SiteError, match=r"'nowhere'.*'post', 'linear'"):
        find_site(bridge("llama"), "nowhere")


def test_blocks_that_run_in_a_loop_are_refused(checkpoint, corpus) -> None:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import LlamaForCausalLM

    class Twice(LlamaForCausalLM):
        def forward(self, *args, **kwargs):
            super().forward(*args, **kwargs)
            return super().forward(*args, **kwargs)

    folder = checkpoint("llama")
    tokenizer = load_model(folder, device="cpu").plain_tokenizer
    looped = Twice.from_pretrained(folder).eval()
    model = TransformerBridge.boot_transformers(
        "looped", hf_model=looped, tokenizer=tokenizer, device="cpu"
    )
    assert {row.verdict.split(",")[0] for row in site_table(model)} == {"runs 2 times in a pass"}
    for read_all in (record, embed):
        with pytest.raises(SiteError, match="runs 2 times in a forward pass"):
            read_all(model, corpus, tokenizer=tokenizer)


def test_an_activation_of_another_width_is_refused() -> None:
    point = HookSite("post", 0, "blocks.0.mlp.hook_post", 88)
    require_width(point, torch.zeros(2, 3, 88))
    for shape in ((2, 3, 32), (6, 88)):
        with pytest.raises(SiteError, match=r"blocks\.0\.mlp\.hook_post.*88"):
            require_width(point, torch.zeros(shape))


@pytest.mark.parametrize("name", ["post", "linear"])
def test_compatibility_mode_has_the_same_site(checkpoint, name: str) -> None:
    model = load_model(checkpoint("gpt2"), device="cpu")
    before = find_site(model, name)
    model.enable_compatibility_mode()
    assert find_site(model, name) == before


@pytest.mark.parametrize("family", READABLE)
def test_the_residual_stream_has_a_row_before_after_and_between_all_blocks(bridge, family) -> None:
    model = bridge(family)
    names = [point.hook for point in residual_points(model)]
    assert len(names) == len(set(names)) == 5
    assert names[0] == "blocks.0.hook_resid_pre"
    final = {"bert": "blocks.2.hook_out", "xlmr": "blocks.2.hook_out"}
    assert names[-1] == final.get(family, "ln_final.hook_out")
    assert set(names) <= set(model.hook_dict)


@torch.inference_mode()
@pytest.mark.parametrize("family", READABLE)
def test_the_last_row_is_the_last_of_transformers_hidden_states(bridge, checkpoint, family) -> None:
    from transformers import AutoModel

    ids, mask = torch.arange(3, 11).view(2, 4), torch.ones(2, 4, dtype=torch.long)
    copy = AutoModel.from_pretrained(checkpoint(family), attn_implementation="eager").eval()
    expected = copy(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    model, seen = bridge(family), {}
    *_, last, final = residual_points(model)
    keep = {point.hook: partial(seen.__setitem__, point.hook) for point in (last, final)}
    read(model, ids, mask, keep)
    if family in BIT_EQUAL:
        assert torch.equal(seen[final.hook], expected)
    torch.testing.assert_close(seen[final.hook], expected)
    same = torch.equal(seen[final.hook], seen[last.hook])
    assert same == (family in ("bert", "xlmr"))  # which have no final norm
