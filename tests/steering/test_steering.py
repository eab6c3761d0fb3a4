from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError, SiteError
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import load_model

TEXTS = ["The king gave the shepherd a ring.", "Le train est parti à l'aube."]


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def scores(model: Any) -> NeuronScores:
    corpus = ms.ParallelCorpus.embedded("dev", languages=["fra_Latn", "jpn_Jpan", "deu_Latn"])
    return ms.score(model, corpus.head(24))


@pytest.fixture(scope="module")
def inputs(model: Any) -> dict[str, Tensor]:
    found = model.plain_tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {"input": found["input_ids"], "attention_mask": found["attention_mask"]}


@torch.inference_mode()
def logits(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    return model(**inputs)


def hooks(model: Any) -> int:
    return sum(len(point.fwd_hooks) for point in set(model.hook_dict.values()))


def test_logits_are_bit_identical_after_the_scope(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    before, attached = logits(model, inputs), hooks(model)
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 60))):
        assert hooks(model) > attached
        assert not torch.equal(logits(model, inputs), before)
    assert hooks(model) == attached
    assert torch.equal(logits(model, inputs), before)


@pytest.mark.parametrize("nothing", ["no experts", "strength 0"])
def test_an_edit_that_changes_nothing_installs_no_hook(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor], nothing: str
) -> None:
    k, strength = (0, 1.0) if nothing == "no experts" else (60, 0.0)
    before, attached = logits(model, inputs), hooks(model)
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", k)).scaled(strength)):
        assert hooks(model) == attached
        assert torch.equal(logits(model, inputs), before)


def test_scopes_nest_and_survive_an_exception(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    before, attached = logits(model, inputs), hooks(model)
    french = ms.clamp(scores.top("fra_Latn", 60))
    japanese = ms.clamp(scores.top("jpn_Jpan", 60))
    with ms.steer(model, french):
        outer = logits(model, inputs)
        with pytest.raises(RuntimeError, match="inside"), ms.steer(model, japanese):
            assert not torch.equal(logits(model, inputs), outer)
            raise RuntimeError("inside")
        assert torch.equal(logits(model, inputs), outer)
    assert hooks(model) == attached
    assert torch.equal(logits(model, inputs), before)


def test_hooks_of_others_are_left_alone(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    seen: list[int] = []
    name = scores.site.points[0].hook
    with model.hooks(fwd_hooks=[(name, lambda z, hook: seen.append(1))]):
        with ms.steer(model, ms.clamp(scores.top("fra_Latn", 200))):
            logits(model, inputs)
        logits(model, inputs)
    assert len(seen) == 2


def test_a_kept_handle_steers_until_it_is_removed(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    before = logits(model, inputs)
    handle = ms.steer(model, ms.clamp(scores.top("fra_Latn", 60)))
    try:
        assert not torch.equal(logits(model, inputs), before)
    finally:
        handle.remove()
        handle.remove()
    assert torch.equal(logits(model, inputs), before)


def test_a_clamp_equals_plain_pytorch_hooks_on_every_layer(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    experts = scores.top("fra_Latn", 300)
    places = [scores.site.locate(flat) for flat in experts.index.tolist()]
    assert len({layer for _, layer, _ in places}) >= 2
    handles = []
    for layer in {layer for _, layer, _ in places}:
        here = [i for i, place in enumerate(places) if place[1] == layer]
        neurons = [places[i][2] for i in here]
        value = experts.mean[here]

        def hold(
            module: Any, args: tuple[Tensor], neurons: list[int] = neurons, value: Tensor = value
        ) -> tuple[Tensor]:
            z = args[0].clone()
            z[..., neurons] = value
            return (z,)

        down = model.blocks[layer].mlp.out.original_component
        handles.append(down.register_forward_pre_hook(hold))
    try:
        expected = logits(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    with ms.steer(model, ms.clamp(experts, value="mean", pooling="max")):
        found = logits(model, inputs)
    real = inputs["attention_mask"].bool()  # the scope leaves padding alone, the hooks do not
    assert torch.equal(found[real], expected[real])


def test_edits_act_left_to_right(
    model: Any, scores: NeuronScores, inputs: dict[str, Tensor]
) -> None:
    experts = scores.top("fra_Latn", 50)
    first, last = ms.clamp(experts, value=3.0), ms.clamp(experts, value=-1.0)
    with ms.steer(model, last):
        expected = logits(model, inputs)
    with ms.steer(model, first, last):
        assert torch.equal(logits(model, inputs), expected)


def test_half_strength_moves_half_of_the_way(model: Any, scores: NeuronScores) -> None:
    edit = ms.clamp(scores.top("fra_Latn", 9), value=2.0).scaled(0.5)
    assert torch.equal(edit.a, torch.full((9,), 0.5))
    assert torch.equal(edit.b, torch.full((9,), 1.0))


def test_an_edit_of_another_model_is_refused(model: Any, scores: NeuronScores) -> None:
    edit = ms.clamp(scores.top("fra_Latn", 9))
    weight = model.blocks[1].mlp.out.original_component.weight
    weight.data[0, 0] += 1
    try:
        with pytest.raises(ArtifactError, match="other weights"):
            ms.steer(model, edit)
    finally:
        weight.data[0, 0] -= 1


def test_an_edit_of_another_site_is_refused(model: Any, scores: NeuronScores) -> None:
    from dataclasses import replace

    points = scores.site.points[:-1]
    site = replace(scores.site, points=points)
    edit = NeuronEdit("mine", site, torch.tensor([1, 2]), torch.zeros(2), torch.ones(2))
    with pytest.raises(SiteError, match="another 'post' site"):
        ms.steer(model, edit)


def test_an_edit_that_never_acts_warns(model: Any, scores: NeuronScores) -> None:
    with (
        pytest.warns(UserWarning, match="never acted"),
        ms.steer(model, ms.clamp(scores.top("fra_Latn", 5))),
    ):
        pass


@pytest.mark.parametrize(
    ("index", "a", "b", "reason"),
    [
        ([1, 1], [0.0, 0.0], [1.0, 2.0], "distinct"),
        ([1, 10**7], [0.0, 0.0], [1.0, 2.0], "below"),
        ([1, 2], [0.0], [1.0, 2.0], "one length"),
        ([1, 2], [0.0, float("nan")], [1.0, 2.0], "not finite"),
    ],
)
def test_a_malformed_edit_is_refused(
    scores: NeuronScores, index: list[int], a: list[float], b: list[float], reason: str
) -> None:
    with pytest.raises(MechsteerError, match=reason):
        NeuronEdit("bad", scores.site, torch.tensor(index), torch.tensor(a), torch.tensor(b))


def test_generation_is_steered_with_and_without_a_cache(model: Any, scores: NeuronScores) -> None:
    ids = model.plain_tokenizer("The weather", return_tensors="pt")["input_ids"]
    options = {"max_new_tokens": 12, "do_sample": False, "verbose": False, "return_type": "tokens"}
    plain = model.generate(ids, use_past_kv_cache=True, **options)
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 300), pooling="max")):
        cached = model.generate(ids, use_past_kv_cache=True, **options)
        uncached = model.generate(ids, use_past_kv_cache=False, **options)
    assert torch.equal(cached, uncached)
    assert not torch.equal(cached, plain)
