"""What a model writes: seeds, batches, language, repetition, and the whole cost of an edit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats

import mechsteer as ms
from mechsteer.costs import cost, distinct, in_language, language_probability, repetition, sample
from mechsteer.costs.drawing import draw
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.model.load import load_model
from mechsteer.model.writing import write


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def scores(model: Any) -> NeuronScores:
    corpus = ms.ParallelCorpus.embedded("dev", languages=["fra_Latn", "jpn_Jpan", "eng_Latn"])
    return ms.score(model, corpus.head(48))


def test_a_seed_writes_the_same_whatever_the_batch_and_the_global_seed(model: Any) -> None:
    state = torch.get_rng_state()
    first = sample(model, 5, seed=3, max_new_tokens=12, top_p=0.9)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again = sample(model, 5, seed=3, max_new_tokens=12, top_p=0.9, batch_size=2)
    assert first == again
    assert len(set(first.texts)) > 1
    assert sample(model, 5, seed=4, max_new_tokens=12).texts != first.texts
    assert all(0 < len(tokens) <= 12 for tokens in first.tokens)


def test_greedy_is_what_the_bridge_generates_with_an_edit(model: Any, scores: NeuronScores) -> None:
    tokenizer = model.plain_tokenizer
    ids = tokenizer("The weather", return_tensors="pt")["input_ids"]
    for edit in (ms.clamp(scores.top("fra_Latn", 0)), ms.clamp(scores.top("fra_Latn", 300))):
        with ms.steer(model, edit):
            theirs = model.generate(
                ids, max_new_tokens=12, do_sample=False, verbose=False, return_type="tokens"
            )[0, ids.shape[1] :].tolist()
            ours = sample(model, prompt="The weather", max_new_tokens=12, temperature=0)
        assert list(ours.tokens[0]) == [t for t in theirs if t != tokenizer.eos_token_id]


def test_writing_leaves_the_model_as_it_was(model: Any) -> None:
    plain = model.original_model
    hooks, ids = len(plain._forward_hooks), torch.tensor([[5, 6, 7]])
    sample(model, 2, max_new_tokens=3)
    with pytest.raises(RuntimeError, match="no choice"):
        write(ms.wrap(model), ids, 3, _refuse)
    assert len(plain._forward_hooks) == hooks
    assert plain(ids).logits.shape[1:] == (3, plain.config.vocab_size)


def _refuse(logits: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no choice")


def test_words_are_drawn_with_their_probabilities() -> None:
    logits = torch.tensor([0.3, 2.0, -1.0, 1.0]).expand(20000, 4)
    uniform = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.bincount(draw(logits, uniform, temperature=0.7), minlength=4)
    expected = (logits[0].double() / 0.7).softmax(-1) * 20000
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, {0}), (0.51, {0, 1}), (0.8, {0, 1}),
                                             (0.81, {0, 1, 2}), (1.0, {0, 1, 2, 3})])  # fmt: skip
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float, kept: set[int]) -> None:
    # powers of two would be exact; a hair above 0.5 and 0.8 keeps rounding out of the test
    logits = torch.tensor([0.5000001, 0.3000001, 0.15, 0.0499998], dtype=torch.float64).log()
    uniform = torch.linspace(0, 1 - 1e-9, 4001, dtype=torch.float64)
    assert set(draw(logits.expand(4001, 4), uniform, top_p=top_p).tolist()) == kept


def test_the_largest_uniform_number_draws_a_word_of_the_nucleus() -> None:
    logits = torch.randn(50, 1000, generator=torch.Generator().manual_seed(1))
    one = torch.full((50,), 1 - 2**-53, dtype=torch.float64)
    assert (draw(logits, one) < 1000).all()
    assert torch.equal(draw(logits, one, top_p=1e-9), logits.argmax(-1))


def test_options_out_of_range_are_refused(model: Any) -> None:
    for options in ({"n": 0}, {"max_new_tokens": 0}, {"temperature": -1}, {"top_p": 0.0}):
        with pytest.raises(MechsteerError, match="expected n"):
            sample(model, **options)
    with pytest.raises(MechsteerError, match="do not fit"):
        sample(model, max_new_tokens=512)


def test_repetition_by_hand() -> None:
    assert repetition([[1, 2, 3, 4, 5]], n=4) == 0
    assert repetition([[1] * 10], n=4) == pytest.approx(1 - 1 / 7)
    assert repetition([[1] * 10, [1, 2, 3, 4], [1, 2]], n=4) == pytest.approx((1 - 1 / 7) / 2)
    assert distinct([[1, 1, 1], [1, 1, 1], [1]], n=2) == 0.25
    for measure in (repetition, distinct):
        with pytest.raises(MechsteerError, match="4 tokens or more"):
            measure([[1, 2, 3], []], n=4)
        with pytest.raises(MechsteerError, match="n >= 1"):
            measure([[1, 2, 3]], n=0)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_embedded_language_is_told_from_the_others(split: str) -> None:
    corpus = ms.ParallelCorpus.embedded(split).head(24)
    texts = {name: [" ".join(lines)] for name, lines in corpus.sentences.items()}
    for language in texts:
        found = {name: language_probability(t, language).item() for name, t in texts.items()}
        assert found.pop(language) > 0.9
        assert max(found.values()) < 0.1


def test_aliases_and_macrolanguages_mean_what_the_identifier_means() -> None:
    chinese = ["今天天气很好，我们去公园散步。"]
    simplified, traditional = (language_probability(chinese, f"zho_{s}") for s in ("Hans", "Hant"))
    assert torch.equal(simplified, traditional)
    arabic = ["ذهب الولد إلى المدرسة في الصباح"]
    assert torch.equal(language_probability(arabic, "ar"), language_probability(arabic, "arb_Arab"))
    assert language_probability([], "fra_Latn").tolist() == []
    assert language_probability([""], "fra_Latn").item() == pytest.approx(1 / 142, rel=0.05)


@pytest.mark.parametrize(
    ("language", "text"),
    [("bo", "བོད་ཡིག"), ("sat", "ᱟᱢ ᱪᱮᱫ"), ("div", "ދިވެހި"), ("chr", "ᏣᎳᎩ"), ("mni_Mtei", "ꯃꯤꯇꯩ")],
)
def test_a_language_with_a_script_of_its_own_is_told_by_it(language: str, text: str) -> None:
    texts = [text, f"{text} OK", "The cat sat here.", ""]
    letters = sum(each.isalpha() for each in text)
    expected = torch.tensor([1, letters / (letters + 2), 0, 0], dtype=torch.float64)
    assert torch.equal(language_probability(texts, language), expected)
    assert in_language(texts, language).tolist() == [True, letters > 2, False, False]
    assert not in_language(texts[1:2], language, at_least=0.95).any()


@pytest.mark.parametrize("language", ["shn_Mymr", "tzm_Tfng", "arb_Latn"])
def test_a_language_the_identifier_does_not_know_is_refused_by_name(language: str) -> None:
    with pytest.raises(MechsteerError, match=f"does not know {language}"):
        language_probability(["text"], language)


def test_the_cost_of_an_edit_is_paired_and_tidy(model: Any, scores: NeuronScores) -> None:
    edit = ms.clamp(scores.top("fra_Latn", 300))
    options: dict[str, Any] = {"language": "fr", "n": 4, "seeds": 2, "max_new_tokens": 10}
    text = ms.ParallelCorpus.embedded("test").sentences["eng_Latn"][:6]
    found = cost(model, edit, text=text, **options)
    assert found.after.language[0] > found.before.language[0]
    assert found.predicted.kl_per_token > 0
    table = found.table()
    assert list(table.columns) == [
        "edit", "language", "metric", "value", "ci_low", "ci_high", "n",
    ]  # fmt: skip
    assert len(table) == 11
    assert set(table["edit"]) == {"none", "clamp"}
    assert set(table["language"]) == {"fra_Latn"}
    seeded = table[table["metric"].isin(["language", "repetition", "distinct"])]
    assert (seeded["ci_low"] <= seeded["value"]).all()
    assert (seeded["value"] <= seeded["ci_high"]).all()
    nothing = cost(model, edit.scaled(0.0), text=text, **options)
    assert nothing.before == nothing.after
    assert nothing.before == found.before
    assert nothing.predicted.kl_per_token == 0


def test_the_interval_over_seeds_is_students() -> None:
    from mechsteer.costs.measure import _interval

    values = [0.1, 0.4, 0.2, 0.35]
    mean, low, high = _interval(values)
    sem = stats.sem(values)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, loc=mean, scale=sem))
    assert not math.isnan(low)


def test_one_seed_and_unknown_languages_are_refused_before_the_work(
    model: Any, scores: NeuronScores
) -> None:
    edit = ms.clamp(scores.top("fra_Latn", 3))
    with pytest.raises(MechsteerError, match="two seeds"):
        cost(model, edit, text="text", language="fr", seeds=1)
    with pytest.raises(MechsteerError, match="does not know shn_Mymr"):
        cost(model, edit, text="", language="shn_Mymr")
