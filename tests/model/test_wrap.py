"""Whatever users call a model is one model: every form of it, in every verb, gives the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import mechsteer as ms
from mechsteer.cards.writes import vocabulary_logits
from mechsteer.errors import ArtifactError, ModelError
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.identity import EMBEDDED
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.model.sites import find_site, residual_points, site_table
from mechsteer.model.wrap import as_model
from mechsteer.steering import embed_steered
from mechsteer.steering.fitting import fit
from tests.model.plain_models import hugging_face

FORMS = ("Model", "bridge", "Hugging Face", "name", "path")


def form(name: str, folder: Path) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    makers: dict[str, Callable[[], Any]] = {
        "Model": lambda: load_model(folder, device="cpu"),
        "bridge": lambda: TransformerBridge.boot_transformers(str(folder), device="cpu").eval(),
        "Hugging Face": lambda: hugging_face(folder),
        "name": lambda: str(folder),
        "path": lambda: folder,
    }
    return makers[name]()


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Path:
    return checkpoint("llama")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Model:
    return load_model(folder, device="cpu")


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest, folder: Path) -> Any:
    return form(request.param, folder)


@pytest.fixture(scope="module")
def embedded_scores(corpus: Any) -> Any:
    return ms.score(ms.load_model(device="cpu"), corpus)


@pytest.mark.parametrize("name", FORMS)
def test_scores_of_the_embedded_model_are_bit_equal(name, corpus, embedded_scores) -> None:
    found = ms.score(form(name, EMBEDDED), corpus)
    for table in ("ap", "auroc", "mean", "median", "std"):
        assert torch.equal(getattr(found, table), getattr(embedded_scores, table))
    assert found.site == embedded_scores.site


def test_recordings_and_embeddings_are_bit_equal(model, reference, corpus) -> None:
    found, wanted = (ms.record(each, corpus, progress=False) for each in (model, reference))
    for point in wanted.points:
        assert torch.equal(found.activations(point), wanted.activations(point))
    one, other = (ms.embed(each, corpus, progress=False) for each in (model, reference))
    assert all(torch.equal(one[language], x) for language, x in other.items())


def test_sites_and_residual_rows_are_equal(model, reference) -> None:
    for site in ("post", "linear"):
        assert find_site(model, site) == find_site(reference, site)
        assert {row.verdict for row in site_table(model, site)} == {"ok"}
    assert residual_points(as_model(model)) == residual_points(reference)


def test_an_edit_of_one_form_acts_in_every_other(model, reference, corpus) -> None:
    scores = ms.score(reference, corpus)
    edit = ms.clamp(scores.top("fra_Latn", 9))
    wanted = embed_steered(reference, corpus, edit, progress=False)
    held = as_model(model)
    with ms.steer(held, edit):
        found = ms.embed(held, corpus, progress=False)
    again = embed_steered(model, corpus, edit, progress=False)
    for language, x in wanted.items():
        assert torch.allclose(found[language], x, atol=1e-6)
        assert torch.equal(again[language], x)


def test_what_is_predicted_and_fitted_is_equal(model, reference, corpus) -> None:
    text = ["the cat sat on the mat"]
    one, other = (ms.perplexity(each, text, progress=False) for each in (model, reference))
    assert torch.equal(one.nll, other.nll)
    embeddings = ms.embed(reference, corpus, progress=False)
    first, second = (
        ms.diffmean(each, embeddings, target="fra_Latn", layers=2) for each in (model, reference)
    )
    assert torch.equal(first.v, second.v)
    assert first.points == second.points

    def make(recording: Any, layer: int) -> Any:
        points = {"points": tuple(p for p in recording.points if p.layer == layer)}
        size = recording.activations(points["points"][0], pooling="mean").mean()
        index = torch.tensor([recording.site.offsets[layer]])
        return ms.NeuronEdit("up", recording.site, index, torch.ones(1), size[None])

    fitted = [fit(each, corpus, make) for each in (model, reference)]
    assert torch.equal(fitted[0].b, fitted[1].b)


def test_what_neurons_write_is_equal(model, reference) -> None:
    point = find_site(reference).points[1]
    found, wanted = (vocabulary_logits(as_model(each), point, 7) for each in (model, reference))
    assert found is not None
    assert torch.equal(found, wanted)


def test_every_form_passes_its_self_test(model) -> None:
    verdicts = {check.name: check.verdict for check in ms.self_test(model, sites=["post"])}
    assert set(verdicts.values()) <= {"ok", "not applicable"}
    assert verdicts["hooks: post"] == verdicts["generation, edited"] == "ok"


def test_a_hugging_face_model_is_steered_itself_and_left_as_it_was(folder, corpus) -> None:
    model = hugging_face(folder, attn_implementation="sdpa")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.tensor([[1, 20, 30, 5]])
    plain = model(ids).logits
    scores = ms.score(model, corpus)
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 20), value="mean")):
        assert not torch.equal(model(ids).logits, plain)
    assert torch.equal(model(ids).logits, plain)
    assert model.config._attn_implementation == "sdpa"
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_wrapped_model_is_saved_and_copied_with_hook_points_of_its_own(
    folder, corpus, tmp_path
) -> None:
    model = hugging_face(folder)
    wanted = ms.score(model, corpus)
    model.save_pretrained(tmp_path)
    ms.wrap(model).plain_tokenizer.save_pretrained(tmp_path)
    assert torch.equal(ms.score(tmp_path, corpus).ap, wanted.ap)
    twin = copy.deepcopy(model)
    assert ms.wrap(twin) is not ms.wrap(model)
    assert ms.wrap(twin).original_model is twin
    twin.model.layers[1].mlp.down_proj.weight.data.mul_(2)
    assert torch.equal(ms.score(model, corpus).ap, wanted.ap)


def test_neurons_are_those_of_hooks_put_on_by_hand(folder, corpus) -> None:
    model, plain = (hugging_face(folder, attn_implementation="sdpa") for _ in range(2))
    recording = ms.record(model, corpus, batch_tokens=1, progress=False)
    caught: list[Tensor] = []
    plain.model.layers[1].mlp.down_proj.register_forward_pre_hook(
        lambda module, args: caught.append(args[0])
    )
    words = ms.wrap(model).plain_tokenizer
    texts = corpus.flatten()[0]
    for row in (0, 5, len(texts) - 1):
        given = words(texts[row], return_tensors="pt", return_special_tokens_mask=True)
        real = ~given["special_tokens_mask"][0].bool()
        with torch.inference_mode():
            plain(given["input_ids"])
        z = caught[-1][0][real].amax(0)
        assert torch.equal(recording.activations(recording.points[1])[row], z)


def test_a_module_is_wrapped_once_and_its_view_delegates(folder) -> None:
    bridge = form("bridge", folder)
    view = ms.wrap(bridge)
    assert isinstance(view, BridgeModel)
    assert ms.wrap(bridge) is view is ms.wrap(view)
    assert torch.equal(view.to_tokens("the cat"), bridge.to_tokens("the cat"))
    assert view.blocks is bridge.blocks
    view.anything = 3
    assert bridge.anything == 3
    with pytest.raises(AttributeError):
        _ = view.no_such_thing
    model = hugging_face(folder)
    assert isinstance(ms.wrap(model), PlainModel)
    assert ms.wrap(torch.compile(model)) is ms.wrap(model)


def test_a_plain_model_continues_text(folder) -> None:
    view = ms.wrap(hugging_face(folder))
    options = {"max_new_tokens": 3, "do_sample": False}
    ids = view.plain_tokenizer("the cat", return_tensors="pt")["input_ids"]
    written = view.generate(ids, **options)
    text = view.generate("the cat", **options)
    assert written.shape == (1, ids.shape[1] + 3)
    assert text == view.plain_tokenizer.decode(written[0], skip_special_tokens=True)


def test_a_model_without_a_name_asks_for_its_tokenizer(folder, corpus) -> None:
    config = transformers.AutoConfig.from_pretrained(folder)
    config._name_or_path = ""
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(ModelError, match=r"ms\.wrap\(model, tokenizer=\.\.\.\)"):
        ms.score(model, corpus)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    words.padding_side = "left"
    ms.wrap(model, tokenizer=words)
    assert ms.score(model, corpus).n_sentences == len(corpus.flatten()[0])
    assert words.padding_side == "left"  # the user's own stays as it is
    with pytest.raises(ModelError, match="expected a Hugging Face tokenizer, got str"):
        ms.wrap(model, tokenizer="words")


def test_a_model_held_by_the_user_is_that_of_its_checkpoint(checkpoint, reference) -> None:
    for family in ("gpt2", "phi3", "bert"):  # two that TransformerLens splits, one with a head
        folder = checkpoint(family)
        loaded = load_model(folder, device="cpu")
        cls = getattr(transformers, type(loaded.original_model).__name__)
        for dtype in (torch.float32, torch.bfloat16):
            held = ms.wrap(cls.from_pretrained(folder, dtype=dtype).eval())
            held.require_same(loaded.identity())
        with pytest.raises(ArtifactError, match="other configuration"):
            held.require_same(reference.identity())
        next(held.original_model.parameters()).data[0] += 1
        with pytest.raises(ArtifactError, match="other weights"):
            held.require_same(loaded.identity())


def test_a_model_given_by_name_is_reached_through_its_scope(folder, reference, corpus) -> None:
    edit = ms.clamp(ms.score(reference, corpus).top("fra_Latn", 20), value="mean")
    ids = torch.tensor([[1, 20, 30, 5]])
    with ms.steer(str(folder), edit) as steering:
        steered = steering.model(ids)
    with ms.steer(reference, edit):
        assert torch.equal(steered, reference(ids))


def test_a_family_without_an_adapter_is_taken(checkpoint, corpus) -> None:
    folder = checkpoint("nomicbert", template="<s> $A </s>")
    plain = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    assert torch.equal(ms.score(plain, corpus).ap, ms.score(folder, corpus).ap)


@pytest.mark.parametrize("family", ["mixtral", "opt"])
def test_what_has_no_structure_goes_through_transformer_lens(checkpoint, corpus, family) -> None:
    folder = checkpoint(family)
    model = hugging_face(folder)
    with pytest.warns(UserWarning, match="wrapped the modules of your object"):
        view = ms.wrap(model)
    site = "experts" if family == "mixtral" else "post"
    assert isinstance(view, BridgeModel)
    assert ms.wrap(model) is view
    found, wanted = (ms.score(each, corpus, site=site) for each in (model, folder))
    assert torch.equal(found.ap, wanted.ap)


def test_neurons_that_mix_tokens_are_none(checkpoint) -> None:
    model = hugging_face(checkpoint("mamba"))
    with pytest.raises(ModelError, match="at a token depends on others"):
        PlainModel(model, "mamba")


@pytest.mark.parametrize("found", [3, None, [1], {}, b"x", torch.zeros(2), nn.Linear(2, 2)])
def test_what_is_no_model_is_refused_in_one_line(found: Any, corpus: Any) -> None:
    for take in (ms.wrap, lambda it: ms.score(it, corpus), find_site, ms.steer):
        with pytest.raises(ModelError, match=rf"expected a model .*got {type(found).__name__}"):
            take(found)


def test_train_mode_is_refused(folder, corpus) -> None:
    with pytest.raises(ModelError, match=r"model\.eval\(\)"):
        ms.score(hugging_face(folder).train(), corpus)
