"""Real tokens: whatever is special by its id is none, whoever wrote it, and a prefix is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus
from mechsteer.costs import compare, perplexity
from mechsteer.errors import CorpusError, CorpusWarning, MechsteerError, ModelError
from mechsteer.model.load import load_model
from mechsteer.recording import Reading, embed, record
from mechsteer.recording.batches import plan_batches
from mechsteer.recording.tokens import special_ids, tokenize

TEXT = "The weather is nice today."


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


def only(tokenizer: Any, text: str, **options: Any) -> Any:
    return next(tokenize([text], tokenizer, **options))


def made_tokenizer(*, unk: str, special: tuple[str, ...], markup: tuple[str, ...] = ()) -> Any:
    """Words of one letter each; ``markup`` is added, some of it as special."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(dict.fromkeys([*special, unk, *"abc:"]))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=unk))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named = dict(zip(("bos_token", "eos_token"), special, strict=False))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=unk, **named)
    fast.add_tokens([AddedToken(m, special=not m.startswith("+")) for m in markup])
    return fast


def test_special_ids_are_named_added_or_the_templates_and_never_the_unknown_words() -> None:
    tokenizer = made_tokenizer(unk="<u>", special=("<s>", "</s>"), markup=("<|im|>", "+plain"))
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in ("<s>", "</s>", "<|im|>")}
    assert special_ids(tokenizer) == tuple(sorted(ids.values()))
    tokenizer.pad_token = "<u>"  # a token that fills space is masked, so in a text it is a word
    assert special_ids(tokenizer) == tuple(sorted(ids.values()))
    tokenizer.mask_token = "a"
    assert tokenizer.convert_tokens_to_ids("a") in special_ids(tokenizer)


def test_an_unknown_token_that_also_ends_texts_is_special() -> None:
    tokenizer = made_tokenizer(unk="<end>", special=("<end>", "<end>"))
    assert special_ids(tokenizer) == (tokenizer.eos_token_id,)


def test_what_the_template_adds_is_special_even_where_nothing_names_it() -> None:
    class Tokenizer:
        bos_token_id = eos_token_id = None
        all_special_ids = ()

        def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
            return {"input_ids": [5, 6], "special_tokens_mask": [1, 0]}

    assert special_ids(Tokenizer()) == (5,)


@pytest.mark.parametrize(
    "text", [TEXT + "</s>", "</s>" + TEXT, "The weather</s> is nice today.", "<s>" + TEXT + "</s>"]
)
def test_special_tokens_in_a_text_are_read_and_not_real(model: Any, text: str) -> None:
    tokenizer = model.plain_tokenizer
    tokens = only(tokenizer, text)
    special = np.isin(tokens.ids, [tokenizer.bos_token_id, tokenizer.eos_token_id])
    assert tokens.ids.tolist() == tokenizer(text)["input_ids"]
    assert (tokens.real == ~special).all()
    assert (tokens.written == (special & ~tokens.added)).all()
    assert tokens.written.sum() == text.count("</s>") + text.count("<s>")


def test_a_causal_model_gives_the_same_with_a_special_token_at_the_end(model: Any) -> None:
    plain = LabelledCorpus({"eng_Latn": [TEXT], "fra_Latn": ["Il fait beau."]})
    marked = LabelledCorpus({"eng_Latn": [TEXT + "</s>"], "fra_Latn": ["Il fait beau.</s></s>"]})
    poolings: Any = ("max", "mean", "last")
    one = record(model, plain, pooling=poolings, embeddings=True)
    with pytest.warns(CorpusWarning, match=r"2 of 2 sentences, first '</s>' in eng_Latn:1"):
        other = record(model, marked, pooling=poolings, embeddings=True)
    assert torch.equal(one.n_tokens, other.n_tokens)
    for point in one.site.points:
        for how in poolings:
            a, b = (r.activations(point, pooling=how) for r in (one, other))
            assert (a - b).abs().max() <= 1e-5 * a.abs().max()
    assert (one.embeddings - other.embeddings).abs().max() <= 1e-5 * one.embeddings.abs().max()


def test_the_warning_names_file_and_line_and_plain_text_warns_of_nothing(
    model: Any, recwarn: pytest.WarningsRecorder
) -> None:
    tokenizer = model.plain_tokenizer
    sources = {"eng_Latn": "eng.txt", "fra_Latn": "fra.txt"}
    corpus = LabelledCorpus({"eng_Latn": ["a", "b"], "fra_Latn": ["c", "<s> d"]}, sources=sources)
    plan_batches(corpus.select(["eng_Latn"]), tokenizer, context=64)
    assert not [w for w in recwarn if issubclass(w.category, CorpusWarning)]
    with pytest.warns(CorpusWarning, match=r"1 of 4 sentences, first '<s>' in fra.txt:2"):
        plan_batches(corpus, tokenizer, context=64)


def test_a_text_of_written_special_tokens_alone_is_refused_by_file_and_line(model: Any) -> None:
    corpus = LabelledCorpus({"eng_Latn": ["a", "</s>"]}, sources={"eng_Latn": "eng.txt"})
    with pytest.raises(CorpusError, match=r"eng.txt:2: the sentence has no real token"):
        plan_batches(corpus, model.plain_tokenizer, context=64)
    with pytest.raises(CorpusError, match="text 0 has no real token"):
        perplexity(model, "</s>")


def test_written_special_tokens_are_neither_predicted_nor_counted(model: Any) -> None:
    plain, marked = perplexity(model, TEXT), perplexity(model, TEXT + "</s>")
    assert marked.n_tokens.tolist() == plain.n_tokens.tolist()
    assert marked.n_bytes.tolist() == plain.n_bytes.tolist() == [len(TEXT.encode())]
    assert marked.nll.item() == pytest.approx(plain.nll.item(), rel=1e-6)
    inside = perplexity(model, "The weather</s> is nice today.")
    tokens = only(model.plain_tokenizer, "The weather</s> is nice today.")
    ids = torch.from_numpy(tokens.ids).long()
    with torch.inference_mode():
        logp = model(ids[None])[0].double().log_softmax(-1)
    expected = -sum(logp[t - 1, ids[t]].item() for t in tokens.real.nonzero()[0])
    assert inside.nll.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("window", [4, 5])
def test_windows_that_hold_special_tokens_alone_ask_nothing(model: Any, window: int) -> None:
    marked = perplexity(model, TEXT + "</s>" * 9, window=window, stride=2)
    plain = perplexity(model, TEXT, window=window, stride=2)
    assert marked.nll.item() == pytest.approx(plain.nll.item(), rel=1e-6)


def test_content_is_what_recording_calls_real(bridge: Any) -> None:
    model = bridge("llama", template="<s> $A </s>")
    tokenizer = model.plain_tokenizer
    tokens = only(tokenizer, "the cat</s> sat <unk> by</s>")
    from tests.steering.test_positions import observe

    ids = torch.from_numpy(tokens.ids).long()[None]
    found = observe(model, "content", lambda: model(ids))
    assert found == [[tokens.real.astype(int).tolist()]]


# prefixes


def test_a_prefix_is_read_with_its_text_and_is_not_real(model: Any) -> None:
    tokenizer = model.plain_tokenizer
    tokens = only(tokenizer, TEXT, prefix="query: ", spans=True)
    assert tokens.ids.tolist() == tokenizer("query: " + TEXT)["input_ids"]
    words = tokenizer.convert_ids_to_tokens(tokens.ids[tokens.real].tolist())
    assert words == tokenizer.tokenize(" " + TEXT)  # the space that ends the prefix is theirs
    assert tokens.spans[tokens.real][0].tolist() == [0, 3]
    whole = "".join(TEXT[a:b] for a, b in tokens.spans[tokens.real])
    assert whole == TEXT


@pytest.mark.parametrize("prefix", ["query: ", "passage:", "<s>", "a", "<|im_start|>user\n", " "])
def test_every_character_of_a_text_is_in_a_real_token_and_none_of_the_prefix(
    model: Any, prefix: str
) -> None:
    tokenizer = model.plain_tokenizer
    for text in (TEXT, "猫は庭で眠っている。", "Où est l’été ?", "bcd", "é"):
        tokens = only(tokenizer, text, prefix=prefix)
        offsets = tokenizer(prefix + text, return_offsets_mapping=True)["offset_mapping"]
        for (_, end), real, added in zip(offsets, tokens.real, tokens.added, strict=True):
            assert real == (end > len(prefix) and not added)
        assert not tokens.written.any()


def test_a_prefix_changes_what_is_recorded_as_if_its_tokens_were_masked_from_pooling(
    model: Any,
) -> None:
    corpus = LabelledCorpus({"eng_Latn": [TEXT]})
    found = record(model, corpus, prefix="query: ", pooling="mean", embeddings=True)
    tokens = only(model.plain_tokenizer, TEXT, prefix="query: ")
    point = found.site.points[3]
    seen: list[torch.Tensor] = []
    with torch.inference_mode():
        handle = model.hook_dict[point.hook]
        model.run_with_hooks(
            torch.from_numpy(tokens.ids).long()[None],
            fwd_hooks=[(point.hook, lambda z, hook: seen.append(z.clone()))],
        )
    assert handle is not None
    expected = seen[0][0][torch.from_numpy(tokens.real)].mean(0)
    assert torch.allclose(found.activations(point)[0], expected, atol=1e-6)
    assert found.n_tokens.tolist() == [int(tokens.real.sum())]
    one, other = (embed(model, corpus, **o)["eng_Latn"] for o in ({}, {"prefix": "query: "}))
    assert not torch.allclose(one, other)
    assert torch.allclose(other, found.embeddings, atol=1e-6)


def test_a_prefix_is_cut_with_its_text_and_counts_towards_the_context(model: Any) -> None:
    corpus, tokenizer = LabelledCorpus({"eng_Latn": [TEXT]}), model.plain_tokenizer
    n = len(tokenizer(TEXT)["input_ids"])
    plan_batches(corpus, tokenizer, context=n)
    with pytest.raises(CorpusError, match=f"eng_Latn:1: .* takes {n}"):
        plan_batches(corpus, tokenizer, context=n, prefix="query: ")
    cut = plan_batches(corpus, tokenizer, context=n, prefix="query: ", truncate=True)
    assert (cut.n_truncated, len(cut.ids[0])) == (1, n)


def test_the_first_token_that_is_skipped_is_the_prefixs_where_there_is_one(model: Any) -> None:
    tokenizer = model.plain_tokenizer
    alone, behind = only(tokenizer, TEXT), only(tokenizer, TEXT, prefix="query: ")
    assert alone.without_first().sum() == alone.real.sum() - 1
    assert (behind.without_first() == behind.real).all()
    marked = only(tokenizer, "<s>" + TEXT)
    dropped = (marked.real & ~marked.without_first()).nonzero()[0].tolist()
    assert dropped == [marked.real.argmax()]


def test_a_prefix_is_context_that_is_not_predicted(model: Any) -> None:
    tokens = only(model.plain_tokenizer, TEXT, prefix="query: ")
    ids = torch.from_numpy(tokens.ids).long()
    with torch.inference_mode():
        logp = model(ids[None])[0].double().log_softmax(-1)
    expected = -sum(logp[t - 1, ids[t]].item() for t in tokens.real.nonzero()[0])
    found = perplexity(model, TEXT, prefix="query: ")
    assert found.nll.item() == pytest.approx(expected, rel=1e-9)
    assert found.n_bytes.tolist() == [len(TEXT.encode())]
    both = compare(model, texts=TEXT, prefix="query: ")
    assert torch.equal(both.before.nll, found.nll)


def test_a_prefix_without_offsets_is_refused() -> None:
    slow = SimpleNamespace(is_fast=False)
    with pytest.raises(ModelError, match="SimpleNamespace does not say which characters"):
        next(tokenize(["a"], slow, prefix="query: "))


# how sentences are read


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            {"batch_tokens": 0},
            "batch.tokens: expected 'auto' or a whole number of at least 1, got 0",
        ),
        ({"batch_tokens": 2.5}, "whole number of at least 1, got 2.5"),
        ({"batch_tokens": True}, "whole number of at least 1, got True"),
        ({"truncate": "no"}, "truncate: expected True or False, got 'no'"),
        ({"skip_first": 1}, "skip.first: expected True or False, got 1"),
        ({"prefix": None}, "prefix: expected Unicode text, got None"),
        ({"prefix": "\ud800"}, "prefix: expected Unicode text"),
    ],
)
def test_readings_that_mean_nothing_are_refused(option: dict[str, Any], expected: str) -> None:
    with pytest.raises(MechsteerError, match=expected):
        Reading(**option)


def test_an_option_there_is_not_is_refused_by_every_function_that_reads(model: Any) -> None:
    corpus = LabelledCorpus({"eng_Latn": ["a"], "fra_Latn": ["b"]})
    for read in (record, embed, ms.score):
        with pytest.raises(MechsteerError, match="unknown option 'truncated', expected batch_tok"):
            read(model, corpus, truncated=True)


def test_options_override_a_reading_one_by_one() -> None:
    reading = Reading(batch_tokens=7, prefix="q")
    assert reading.changed({"truncate": True}) == Reading(7, truncate=True, prefix="q")
    assert reading.changed({}) == reading


def test_a_tokenizer_that_reads_nothing_is_named() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    lacking = Tokenizer(models.BPE({}, [], unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=lacking)
    with pytest.raises(ModelError, match=r"cannot read text \(.*<unk>.*copy its files again"):
        list(tokenize(["a"], tokenizer))
