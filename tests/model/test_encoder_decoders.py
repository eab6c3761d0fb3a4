"""Encoder-decoders: neurons of both stacks, embeddings of the encoder, against plain hooks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mechsteer.errors import ModelError, SiteError
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.sites import find_site, residual_points, site_table
from mechsteer.recording import embed, record
from mechsteer.recording.batches import plan_batches
from tests.model.encoder_decoders import CONFIGS, ENDS, STARTS, plain_of, run_plain

FAMILIES = tuple(CONFIGS)
DECODER_LAYERS = {"t5": 3}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_neurons_of_both_stacks_are_named_apart(bridge, family: str) -> None:
    model = bridge(family, template=ENDS)
    n_decoder = DECODER_LAYERS.get(family, 2)
    layers = [("encoder.post", layer) for layer in range(2)]
    layers += [("decoder.post", layer) for layer in range(n_decoder)]
    site = find_site(model)
    assert [(point.component, point.layer) for point in site.points] == layers
    assert {point.width for point in site.points} == {88}
    assert len({point.hook for point in site.points}) == len(layers)
    rows = site_table(model)
    assert [(row.component, row.layer, row.verdict) for row in rows] == [
        (*layer, "ok") for layer in layers
    ]


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_one_stack_alone_is_a_site(bridge, stack: str) -> None:
    model = bridge("mt5", template=ENDS)
    whole, one = find_site(model, "linear"), find_site(model, f"{stack}.linear")
    assert one.points == tuple(point for point in whole.points if point.stack == stack)
    assert {point.kind for point in one.points} == {"gate", "up", "down"}


def test_a_model_of_one_stack_has_no_other(bridge) -> None:
    with pytest.raises(SiteError, match=r"no stack 'encoder'.*'post'"):
        find_site(bridge("llama"), "encoder.post")


@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_neurons_are_those_of_plain_hooks(
    bridge, checkpoint, corpus, family: str, pooling: Any
) -> None:
    model = bridge(family, template=ENDS)
    plain = plain_of(checkpoint, family)
    recording = record(model, corpus, pooling=pooling, batch_tokens=128)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        caught, _ = run_plain(plain, batch.ids, batch.mask, STARTS[family])
        for point in recording.points:
            z = caught[point.stack, point.layer].view(*batch.ids.shape, -1)
            for i, row in enumerate(batch.rows.tolist()):
                # the sentence's own tokens, all but </s>; the decoder holds each one place later
                n = int(batch.mask[i].sum()) - 1
                real = z[i, 1 : n + 1] if point.stack == "decoder" else z[i, :n]
                pooled = {"max": real.amax(0), "mean": real.mean(0), "last": real[-1]}[pooling]
                found = recording.activations(point)[row]
                if pooling == "mean":  # sums of n terms in another order
                    assert (found - pooled).abs().max() <= n * 2**-23 * real.abs().amax()
                else:
                    assert torch.equal(found, pooled)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sentence_alone_is_as_in_its_batch(bridge, corpus, family: str) -> None:
    model = bridge(family, template=ENDS)
    alone, batched = (record(model, corpus, batch_tokens=n) for n in (1, 512))
    for point in alone.points:
        a, b = alone.activations(point), batched.activations(point)
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_the_encoders_and_the_decoder_is_not_run(
    bridge, checkpoint, corpus, family: str
) -> None:
    model = bridge(family, template=ENDS)
    embed(model, corpus)  # the first time, hook points are checked on a token
    ran: list[Any] = []
    decoder = model.original_model.get_decoder()
    handle = decoder.register_forward_pre_hook(lambda *_: ran.append(1))
    found = torch.cat(list(embed(model, corpus, batch_tokens=128).values()), dim=1)
    handle.remove()
    assert not ran
    plain = plain_of(checkpoint, family)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    assert len(found) == len(residual_points(model)) == 4
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        _, out = run_plain(plain, batch.ids, batch.mask, STARTS[family])
        states = out.encoder_hidden_states
        last = out.encoder_last_hidden_state
        for i, row in enumerate(batch.rows.tolist()):
            n = int(batch.mask[i].sum()) - 1
            for layer, state in ((0, states[0]), (1, states[1]), (3, last)):
                mean = state[i, :n].double().mean(0)
                assert torch.allclose(found[layer, row].double(), mean, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_decoders_embeddings_are_those_of_the_tokens_it_reads(
    bridge, checkpoint, corpus, family: str
) -> None:
    model = bridge(family, template=ENDS)
    found = torch.cat(list(embed(model, corpus, stack="decoder", batch_tokens=128).values()), dim=1)
    plain = plain_of(checkpoint, family)
    plan = plan_batches(corpus, model.plain_tokenizer, context=64, batch_tokens=128)
    n_layers = DECODER_LAYERS.get(family, 2)
    assert len(found) == n_layers + 2
    for number in range(len(plan.batches)):
        batch = plan.batch(number)
        _, out = run_plain(plain, batch.ids, batch.mask, STARTS[family])
        states = out.decoder_hidden_states  # the last of them after the final norm
        for i, row in enumerate(batch.rows.tolist()):
            n = int(batch.mask[i].sum()) - 1
            for layer in (*range(n_layers), n_layers + 1):
                mean = states[min(layer, n_layers)][i, 1 : n + 1].double().mean(0)
                assert torch.allclose(found[layer, row].double(), mean, atol=1e-6, rtol=1e-5)


def test_stacks_that_are_not_there_are_refused_by_name(bridge, corpus) -> None:
    with pytest.raises(SiteError, match="no stack 'decoder': expected none: it has a single stack"):
        embed(bridge("llama"), corpus, stack="decoder")
    assert set(embed(bridge("t5", template=ENDS), corpus, stack="encoder")) == {*corpus.languages}


def test_recording_the_encoder_alone_does_not_run_the_decoder(bridge, corpus) -> None:
    model = bridge("t5", template=ENDS)
    record(model, corpus)  # the first time, hook points are checked on a token
    ran: list[Any] = []
    decoder = model.original_model.get_decoder()
    handle = decoder.register_forward_pre_hook(lambda *_: ran.append(1))
    record(model, corpus, site="encoder.post")
    assert not ran
    record(model, corpus, site="decoder.post")
    handle.remove()
    assert ran


def test_a_tokenizer_that_ends_no_sentence_is_refused_for_decoders(bridge, corpus) -> None:
    model = bridge("t5", template="$A")
    with pytest.raises(ModelError, match=r"ends with a real token.*</s>"):
        record(model, corpus)
    record(model, corpus, site="encoder.post")


def test_language_codes_at_the_start_are_not_real(checkpoint, bridge, corpus) -> None:
    """As NLLB writes sentences: the code of the language, the words, the end."""
    model = bridge("m2m100", template="<s> $A </s>")
    plan = plan_batches(corpus, model.plain_tokenizer, context=64)
    batch = plan.batch(0)
    assert not batch.real[:, 0].any()
    caught, _ = run_plain(plain_of(checkpoint, "m2m100"), batch.ids, batch.mask, STARTS["m2m100"])
    recording = record(model, corpus, pooling="last")
    point = recording.points[-1]
    z = caught["decoder", 1].view(*batch.ids.shape, -1)
    for i, row in enumerate(batch.rows.tolist()):
        n = int(batch.mask[i].sum())
        assert torch.equal(recording.activations(point)[row], z[i, n - 1])


def test_mbart_starts_its_decoder_with_the_last_token_of_each_row(bridge) -> None:
    from transformers.models.mbart.modeling_mbart import shift_tokens_right

    model = bridge("mbart", template=ENDS).original_model
    ids = torch.tensor([[20, 30, 2, 250], [40, 2, 260, 1]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    found = decoder_inputs(model, ids, mask)["decoder_input_ids"]
    expected = shift_tokens_right(ids, pad_token_id=1)
    assert torch.equal(found[mask.bool()], expected[mask.bool()])
    assert found[:, 0].tolist() == [250, 260]


def test_a_decoder_without_a_start_token_is_refused(bridge, monkeypatch) -> None:
    model = bridge("t5", template=ENDS).original_model
    monkeypatch.setattr(model.config, "decoder_start_token_id", None)
    ids = torch.tensor([[20, 30, 2]])
    with pytest.raises(ModelError, match="no decoder_start_token_id"):
        decoder_inputs(model, ids, torch.ones_like(ids))


def test_an_encoder_with_tokens_of_its_own_is_refused(bridge, corpus) -> None:
    model = bridge("led", template=ENDS)
    for read_all in (record, embed):
        with pytest.raises(SiteError, match=r"tokens where the batch has .*no word"):
            read_all(model, corpus, batch_tokens=1)
