from __future__ import annotations

import dataclasses

import pytest
import torch

from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.recording.batches import plan_batches


def plan(model, corpus, **options):
    return plan_batches(corpus, model.plain_tokenizer, **{"context": 64, **options})


def test_every_sentence_is_in_one_batch_that_keeps_to_its_budget(bridge, corpus) -> None:
    planned = plan(bridge("llama"), corpus, batch_tokens=100)
    assert sorted(row for batch in planned.batches for row in batch) == list(range(len(corpus)))
    for number, rows in enumerate(planned.batches):
        assert planned.batch(number).ids.numel() <= 100 or len(rows) == 1


def test_batches_go_from_long_sentences_to_short_ones(bridge, corpus) -> None:
    planned = plan(bridge("llama"), corpus, batch_tokens=100)
    lengths = [len(planned.ids[row]) for batch in planned.batches for row in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) > 5


def test_a_batch_is_padded_on_the_right_and_masked(bridge, corpus) -> None:
    planned = plan(bridge("llama"), corpus, batch_tokens=200)
    for number in range(len(planned.batches)):
        batch = planned.batch(number)
        for row, ids, mask in zip(batch.rows.tolist(), batch.ids, batch.mask, strict=True):
            length = len(planned.ids[row])
            assert ids[:length].tolist() == planned.ids[row].tolist()
            assert mask.tolist() == [1] * length + [0] * (len(ids) - length)


@pytest.mark.parametrize(
    ("template", "first", "last"), [("<s> $A", 1, 0), ("$A", 0, 0), ("<s> $A </s>", 1, 1)]
)
def test_special_tokens_are_not_real(bridge, corpus, template, first, last) -> None:
    planned = plan(bridge("llama", template=template), corpus)
    for real in planned.real:
        inside = len(real) - first - last
        assert real.tolist() == [False] * first + [True] * inside + [False] * last


def test_a_token_unknown_to_the_tokenizer_is_still_real(bridge) -> None:
    tokenizer = bridge("llama").plain_tokenizer
    corpus = LabelledCorpus({"eng_Latn": ["<unk> cat"]})
    planned = plan_batches(corpus, tokenizer, context=64)
    unknown = planned.ids[0] == tokenizer.unk_token_id
    assert unknown.any()
    assert planned.real[0][unknown].all()


def test_skip_first_drops_the_first_real_token_and_no_other(bridge, corpus) -> None:
    model = bridge("llama")
    longer = LabelledCorpus({"eng_Latn": [s for s in corpus.sentences["eng_Latn"] if " " in s]})
    usual, skipped = plan(model, longer), plan(model, longer, skip_first=True)
    for real, rest in zip(usual.real, skipped.real, strict=True):
        dropped = (real != rest).nonzero()[0].tolist()
        assert dropped == [real.argmax()]


def test_a_sentence_of_special_tokens_alone_is_refused_by_file_and_line(bridge) -> None:
    corpus = LabelledCorpus(
        {"eng_Latn": ["the cat"], "fra_Latn": ["le chat est", "a"]},
        sources={"fra_Latn": "fra_Latn.txt"},
    )
    with pytest.raises(CorpusError, match=r"fra_Latn\.txt:2: .*no real token"):
        plan(bridge("llama"), corpus, skip_first=True)


def test_a_sentence_longer_than_the_context_is_refused_by_file_and_line(bridge, corpus) -> None:
    with pytest.raises(CorpusError, match=r"rus_Cyrl\.txt:\d+: \d+ tokens, .* takes 10.*truncate"):
        plan(bridge("llama"), corpus.select(["rus_Cyrl"]), context=10)


def test_truncation_is_counted_and_keeps_the_special_tokens(bridge, corpus) -> None:
    model = bridge("llama", template="<s> $A </s>")
    whole, cut = plan(model, corpus), plan(model, corpus, context=20, truncate=True)
    assert cut.n_truncated == sum(len(ids) > 20 for ids in whole.ids) > 0
    for ids, short in zip(whole.ids, cut.ids, strict=True):
        expected = ids if len(ids) <= 20 else [*ids[:19], 2]
        assert short.tolist() == list(expected)


def test_nothing_is_truncated_where_nothing_is_too_long(bridge, corpus) -> None:
    assert plan(bridge("llama"), corpus, truncate=True).n_truncated == 0


def test_the_fingerprint_follows_tokens_real_tokens_and_batches(bridge, corpus) -> None:
    model = bridge("llama")
    longer = LabelledCorpus({"eng_Latn": [f"the {s}" for s in corpus.sentences["eng_Latn"]]})
    plans = [
        plan(model, longer),
        plan(model, longer, batch_tokens=50),
        plan(model, longer, skip_first=True),
        plan(model, LabelledCorpus({"eng_Latn": longer.sentences["eng_Latn"][::-1]})),
    ]
    assert len({p.fingerprint for p in plans}) == len(plans)
    assert plan(model, longer).fingerprint == plans[0].fingerprint


def test_a_batch_keeps_its_rows_where_the_results_are(bridge, corpus) -> None:
    moved = plan(bridge("llama"), corpus).batch(0).to(torch.device("meta"))
    devices = {f.name: getattr(moved, f.name) for f in dataclasses.fields(moved)}
    assert devices["rows"].device.type == "cpu"
    assert {devices[name].device.type for name in ("ids", "mask")} == {"meta"}


def test_a_budget_without_tokens_is_refused(bridge, corpus) -> None:
    with pytest.raises(MechsteerError, match="at least 1"):
        plan(bridge("llama"), corpus, batch_tokens=0)
