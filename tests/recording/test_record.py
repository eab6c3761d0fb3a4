from __future__ import annotations

from functools import partial

import pytest
import torch

from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError, ModelError, SiteError
from mechsteer.kernels import POOLINGS
from mechsteer.model.load import load_model
from mechsteer.recording.batches import plan_batches
from mechsteer.recording.capture import embed, record

BLOCKS = {
    "llama": lambda model: model.model.layers,
    "gpt2": lambda model: model.transformer.h,
    "bloom": lambda model: model.transformer.h,
    "xglm": lambda model: model.model.layers,
}
DOWN = {
    "llama": lambda block: block.mlp.down_proj,
    "gpt2": lambda block: block.mlp.c_proj,
    "bloom": lambda block: block.mlp.dense_4h_to_h,
    "xglm": lambda block: block.fc2,
}
# for these TransformerLens runs Hugging Face's own attention; it rebuilds that of the others
BIT_EQUAL = {"llama", "xglm"}
POOL = {
    "max": lambda tokens: tokens.max(0).values,
    "mean": lambda tokens: tokens.double().mean(0),
    "last": lambda tokens: tokens[-1],
}


def near(values: torch.Tensor, expected: torch.Tensor) -> None:
    """Within what the design promises across divisions into batches: |Δz| ≤ 1e-5·max|z|."""
    bound = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(values.double(), expected.double(), rtol=0, atol=bound)


@torch.inference_mode()
def by_plain_hooks(model, family, corpus, **options):
    """What plain forward hooks see in a copy that TransformerLens never touched, same batches.

    Gives per layer and sentence the down-projection's inputs at real tokens, and per sentence the
    mean of every residual state.
    """
    from transformers import AutoModelForCausalLM

    name = model.cfg.model_name
    copy = AutoModelForCausalLM.from_pretrained(name, attn_implementation="eager").eval()
    blocks = BLOCKS[family](copy)
    caught = {}

    def catch(key, module, args, output=None):
        kept = args if output is None else output
        caught[key] = kept[0].clone() if isinstance(kept, tuple) else kept.clone()

    for layer, block in enumerate(blocks):
        DOWN[family](block).register_forward_pre_hook(partial(catch, layer))
    blocks[-1].register_forward_hook(partial(catch, "last block"))
    neurons = [[None] * len(corpus) for _ in blocks]
    hidden = [None] * len(corpus)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, **options)
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        output = copy(batch.ids, attention_mask=batch.mask, output_hidden_states=True)
        *states, final = output.hidden_states
        for i, row in enumerate(batch.rows.tolist()):
            real = batch.real[i]
            rows = [state[i][real] for state in (*states, caught["last block"], final)]
            hidden[row] = torch.stack([tokens.double().mean(0) for tokens in rows])
            for layer in range(len(blocks)):
                neurons[layer][row] = caught[layer].view(*batch.ids.shape, -1)[i][real]
    return neurons, torch.stack(hidden, dim=1)


@pytest.mark.parametrize("family", BLOCKS)
def test_recorded_values_are_those_of_plain_forward_hooks(bridge, corpus, family: str) -> None:
    model = bridge(family)
    options = {"batch_tokens": 128, "skip_first": False}
    recording = record(model, corpus, pooling=POOLINGS, embeddings=True, **options)
    neurons, hidden = by_plain_hooks(model, family, corpus, **options)
    for layer, tokens in enumerate(neurons):
        for how in POOLINGS:
            expected = torch.stack([POOL[how](row) for row in tokens])
            found = recording.activations(layer, pooling=how)
            if family in BIT_EQUAL and how != "mean":
                assert torch.equal(found, expected)
            else:
                near(found, expected)
    near(recording.embeddings, hidden)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "xglm", "bert", "xlmr"])
def test_values_do_not_depend_on_batches_and_padding(bridge, corpus, family: str) -> None:
    model = bridge(family)
    options = {"pooling": POOLINGS, "embeddings": True}
    alone, together = (record(model, corpus, batch_tokens=n, **options) for n in (1, 4096))
    for layer in range(3):
        for how in POOLINGS:
            near(together.activations(layer, pooling=how), alone.activations(layer, pooling=how))
    near(together.embeddings, alone.embeddings)


def test_values_do_not_depend_on_the_order_of_the_corpus(bridge, corpus) -> None:
    model = bridge("llama")
    other = corpus.select(corpus.languages[::-1])
    one, two = record(model, corpus), record(model, other)
    codes = torch.tensor([other.languages.index(code) for code in corpus.languages])
    rows = torch.cat([(two.labels == code).nonzero()[:, 0] for code in codes])
    near(two.activations(0)[rows], one.activations(0))


def test_values_are_neuron_major_in_the_order_of_the_corpus(bridge, corpus) -> None:
    recording = record(bridge("llama"), corpus, batch_tokens=64)
    for place, point in enumerate(recording.site.points):
        values = recording.activations(point)
        assert values.shape == (len(corpus), point.width)
        assert values.T.is_contiguous()
        assert torch.equal(values, recording.activations(place))
    assert recording.languages == corpus.languages
    assert recording.labels.tolist() == corpus.flatten()[1]
    assert recording.sources == corpus.sources


@pytest.mark.parametrize("name", ["post", "linear"])
def test_a_site_records_every_point_as_the_cache_sees_it(bridge, corpus, name: str) -> None:
    model = bridge("llama")
    recording = record(model, corpus, site=name, pooling="last", batch_tokens=1)
    text = corpus.flatten()[0][5]
    ids = torch.tensor([model.plain_tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        _, cache = model.run_with_cache(ids, attention_mask=torch.ones_like(ids))
    for point in recording.site.points:
        assert torch.equal(recording.activations(point)[5], cache[point.hook][0, -1])


def test_skip_first_leaves_the_attention_sink_out(bridge) -> None:
    model = bridge("llama", template="$A")
    corpus = LabelledCorpus({"eng_Latn": ["the cat sat on the mat"] * 2})
    options = {"batch_tokens": 128, "skip_first": True}
    recording = record(model, corpus, pooling="mean", **options)
    neurons, _ = by_plain_hooks(model, "llama", corpus, **options)
    near(recording.activations(0), torch.stack([row.double().mean(0) for row in neurons[0]]))
    kept = record(model, corpus, pooling="mean")
    assert not torch.allclose(kept.activations(0), recording.activations(0), rtol=1e-2)


def test_half_precision_keeps_maxima_and_last_values_as_they_are(checkpoint, corpus) -> None:
    model = load_model(checkpoint("llama"), device="cpu", dtype=torch.bfloat16)
    recording = record(model, corpus, pooling=POOLINGS, embeddings=True)
    dtypes = [recording.activations(0, pooling=how).dtype for how in POOLINGS]
    assert dtypes == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert recording.embeddings.dtype == torch.float32


def test_embeddings_of_a_recording_and_of_embed_are_the_same(bridge, corpus) -> None:
    model = bridge("gpt2")
    recorded = record(model, corpus, embeddings=True).embeddings_by_language()
    embedded = embed(model, corpus)
    assert list(embedded) == list(recorded) == list(corpus.languages)
    for code in corpus.languages:
        assert embedded[code].shape == (5, len(corpus.sentences[code]), 32)
        assert torch.equal(embedded[code], recorded[code])


def test_embedding_reads_no_neurons_and_sees_edits(bridge, corpus) -> None:
    model = bridge("llama")
    before = embed(model, corpus)
    with model.hooks([("blocks.1.mlp.hook_post", lambda z, hook: torch.zeros_like(z))]):
        edited = embed(model, corpus)
    assert all(torch.equal(edited[c][:2], before[c][:2]) for c in corpus.languages)
    assert not any(torch.allclose(edited[c][2], before[c][2]) for c in corpus.languages)
    assert all(torch.equal(embed(model, corpus)[c], before[c]) for c in corpus.languages)


def test_what_is_recorded_can_be_used_outside_inference_mode(bridge, corpus) -> None:
    recording = record(bridge("llama"), corpus, embeddings=True)
    values = [
        recording.activations(0),
        recording.embeddings,
        *embed(bridge("llama"), corpus).values(),
    ]
    assert not any(value.is_inference() or value.requires_grad for value in values)


def test_a_real_model_gives_what_it_gives_without_the_early_stop(bridge, corpus) -> None:
    model = bridge("llama")
    plan = plan_batches(corpus, model.plain_tokenizer, context=64)
    batch = plan.batch(0)
    with torch.inference_mode():
        before = model(batch.ids, attention_mask=batch.mask)
        record(model, corpus, embeddings=True)
        assert torch.equal(model(batch.ids, attention_mask=batch.mask), before)


def test_truncated_sentences_are_counted(bridge, corpus) -> None:
    long = LabelledCorpus({"eng_Latn": ["cat " * 100, "a cat", "dog " * 90], "fra_Latn": ["chat"]})
    with pytest.raises(CorpusError, match="model takes 64"):
        record(bridge("llama"), long)
    assert record(bridge("llama"), long, truncate=True).n_truncated == 2
    assert record(bridge("llama"), corpus).n_truncated == 0


def test_a_mixture_of_experts_is_refused(bridge, corpus) -> None:
    with pytest.raises(SiteError, match="mixture of experts"):
        record(bridge("mixtral"), corpus)


def test_states_whose_numbers_would_mislead_are_refused(checkpoint, corpus) -> None:
    model = load_model(checkpoint("gpt2"), device="cpu")
    with pytest.raises(ModelError, match="train mode"):
        record(model.train(), corpus)
    with pytest.raises(ModelError, match="train mode"):
        embed(model, corpus)
    raw = record(model.eval(), corpus)
    model.enable_compatibility_mode()
    near(record(model, corpus).activations(1), raw.activations(1))
    for refused in (embed, partial(record, embeddings=True)):
        with pytest.raises(ModelError, match="compatibility mode"):
            refused(model, corpus)


@pytest.mark.parametrize("pooling", ["median", (), ("max", "max"), ("max", "sum")])
def test_unknown_or_repeated_poolings_are_refused(bridge, corpus, pooling) -> None:
    with pytest.raises(MechsteerError, match="max, mean, last"):
        record(bridge("llama"), corpus, pooling=pooling)


def test_what_was_not_recorded_is_not_given(bridge, corpus) -> None:
    recording = record(bridge("llama"), corpus, pooling="mean")
    with pytest.raises(ArtifactError, match="'max' was not recorded"):
        recording.activations(0, pooling="max")
    with pytest.raises(ArtifactError, match="embeddings=True"):
        _ = recording.embeddings
