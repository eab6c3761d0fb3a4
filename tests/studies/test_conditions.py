"""Names of conditions: none collides with another, on a page or on a disk."""

from __future__ import annotations

import pytest

from mechsteer.errors import MechsteerError
from mechsteer.studies.conditions import BASE, CENTRING, Arm, Condition, in_order, names

HOSTILE = ["none", "centring", "random", "random clamp", "“none”", "base", "a/b", "a b", "x" * 400]


def test_every_arm_has_a_name_of_its_own() -> None:
    arms = [Arm("base"), Arm("centring"), Arm("edit", "clamp"), Arm("random", "clamp")]
    for name in HOSTILE:
        arms += [Arm("edit", name), Arm("random", name)]
    found = names(arms)
    assert set(found) == set(arms)
    assert len(set(found.values())) == len(found)
    assert found[Arm("base")] == "none" and found[Arm("centring")] == "centring"
    assert found[Arm("edit", "clamp")] == "clamp"


def test_the_control_of_one_edit_is_random_and_of_several_says_whose() -> None:
    one = names([Arm("random", "clamp"), Arm("edit", "clamp"), Arm("base")])
    assert list(one.values()) == ["none", "clamp", "random"]
    two = names([Arm("random", "clamp"), Arm("edit", "clamp"), Arm("edit", "damp")])
    assert list(two.values()) == ["clamp", "damp", "random clamp"]


def test_the_order_is_base_edits_controls() -> None:
    arms = [
        Arm("centring"),
        Arm("random", "a"),
        Arm("edit", "b"),
        Arm("edit", "clamp"),
        Arm("base"),
    ]
    kinds = ["base", "edit", "edit", "random", "centring"]
    assert [arm.kind for arm in in_order([*arms, *arms])] == kinds
    assert in_order(arms)[1].edit == "clamp"


def test_files_of_conditions_are_short_and_all_different() -> None:
    conditions = [BASE, CENTRING]
    for name in (*HOSTILE, "clamp"):
        conditions.append(Condition("edit", name, None, None, 1.0))
        for language in ("fra_Latn", "jpn_Jpan"):
            for strength in (0.5, 1.0):
                conditions.append(Condition("edit", name, language, 5, strength))
                conditions += [
                    Condition("random", name, language, 5, strength, seed) for seed in (0, 1)
                ]
    files = {condition.file_name for condition in conditions}
    assert len(files) == len(conditions)
    assert all(len(file.encode()) < 100 and file.isascii() and "/" not in file for file in files)


def test_the_cells_of_a_condition_are_never_missing() -> None:
    assert BASE.columns() == {
        "kind": "base", "edit": "", "language": "", "k": 0, "strength": 1.0, "seed": -1,
    }  # fmt: skip
    drawn = Condition("random", "clamp", "fra_Latn", 5, 0.5, 0)
    assert tuple(drawn.columns().values()) == ("random", "clamp", "fra_Latn", 5, 0.5, 0)
    assert Condition("edit", "x", None, None, 0.0).columns()["strength"] == 0.0


def test_a_condition_is_only_what_its_kind_can_be() -> None:
    for parts in (
        ("base", "clamp"),
        ("edit", "clamp"),
        ("edit", None, None, None, 1.0),
        ("edit", "", None, None, 1.0),
        ("edit", "clamp", None, None, 1.0, 3),
        ("random", "clamp", "fra_Latn", 4, 1.0),
        ("centring", None, None, None, 1.0),
        ("other",),
    ):
        with pytest.raises(MechsteerError, match="expected a"):
            Condition(*parts)
