"""What every measure must say of every planted truth, against the space before."""

from __future__ import annotations

from functools import cache

import pytest

from mechsteer import analysis
from mechsteer.errors import MechsteerError
from tests.planted.made import PLANTS
from tests.planted.measures import MEASURES

# +  rises      -  falls      (by `Measure.least` or more)
# =  unchanged but for rounding    0  falls to what it says of unrelated spaces
# <  does not rise    !  refused    .  nothing is claimed
EXPECTED = """
                     common own turned aligned harmed hubs doubled squeezed unrelated centred rogue
top1_hits              -     -     0      +      -     -      -       -         0        +        -
retrieval              -     -     0      +      -     +      -       -         0        +        -
ratio_margin           -     !     0      +      -     +      -       -         0        +        .
difference_margin      -     -     0      +      -     +      -       -         0        +        .
csls                   -     -     0      +      -     +      -       -         0        +        .
mexa_hits              -     -     0      +      -     -      -       -         0        +        -
mixed_pool_hits        -     -     0      +      -     -      -       -         0        +        -
translation_ranks      +     +     0      -      +     +      +       +         0        -        .
reciprocal_ranks       -     -     0      +      -     -      -       -         0        +        .
hits_at                -     -     0      +      -     -      .       -         0        +        .
translation_margin     =     =     0      +      -     .      .       .         0        =        .
translation_margin raw -     -     0      +      -     -      .       .         0        +        .
translation_auroc      =     =     0      +      -     .      .       -         0        =        .
translation_auroc raw  -     -     0      +      -     -      .       -         0        +        .
debiased_cka           =     =     =      +      -     .      +       .         0        =        .
cka_matrix             =     =     =      +      -     .      +       .         0        =        .
biased_cka             =     =     =      +      -     .      .       .         0        =        .
neuron_correlation     =     =     0      +      -     .      .       =         0        =        .
procrustes             =     =     =      +      -     .      .       -         -        =        .
mutual_neighbours      =     =     =      +      -     .      .       .         0        =        .
pair_distances         -     +     0      -      +     <      .       .         0        .        .
mean_distances         -     .     .      .      .     .      .       .         .        !        .
skewness               +     +     .      .      .     +      .       .         .        -        .
anti_hubs              +     +     .      .      .     +      .       .         .        .        .
mean_cosine            +     +     =      +      -     +      .       .         .        -        +
participation_ratio    =     =     =      .      .     .      -       -         .        =        .
largest_share          .     .     .      .      .     .      .       +         .        .        +
iso_score              =     =     =      .      .     .      -       -         .        =        .
probe_accuracy         =     +     .      .      -     .      .       =         .        -        .
centroid_accuracy      .     +     .      .      -     .      .       -         .        -        .
silhouette             .     +     .      .      -     .      .       -         .        -        .
v_measure              .     +     .      .      -     .      .       -         .        -        .
subspace_angles        =     =     +      -      .     .      .       -         +        =        .
"""
COLUMNS, *ROWS = (line.split() for line in EXPECTED.strip().splitlines())
CELLS = [
    pytest.param(" ".join(name), plant, claim, id=f"{'_'.join(name)}-{plant}")
    for *name, claims in ((*row[: -len(COLUMNS)], row[-len(COLUMNS) :]) for row in ROWS)
    for plant, claim in zip(COLUMNS, claims, strict=True)
    if claim != "."
]
ROUNDING = 1e-9


@cache
def planted(plant: str, side: int) -> dict:
    return PLANTS[plant][side]()


@cache
def value(name: str, plant: str, side: int) -> float:
    return MEASURES[name].of(planted(plant, side))


def before(name: str, plant: str) -> float:
    same = "hubs" if plant == "hubs" else "common"  # all others start from one space
    return value(name, same, 0)


@pytest.mark.parametrize(("name", "plant", "claim"), CELLS)
def test_a_measure_says_what_was_planted(name: str, plant: str, claim: str) -> None:
    measure = MEASURES[name]
    if claim == "!":
        with pytest.raises(MechsteerError):
            value(name, plant, 1)
        return
    was, now = before(name, plant), value(name, plant, 1)
    n = len(next(iter(planted(plant, 1).values())))
    true = {
        "+": now >= was + measure.least,
        "-": now <= was - measure.least,
        "=": abs(now - was) <= ROUNDING,
        "<": now <= was + ROUNDING,
        "0": abs(now - measure.chance(n)) <= max(measure.least, 0.05) < abs(was - now),
    }
    assert true[claim], f"{name} of {plant}: {was:.4f} before, {now:.4f} after"


def test_the_table_has_every_measure_and_every_plant() -> None:
    assert {" ".join(row[: -len(COLUMNS)]) for row in ROWS} == set(MEASURES)
    assert set(COLUMNS) == set(PLANTS)


def moved_by_an_offset(name: str) -> bool:
    try:
        changes = [abs(value(name, plant, 1) - before(name, plant)) for plant in ("common", "own")]
    except MechsteerError:
        return True  # a ratio of cosines that an offset makes negative
    assert max(changes) <= ROUNDING or max(changes) >= MEASURES[name].least, changes
    return max(changes) > ROUNDING


def test_what_centres_is_blind_to_offsets_and_nothing_else_is() -> None:
    blind = {name for name in MEASURES if not moved_by_an_offset(name)}
    assert blind == {
        *("translation_margin", "translation_auroc", "debiased_cka", "cka_matrix", "biased_cka"),
        *("neuron_correlation", "procrustes", "mutual_neighbours", "subspace_angles"),
        *("participation_ratio", "iso_score"),
    }


def test_hubs_cost_cosine_what_margins_recover() -> None:
    lost = {
        name: before(name, "hubs") - value(name, "hubs", 1)
        for name in ("top1_hits", "mexa_hits", "retrieval", "ratio_margin", "csls")
    }
    for rule in ("retrieval", "ratio_margin", "csls"):
        assert lost[rule] < min(lost["top1_hits"], lost["mexa_hits"]) - 0.05


def test_every_doubled_sentence_is_a_miss_of_every_strict_rule() -> None:
    x, y, _ = planted("doubled", 1).values()
    doubled = len(x) // 2
    ranks = analysis.translation_ranks(x, y)
    assert not analysis.top1_hits(x, y)[:, :doubled].any()
    assert not analysis.mexa_hits(x, y)[:doubled].any()
    assert not analysis.mixed_pool_hits(planted("doubled", 1))[..., :doubled].any()
    for rule in (analysis.ratio_margin, analysis.difference_margin, analysis.csls):
        assert not analysis.top1_hits(x, y, rescore=rule)[:, :doubled].any()
    assert (ranks[:, :doubled] >= 2).all()
    assert analysis.top1_hits(x, y)[:, doubled:].double().mean() > 0.4
