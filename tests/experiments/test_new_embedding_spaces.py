"""The protocol's own arithmetic; its whole road is run by ``make protocol``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr

from experiments.new_embedding_spaces import pages, published, tables
from experiments.new_embedding_spaces.correlations import correlations, pearson
from experiments.new_embedding_spaces.pairs import bucc, english_pairs, paraphrases, shortened
from experiments.new_embedding_spaces.settings import HERE, Settings, config_path
from mechsteer.analysis import mean_distances
from mechsteer.analysis.alignment import medoid
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.studies.conditions import BASE, CENTRING, Condition
from mechsteer.studies.measurements import measure
from mechsteer.studies.tables import tabulate

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan", "rus_Cyrl")
TARGETS = ("fra_Latn", "jpn_Jpan")
CONFIGS = sorted((HERE / "configs").glob("*.yaml"))


def space(seed: int, shared: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    meaning = shared * torch.randn(2, 30, 8, generator=generator)
    return {
        code: meaning
        + torch.randn(2, 30, 8, generator=generator)
        + (i + 1) * torch.randn(2, 1, 8, generator=generator)
        for i, code in enumerate(LANGUAGES)
    }


def clamped(language: str) -> Condition:
    return Condition("edit", "clamp", language, 5, 1.0)


@pytest.fixture(scope="module")
def spaces() -> dict[Condition, dict[str, torch.Tensor]]:
    edited = {clamped(code): space(9 + i, 1.5) for i, code in enumerate(TARGETS)}
    drawn = {
        Condition("random", "clamp", code, 5, 1.0, s): space(20 + s, 0.8)
        for s in (0, 1)
        for code in TARGETS
    }
    return {BASE: space(0, 0.8), CENTRING: space(1, 1.2)} | edited | drawn


@pytest.fixture(scope="module")
def results(spaces: dict[Condition, dict[str, torch.Tensor]]) -> pd.DataFrame:
    measured = {condition: measure(x) for condition, x in spaces.items()}
    return tables.labelled(tabulate(measured, LANGUAGES, targets=TARGETS, resamples=100))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_is_the_papers_but_for_its_model(path: Path) -> None:
    settings = Settings.load(path)
    assert settings.name == path.stem
    five = {"eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "jpn_Jpan"}
    short = path.stem in {"smollm2-135m", "e5-small"}  # three targets of the five, scored as ever
    assert len(settings.targets) == (3 if short else 5)
    assert {*settings.targets, *settings.negatives} == five | {"zho_Hans"}
    assert "zho_Hans" in settings.negatives
    assert set(settings.targets) <= set(settings.languages)
    assert (settings.site, settings.pooling, settings.by, settings.value) == (
        "linear", "max", "auroc", "mean",
    )  # fmt: skip
    assert settings.published is None or settings.published in published.MODELS
    known = {"embedded": 9, "smollm2-135m": 7}  # models of fewer languages
    assert len(settings.languages) == known.get(path.stem, 22)
    assert not {"arb_Arab", "zho_Hans"} & set(settings.languages)


def test_a_configuration_with_a_typo_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: embedded\ntarget: [fra_Latn]\n", encoding="utf-8")
    with pytest.raises(MechsteerError, match="unknown target"):
        Settings.load(path)
    path.write_text("model: embedded\n", encoding="utf-8")
    with pytest.raises(MechsteerError, match=r"missing.*'languages'"):
        Settings.load(path)


def test_a_configuration_is_found_by_name_and_by_any_path(tmp_path: Path) -> None:
    assert config_path("embedded") == HERE / "configs" / "embedded.yaml"
    mine = tmp_path / "mine.yaml"
    mine.write_text("model: embedded\n", encoding="utf-8")
    assert config_path(str(mine)) == mine
    with pytest.raises(MechsteerError, match="no configuration 'other': expected a YAML file, or"):
        config_path("other")


@pytest.mark.parametrize("text", ["", "- a\n", "model: [", "\0"])
def test_a_file_that_holds_no_settings_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MechsteerError, match=r"mine\.yaml"):
        Settings.load(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ks: x", "ks is 'x', expected list"),
        ("ks: []", "ks: expected at least one"),
        ("ks: [.nan]", r"ks\[0\] is nan"),
        ("ks: [1.5]", "ks: expected k as a number of neurons"),
        ("ks: [-3]", "ks: expected k as a number of neurons"),
        ("strengths: [.inf]", r"strengths\[0\] is inf"),
        ("seeds: 0", "seeds: expected a whole number of at least 1, got 0"),
        ("seeds: 1.5", "seeds is 1.5"),
        ("tested: -1", "tested: expected a whole number of at least 2"),
        ("targets: [1]", r"targets\[0\] is 1, expected str"),
        ("targets: ['']", "targets: expected the code of a language"),
        ("by: f1", "by: expected ap or auroc"),
        ("choose_at: nowhere", "choose_at is 'nowhere'"),
        ("beside: [nothing]", "beside: expected criterion"),
        ("grow: 3", "grow is 3, expected bool"),
        ("pairs: 1" + "0" * 30, "pairs is 10{30}"),
        ("1: 2", "unknown 1"),
    ],
)
def test_a_setting_that_cannot_be_is_named(line: str, reason: str, tmp_path: Path) -> None:
    rest = {"model": "embedded", "languages": "[fra_Latn]", "targets": "[fra_Latn]"}
    rest |= {"negatives": "[]", "ks": "[5]"}
    rest.pop(line.partition(":")[0], None)
    text = "\n".join([*(f"{key}: {value}" for key, value in rest.items()), line])
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(MechsteerError, match=reason) as refused:
        Settings.load(tmp_path / "mine.yaml")
    assert "\n" not in str(refused.value)


def test_an_encoder_has_no_columns_of_what_it_writes() -> None:
    doses = pd.DataFrame(
        [("k", 5, 1.0, 1, "retrieval_top1", 0.5), ("k", 5, 1.0, 2, "retrieval_top1", 0.25)],
        columns=["edit", "k", "strength", "layer", "metric", "value"],
    )
    written, rows = pd.DataFrame(columns=["k", "value"]), {"best_layer": 1, "last_block": 2}
    table = tables.sweep(doses, written, 100, rows)
    expected = {"k": 5, "share": 0.05, "best_layer": 0.5, "last_block": 0.25}
    assert table.to_dict("records") == [expected]
    page = pages.sweep_table(table, Condition("edit", "clamp", "fra_Latn", 5, 1.0))
    assert page.splitlines()[-1] == "| **5** | 5.00 % | 50.0 | 25.0 |"


def test_quick_is_the_same_protocol_made_small() -> None:
    quick = Settings.load(HERE / "configs" / "embedded.yaml").quick()
    assert set(quick.targets) <= set(quick.languages)
    assert len(quick.languages) == 3
    assert quick.by == "auroc"


def test_r_is_pearsons_and_its_interval_holds_it() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=8)
    y = x + generator.normal(size=8)
    found = pearson(x, y)
    assert found["value"] == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)
    assert found["ci_low"] < found["value"] < found["ci_high"]
    one = np.ones(8)
    assert np.isnan(pearson(x, one)["value"])
    assert np.isnan(pearson(x[:2], y[:2])["value"])


def test_correlations_take_accuracy_and_distance_of_each_candidate(results, spaces) -> None:
    table = correlations(results, edit="clamp", layer=1).set_index(["language", "pair"])
    others = [i for i, code in enumerate(LANGUAGES) if code != "fra_Latn"]
    own = LANGUAGES.index("fra_Latn")
    after = {code: x[1] for code, x in spaces[clamped("fra_Latn")].items()}
    distance = mean_distances(after)[own, others]
    accuracy = measure({c: x[None] for c, x in after.items()}).top1[0, own, others].double().mean(1)
    expected = pearsonr(accuracy, distance).statistic
    got = table.loc[("fra_Latn", "accuracy, distance: after"), "value"]
    assert got == pytest.approx(expected, abs=1e-5)
    assert len(table) == 2 * 4


def test_distances_are_the_papers_three_before_and_after(results, spaces) -> None:
    table = tables.distances(results, TARGETS, 1).set_index("row")
    before = mean_distances({code: x[1] for code, x in spaces[BASE].items()})
    centre = medoid(before)
    rows = {code: LANGUAGES.index(code) for code in TARGETS}
    to_medoid = np.mean([before[centre, row] for row in rows.values()])
    assert table.loc["target to medoid", "before"] == pytest.approx(to_medoid, abs=1e-5)
    to_target = [before[[i for i in range(5) if i != row], row].mean() for row in rows.values()]
    assert table.loc["others to target", "before"] == pytest.approx(np.mean(to_target), abs=1e-5)
    spread = np.std(to_target, ddof=1) / np.sqrt(2)
    assert table.loc["others to target", "before_sem"] == pytest.approx(spread, abs=1e-5)
    assert "→" in pages.distance_table(table.reset_index(), "final_norm")


def test_effects_of_a_targets_queries_are_those_of_its_row(results, spaces) -> None:
    table = tables.effects(results, {"best_layer": 0, "last_block": 1})
    asked = table.query("edit == 'none' and pairs == 'query' and place == 'last_block'")
    asked = asked[asked["metric"] == "retrieval_top1"].set_index("language")["value"]
    base = measure(spaces[BASE]).top1[1].float().mean(2)
    for code in TARGETS:
        row = LANGUAGES.index(code)
        expected = (base[row].sum() / 4).item()
        assert asked[code] == pytest.approx(expected, abs=1e-6)
    means = tables.over_targets(table).set_index(["edit", "place", "pairs", "metric"])["value"]
    mean = np.mean([asked[code] for code in TARGETS])
    assert means["none", "last_block", "query", "retrieval_top1"] == pytest.approx(mean, abs=1e-6)
    page = pages.effect_table(table, "query")
    assert page.count("\n") == 1 + len({"none", "centring", "clamp", "random"})


def test_paraphrases_are_paws_x_where_it_is_and_shortened_sentences_elsewhere(
    tmp_path: Path,
) -> None:
    test = ParallelCorpus({"fra_Latn": ["un deux trois quatre", "cinq six"]})
    name, first, second = paraphrases("fra_Latn", 1, test, tmp_path)
    assert (name, first, second) == (
        "without the last third", ["un deux trois quatre"], ["un deux trois"],
    )  # fmt: skip
    file = tmp_path / "paws-x" / "fr" / "test_2k.tsv"
    file.parent.mkdir(parents=True)
    rows = ["id\tsentence1\tsentence2\tlabel", "1\ta b\tb a\t1", '2\tc "d\te\t0', "3\tf\tg\t1"]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert paraphrases("fra_Latn", 9, test, tmp_path) == ("PAWS-X", ["a b", "f"], ["b a", "g"])


def test_a_shortened_sentence_ends_with_a_word() -> None:
    assert shortened("one two three four five six") == "one two three four"
    assert shortened("一二三四五六") == "一二三四"
    assert shortened("a") == "a"


def test_bucc_pairs_are_those_of_the_gold(tmp_path: Path) -> None:
    folder = tmp_path / "bucc2018" / "fr-en"
    folder.mkdir(parents=True)
    parts = {"fr": "f1\tun\nf2\tdeux\n", "en": "e1\tone\ne2\ttwo\n", "gold": "f2\te2\nf1\te1\n"}
    for name, text in parts.items():
        (folder / f"fr-en.training.{name}").write_text(text, encoding="utf-8")
    pair = bucc(folder, "fra_Latn")
    assert pair.sentences == {"fra_Latn": ("deux", "un"), "eng_Latn": ("two", "one")}
    assert [name for name, _ in english_pairs("fra_Latn", 5, tmp_path)] == ["BUCC"]
    (folder / "fr-en.training.gold").write_text("f3\te1\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="gold names 'f3'"):
        bucc(folder, "fra_Latn")
