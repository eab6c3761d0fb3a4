"""What figures are asked of: the objects a user has, or their tables; all else is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import average_precision_score

import mechsteer as ms
from mechsteer import plots
from mechsteer.cards import Cards
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.plots.given import counts_of
from mechsteer.reporting import ReportData
from mechsteer.studies import Study
from mechsteer.studies.conditions import Arm
from tests.made import LANGUAGES, SITE, made_recording
from tests.packaging import gallery
from tests.reporting.profits import similarity, transfer
from tests.studies.made import made_study

FIGURES = [name for name in plots.__all__ if name.islower() and name != "similarity_of"]
RECORDING = made_recording(poolings=("max", "mean"))
SCORES = score_recording(RECORDING)
EXPERTS = SCORES.top("fra_Latn", 12)
FOUND, TRANSFER = similarity(LANGUAGES), transfer(LANGUAGES)
ARGUMENTS: dict[str, dict[str, Any]] = {  # what a call needs beside its object
    "curves": {"metric": "mexa", "language": "fr"},
    "distances": {"language": "fr"},
    "dose_response": {"edit": "clamp", "language": "fr"},
    "likeness": {"predictor": "syntactic"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    return made_study(folder=folder, seeds=[0], targets=["fr", "deu"], ks=[4, 9])


def words(ax: Axes | list[Axes]) -> list[str]:
    return [t.get_text() for own in np.atleast_1d(ax) for t in own.figure.findobj(match=_is_text)]


def _is_text(artist: Any) -> bool:
    return hasattr(artist, "get_text")


def test_the_gallery_shows_every_figure_and_its_calls_run(
    study: Study, data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [part for part in gallery.blocks() if "plots." in part[0]]
    code = "".join(code for code, _ in parts)
    assert not [name for name in plots.__all__ if name.islower() and f"plots.{name}" not in code
                and f"plots.{name}" not in gallery.PAGE.read_text(encoding="utf-8")]  # fmt: skip
    monkeypatch.setattr(ms, "similarity", lambda _: FOUND)
    monkeypatch.setattr(ms, "transfer", lambda *_, **__: TRANSFER)
    monkeypatch.setattr(ms.corpus, "read_task", lambda *_, **__: None)
    names = {"ms": ms, "model": None, "recording": RECORDING, "scores": SCORES, "experts": EXPERTS}
    drawn = dict(gallery.drawn({**names, "study": study, "cards": data.cards}, parts))
    assert len(drawn) == len(parts)
    folder = gallery.PAGE.parent
    assert sorted(p.name for p in (folder / "../static/gallery").iterdir()) == sorted(
        Path(picture).name for picture in drawn
    )
    for picture, ax in drawn.items():
        made = (folder / picture).read_text(encoding="utf-8")
        for said in (ax.get_xlabel(), ax.get_ylabel()):
            assert said.partition(" (")[0] in made, picture


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("other", [None, 7, "study", Path(), [], {}, RECORDING.site], ids=repr)
def test_a_figure_refuses_what_it_cannot_draw(name: str, other: Any) -> None:
    draw: Callable[..., Any] = inspect.unwrap(getattr(plots, name))
    with pytest.raises(MechsteerError, match=r"^expected .* got [A-Za-z]+$") as told:
        draw(other, **ARGUMENTS.get(name, {}))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", sorted({*FIGURES} - {"likeness", "importance", "language_tree",
                                                       "transfer_matrix"}))  # fmt: skip
def test_a_table_without_its_columns_or_rows_is_refused(name: str, study: Study) -> None:
    draw, given = getattr(plots, name), ARGUMENTS.get(name, {})
    with pytest.raises(MechsteerError, match="has no column"):
        draw(pd.DataFrame({"a": [1]}), **given)
    whole = {**study.tables, "counts": study.counts.assign(ap_p99=1.0)}
    for table in whole.values():
        with pytest.raises(MechsteerError, match=r"has no (column|rows)"):
            draw(table.head(0), **given)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda s: plots.curves(s, metric="mexa", language="es"), "expected one of"),
        (lambda s: plots.curves(s, metric="mexo", language="fr"), "'mexa'"),
        (lambda s: plots.distances(s, language="toxic"), "fra_Latn"),
        (lambda s: plots.dose_response(s, edit="zero", language="fr"), "clamp"),
        (lambda s: plots.dose_response(s, edit="clamp", language="jpn"), "fra_Latn"),
        (lambda s: plots.dose_response(s, edit="clamp", language="fr", metric="x"), "no metric"),
        (lambda s: plots.dose_response(s, edit="clamp", language="fr", place="top"), "last_block"),
        (lambda s: plots.dose_response(s.doses, edit="clamp", language="fr"), "to one layer"),
        (lambda s: plots.effects(s, metric="mexo"), "'mexa'"),
        (lambda s: plots.effects(s, place="top"), "best_layer"),
        (lambda s: plots.retrieval_matrix(s, layer=99), "no layer 99"),
        (lambda s: plots.retrieval_matrix(s, "zero"), "centring"),
        (lambda s: plots.retrieval_matrix(s, metric="mexo"), "no metric"),
        (lambda s: plots.retrieval_matrix(s, "clamp", language="vie"), "deu_Latn"),
        (lambda s: plots.projection(s, "zero"), "centring"),
        (lambda s: plots.projection(s, "clamp", language="vie"), "deu_Latn"),
        (lambda s: plots.hubness(s, language="vie"), "deu_Latn"),
        (lambda s: plots.hubness(s.hubness, language="fr"), "one k and one strength"),
        (plots.experts_per_layer, "expected language="),
        (lambda s: plots.experts_per_layer(s, language="vie"), "deu_Latn"),
        (lambda s: plots.layer_ap(s, column="ap_min"), "no column ap_min"),
        (lambda s: plots.layer_ap(s, column="stack"), "holds no numbers"),
        (lambda s: plots.effects(s, place=3), "no place 3"),
        (lambda s: plots.curves(s, metric=None, language="fr"), "no metric None"),
        (lambda s: plots.curves(s, metric="mexa", language=None), "name of a language"),
        (lambda s: plots.curves(s, metric="mexa", language="fr", source="es"), "expected one of"),
        (lambda s: plots.retrieval_matrix(s, layer="a"), "no layer 'a'"),
        (lambda s: plots.retrieval_matrix(s, 5), "no 5 among these"),
        (lambda _: plots.layer_ap(EXPERTS), "NeuronScores"),
        (lambda _: plots.overlap(EXPERTS), "NeuronScores"),
        (lambda _: plots.activations(RECORDING, neuron=EXPERTS[0], language="vie"), "deu_Latn"),
        (lambda _: plots.activations(RECORDING, neuron=3), "expected language="),
        (lambda _: plots.activations(RECORDING, language="fr"), "expected neuron="),
        (lambda _: plots.activations(RECORDING, neuron=True, language="fr"), "expected neuron="),
        (lambda _: plots.activations(RECORDING, neuron=30, language="fr"), "from 0 to 29"),
        (lambda _: plots.language_scores(SCORES), "expected neuron="),
        (lambda _: plots.language_scores(SCORES, neuron=EXPERTS[0], language="vie"), "deu_Latn"),
        (lambda _: plots.likeness(FOUND, "colour"), "syntactic"),
        (lambda _: plots.likeness(FOUND, "syntactic", language="vie"), "deu_Latn"),
        (lambda _: plots.likeness(FOUND, "syntactic", metric="x"), "no response"),
        (lambda _: plots.importance(FOUND, state="x"), "no response"),
        (lambda _: plots.language_tree(FOUND, languages=["vie"]), "deu_Latn"),
        (lambda _: plots.transfer_matrix(TRANSFER, layer=99), "99"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_refused(
    study: Study, draw: Callable[[Study], Any], said: str
) -> None:
    with pytest.raises(MechsteerError) as told:
        draw(study)
    assert said in str(told.value) and "\n" not in str(told.value)


def test_any_code_of_a_language_draws_the_same(study: Study) -> None:
    for draw in (
        lambda code: plots.curves(study, metric="mexa", language=code),
        lambda code: plots.distances(study, language=code),
        lambda code: plots.dose_response(study, edit="clamp", language=code),
        lambda code: plots.retrieval_matrix(study, "clamp", language=code, delta=True),
        lambda code: plots.projection(study, "clamp", language=code),
        lambda code: plots.hubness(study, language=code),
        lambda code: plots.experts_per_layer(study, language=code),
        lambda code: plots.activations(RECORDING, neuron=4, language=code),
        lambda code: plots.language_scores(SCORES, neuron=4, language=code),
        lambda code: plots.likeness(FOUND, "syntactic", language=code),
        lambda code: plots.language_tree(FOUND, languages=[code]),
    ):
        assert words(draw("fr")) == words(draw("fra_Latn"))


def test_a_study_draws_its_chosen_doses_alone(study: Study) -> None:
    chosen = {c.k for c in study.chosen if c.language == "fra_Latn"}
    ax = plots.effects(study)
    rows = study.results[study.results["k"].isin([0, *chosen])]
    rows = rows[(rows["metric"] == "retrieval_top1.delta") & (rows["kind"] == "edit")]
    rows = rows[(rows["layer"] == study.best_layer) & (rows["source"] == "*")]
    (clamp,) = [line for line in ax.lines if line.get_marker() == "o"]
    expected = rows[(rows["language"] == "fra_Latn") & (rows["target"] == "*")]["value"].item()
    assert clamp.get_xdata()[0] == expected
    doses = plots.dose_response(study, edit="clamp", language="fr", place="last_block")[0]
    assert [len(line.get_xdata()) for line in doses.lines if line.get_marker() == "o"] == [2]
    assert len(plots.hubness(study, language="fr").patches) == 6


def test_an_arm_is_called_as_figures_call_it(study: Study) -> None:
    named = plots.retrieval_matrix(study, "clamp", language="fr").images[0].get_array()
    arm = plots.retrieval_matrix(study, Arm("edit", "clamp"), language="fr", layer=study.best_layer)
    assert np.array_equal(named.filled(-1), arm.images[0].get_array().filled(-1))


def test_a_recording_draws_one_neuron_as_it_was_scored() -> None:
    expert = EXPERTS[2]
    flat = SITE.number(expert.component, expert.layer, expert.neuron)
    assert flat == int(EXPERTS.index[2])
    values = RECORDING.to_numpy()[:, flat]
    positive = (RECORDING.labels == LANGUAGES.index("fra_Latn")).numpy()
    ax = plots.precision_recall(RECORDING, neuron=expert)
    ap = average_precision_score(positive, values)
    assert ax.get_title(loc="left") == f"average precision {ap:.3f}"
    ax = plots.activations(RECORDING, neuron=flat, language="fra_Latn")
    assert words(ax) == words(plots.activations(RECORDING, neuron=expert))
    bars = plots.language_scores(SCORES, neuron=expert)
    assert bars.get_xticklabels()[0].get_text() in LANGUAGES


def test_a_card_draws_what_its_tables_draw(data: ReportData) -> None:
    cards = data.cards
    assert isinstance(cards, Cards)
    one = cards[1]
    assert len(one) == 1 and one.neurons["language"].item() == "jpn_Jpan"
    assert repr(one) == "Cards(1 neuron: jpn_Jpan)"
    assert "jpn_Jpan" in words(plots.activations(one))
    assert words(plots.activations(one.histograms)) != []
    own = one.scores.set_index("language").loc["jpn_Jpan", "ap"]
    assert plots.precision_recall(one).get_title(loc="left") == f"average precision {own:.3f}"
    plots.language_scores(one)
    for draw, table in (
        (plots.activations, "histograms"),
        (plots.precision_recall, "curves"),
        (plots.language_scores, "scores"),
    ):
        for several in (cards, cards.tables[table]):
            with pytest.raises(MechsteerError, match="expected one card"):
                draw(several)
    with pytest.raises(IndexError):
        cards[3]


def test_counts_of_experts_and_scores() -> None:
    plots.experts_per_layer(SCORES, language="fra_Latn")
    plots.layer_ap(SCORES)
    plots.overlap(SCORES)
    best = counts_of(SCORES, ("language", "layer", "count"))
    assert best.groupby("language")["count"].sum().tolist() == [30, 30, 30]
