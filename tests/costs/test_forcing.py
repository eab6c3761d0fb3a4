"""Benchmarks of what a model writes: prompts, answers, language forcing, a judge's scores."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

import mechsteer as ms
from mechsteer.corpus import ParallelCorpus
from mechsteer.costs import (
    Answer,
    Prompt,
    answer,
    forcing,
    questions,
    read_answers,
    read_judged,
    read_prompts,
    respond,
    sample,
    save_answers,
    save_for_judge,
)  # fmt: skip
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site
from tests.corpus.written import write

TEXT = {
    "eng_Latn": "The children are playing in the garden today.",
    "fra_Latn": "Les enfants jouent dans le jardin aujourd'hui.",
    "jpn_Jpan": "子供たちは今日、庭で遊んでいます。",
}


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


def edit_of(model: Any, value: float) -> NeuronEdit:
    """Every tenth neuron held at a value."""
    site = find_site(model)
    index = torch.arange(0, site.n_neurons, 10)
    return NeuronEdit(
        "clamp", site, index, torch.zeros(len(index)), torch.full((len(index),), value)
    )


def test_questions_are_asked_in_every_language_for_every_language(tmp_path: Path) -> None:
    write(tmp_path, {"en.txt": "Who?\nWhy?\n\n", "ja.txt": "誰?\n何故?\n\n"})
    with pytest.warns(UserWarning, match="1 blank"):
        corpus = ms.corpus.read(tmp_path)
    found = questions(corpus, ["fr", "en"])
    assert [(each.text, each.asked_in[:3], each.language[:3], each.number) for each in found] == [
        ("Who?", "eng", "fra", 0), ("Why?", "eng", "fra", 1),
        ("Who?", "eng", "eng", 0), ("Why?", "eng", "eng", 1),
        ("誰?", "jpn", "fra", 0), ("何故?", "jpn", "fra", 1),
        ("誰?", "jpn", "eng", 0), ("何故?", "jpn", "eng", 1),
    ]  # fmt: skip
    assert len(questions(corpus)) == 2 * 2 * 2


CROSS = "prompt,location,phrasing,language,source\n"
FILES = {
    "test_sets/monolingual/aya/tr.csv": "\ufeffprompt,source,language\r\nNe?,aya,tr\r\n",
    "test_sets/crosslingual/okapi/fr.csv": (
        f'{CROSS}"Reply in ""French"".\nWhy?",Start,reply in,fr,okapi\n'
        "Write in French. Who?,Start,write in,fr,okapi\n"
    ),
    "test_sets/crosslingual/complex_prompts/zh.csv": "source,language,prompt\ncomplex,zh,Write.\n",
    "test_sets/README.md": "x",
}


def test_prompts_of_the_language_confusion_benchmark_are_read(tmp_path: Path) -> None:
    found = read_prompts(write(tmp_path, dict(FILES)))
    assert [(p.language, p.asked_in, p.source, p.setting, p.number) for p in found] == [
        ("zho_Hans", "eng_Latn", "complex", "crosslingual", 0),
        ("fra_Latn", "eng_Latn", "okapi", "crosslingual", 0),
        ("fra_Latn", "eng_Latn", "okapi", "crosslingual", 1),
        ("tur_Latn", "tur_Latn", "aya", "monolingual", 0),
    ]
    assert found[1].text == 'Reply in "French".\nWhy?'
    alone = tmp_path / "alone.csv"
    alone.write_text(FILES["test_sets/crosslingual/okapi/fr.csv"], encoding="utf-8")
    assert {each.setting for each in read_prompts(alone)} == {"crosslingual"}
    assert len(read_prompts(tmp_path, languages="fr")) == 4  # with the copy
    with pytest.raises(CorpusError, match="no prompts for ita_Latn, got fra_Latn, tur_Latn"):
        read_prompts(tmp_path, languages="it,fr")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("fr.csv", "question,language\nWhy?,fr\n", "no column 'prompt', got question, language"),
        ("prompts.csv", "prompt\nWhy?\n", "no column 'language', and its name is none"),
        ("fr.csv", "prompt,language\n ,fr\n", "fr.csv:2: no prompt"),
        ("fr.csv", "prompt,language\nWhy?,xx\n", "fr.csv:2: unknown language 'xx'"),
        ("fr.md", "Why?", "holds no table of prompts"),
    ],
)
def test_tables_that_hold_no_prompts_are_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(CorpusError, match=said):
        read_prompts(write(tmp_path, {name: text}))


def test_prompts_are_continued_each_as_alone(model: Any) -> None:
    prompts = ["The weather", "Once upon a time there was", "The king"]
    found = respond(model, prompts, max_new_tokens=3)
    alone = [sample(model, prompt=p, max_new_tokens=3, temperature=0).texts[0] for p in prompts]
    assert list(found.texts) == alone
    drawn = {"max_new_tokens": 3, "temperature": 1.0, "seed": 3}
    many = respond(model, prompts, **drawn)
    assert respond(model, prompts[::-1], batch_size=1, **drawn).texts == many.texts[::-1]
    assert respond(model, prompts, **{**drawn, "seed": 4}).texts != many.texts
    with pytest.raises(MechsteerError, match="no chat template"):
        respond(model, prompts, chat=True)


def test_a_chat_gives_the_template_of_the_tokenizer(model: Any) -> None:
    words = model.plain_tokenizer
    words.chat_template = "{% for m in messages %}User: {{ m.content }}\nAnswer:{% endfor %}"
    try:
        chat = respond(model, ["Who?"], chat=True, max_new_tokens=2)
    finally:
        words.chat_template = None
    ids = words("User: Who?\nAnswer:", add_special_tokens=False)["input_ids"]
    written = model.generate(
        torch.tensor([ids]), max_new_tokens=2, do_sample=False, verbose=False, return_type="tokens"
    )
    assert list(chat.tokens[0]) == written[0, len(ids) :].tolist()[: len(chat.tokens[0])]


def test_answers_are_those_of_each_language_s_edits_and_none_is_written_twice(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = ParallelCorpus({"eng_Latn": ["The king", "A fox"], "fra_Latn": ["Le roi", "Un loup"]})
    prompts = questions(corpus, ["fr", "ja"])
    edits = {"fra_Latn": [edit_of(model, 0.5)], "jpn_Jpan": [edit_of(model, -0.5)]}
    how: dict[str, Any] = {"max_new_tokens": 2, "progress": False}
    found = answer(model, prompts, edits, kept=tmp_path / "kept", **how)
    assert [each.prompt for each in found] == list(prompts)
    (state,) = {each.edit for each in found}
    other = answer(model, prompts[:1], [edit_of(model, 0.25)], positions="last", **how)
    last = answer(model, prompts[:1], [edit_of(model, 0.25)], **how)
    assert len({state, other[0].edit, last[0].edit}) == 3  # one name, three hashes
    assert {each.rpartition(" ")[0] for each in (state, other[0].edit)} == {"clamp"}
    for each in (found[0], found[-1]):
        with ms.steer(model, *edits[each.prompt.language]):
            alone = sample(model, prompt=each.prompt.text, max_new_tokens=2, temperature=0)
        assert each.text == alone.texts[0]
    plain = answer(model, prompts, kept=tmp_path / "kept", **how)
    assert [p.text for p in plain[:2]] == [p.text for p in plain[2:4]]  # whatever is wanted
    kept = (tmp_path / "kept").read_text(encoding="utf-8").splitlines()
    assert len(kept) == 8 + 4

    (tmp_path / "kept").write_text("\n".join(kept[:9]) + '\n{"key": "to', encoding="utf-8")
    written: list[int] = []

    def counted(model: Any, prompts: Any, **options: Any) -> Any:
        written.append(len(prompts))
        return respond(model, prompts, **options)

    monkeypatch.setattr("mechsteer.costs.answers.respond", counted)
    assert answer(model, prompts, edits, kept=tmp_path / "kept", **how) == found
    assert answer(model, prompts, kept=tmp_path / "kept", **how) == plain
    assert written == [3]
    assert answer(model, prompts, kept=tmp_path / "kept", progress=False, max_new_tokens=1) != plain
    with pytest.raises(MechsteerError, match="expected edits for jpn_Jpan, got them for fra_Latn"):
        answer(model, prompts, {"fr": edits["fra_Latn"]}, **how)
    with pytest.raises(MechsteerError, match="expected prompts, got none"):
        answer(model, [], **how)


def answers_of(seed: int) -> list[Answer]:
    """Answers in a random language to questions in two languages for three."""
    draw = random.Random(seed)
    corpus = ParallelCorpus({"eng_Latn": ["Who?", "Why?"], "jpn_Jpan": ["誰?", "何故?"]})
    return [
        Answer(prompt, f"{TEXT[draw.choice(list(TEXT))]}\n", edit)
        for edit in ("none", "clamp")
        for prompt in questions(corpus, list(TEXT))
    ]


def test_forcing_relevance_and_their_mean_are_as_written_out(tmp_path: Path) -> None:
    answers = answers_of(1)
    save_for_judge(answers, tmp_path / "judge.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "judge.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) == len(answers)
    assert all(row.keys() == {"id", "asked_in", "language", "question", "answer", "score"}
               for row in rows)  # fmt: skip
    draw = random.Random(2)
    judged = {row["id"]: draw.choice([0, 1, 2]) for row in rows}
    text = "".join(json.dumps({"id": i, "score": s, "why": "x"}) + "\n" for i, s in judged.items())
    table = forcing(answers, read_judged(write(tmp_path, {"judged.jsonl": text}) / "judged.jsonl"))
    places: dict[str, Callable[[Answer], str]] = {
        "target": lambda a: a.prompt.language,
        "source": lambda a: a.prompt.asked_in,
        "all": lambda a: "all",
    }
    for row in table.itertuples():
        own = [a for a in answers if a.edit == row.edit and places[str(row.by)](a) == row.language]
        hits = sum(a.text.strip() == TEXT[a.prompt.language] for a in own)
        forced, relevant = hits / len(own), sum(judged[a.key] for a in own) / (2 * len(own))
        both = stats.hmean([forced, relevant]) if forced and relevant else 0.0
        expected = {"forcing": forced, "relevance": relevant, "steering": both}
        assert row.value == pytest.approx(expected[str(row.metric)])
        assert row.n == len(own)
        if row.metric == "forcing":
            ends = stats.binomtest(hits, len(own)).proportion_ci(method="exact")
            assert (row.ci_low, row.ci_high) == pytest.approx((ends.low, ends.high))
    assert len(table) == 2 * 3 * (3 + 2 + 1)
    assert set(forcing(answers)["metric"]) == {"forcing"}


def test_answers_are_kept_as_they_are(tmp_path: Path) -> None:
    answers = [*answers_of(3), Answer(Prompt("a\tb\n", "fra_Latn", "eng_Latn", "okapi"), '"\u2028')]
    save_answers(answers, tmp_path / "a.jsonl")
    assert read_answers(tmp_path / "a.jsonl") == tuple(answers)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", "mark": 1}], "expected columns id and score, got id, mark"),
        ([{"id": "a", "score": 3}], r"j.jsonl:1: expected a score from 0 to 2, got 3"),
        ([{"id": "a", "score": None}], "expected a score from 0 to 2, got None"),
        ([{"id": "a", "score": "nan"}], "expected a score from 0 to 2, got 'nan'"),
        ([{"id": "a", "score": True}], "expected a score from 0 to 2, got True"),
        ([{"id": "a", "score": 1}, {"id": "a", "score": 1}], "j.jsonl:2: the id 'a' occurs twice"),
        ([{"id": "a", "score": 1}], "12 of 12 answers have no score"),
    ],
)
def test_scores_that_are_none_are_refused(tmp_path: Path, rows: Any, said: str) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file = write(tmp_path, {"j.jsonl": text}) / "j.jsonl"
    with pytest.raises(MechsteerError, match=said):
        forcing(answers_of(1)[:12], read_judged(file))
