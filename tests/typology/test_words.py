"""Lexical distance by hand: sounds, edits, synonyms, and lists that are missing."""

from __future__ import annotations

import numpy as np
import pytest

from mechsteer.typology.catalogue import directions, geo_vectors, globe_points, kilometres
from mechsteer.typology.codes import candidates
from mechsteer.typology.surveys import mismatches
from mechsteer.typology.words import MEANINGS, WordList, edit_distances, ldnd, sounds


def listed(**words: str) -> WordList:
    forms = [()] * MEANINGS
    for place, text in words.items():
        forms[int(place[1:])] = tuple(map(sounds, text.split(",")))
    return WordList("X", "xxx", tuple(forms))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ndy$a", ("ndy$", "a")), ("%kh~a", ("kh~", "a")), ("o*t", ("o*", "t")),
        ("a b", ("a", "b")),
        ('pf~"a', ('pf~"', "a")), ("", ()), ("~a", ("~", "a")),
    ],
)  # fmt: skip
def test_sounds(word: str, expected: tuple[str, ...]) -> None:
    assert sounds(word) == expected


def plain(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))


def test_edit_distances_are_those_of_the_recursive_definition() -> None:
    generator = np.random.default_rng(0)
    words = [tuple("abc"[i] for i in generator.integers(0, 3, n)) for n in (0, 1, 2, 3, 4, 5, 5, 6)]
    expected = [[plain(a, b) for b in words[::-1]] for a in words]
    assert edit_distances(words, words[::-1]).tolist() == expected


def test_ldnd_divides_by_the_distance_of_words_of_other_meanings() -> None:
    first, second = listed(m0="ab", m1="cd,ce"), listed(m0="ab", m1="cd", m2="xy")
    same = (0 + (0 + 1 / 2) / 2) / 2
    other = (1 + 1 + 1 + 1) / 4  # ab-cd, ab-xy, c*-ab, c*-xy: nothing in common
    assert ldnd([first, second])[0, 1] == pytest.approx(same / other)


def test_lists_without_a_common_meaning_have_no_distance() -> None:
    found = ldnd([listed(m0="ab"), listed(m1="ab"), None])
    assert np.isnan(found[0, 1]) and np.isnan(found[0, 2]) and found[0, 0] == 0


def test_mismatches_count_what_is_known_to_both() -> None:
    distance, share = mismatches(np.array([[0, 1, 2, -1], [0, 2, -1, 1], [-1, -1, -1, 1]]))
    assert distance[0, 1] == 0.5 and share[0, 1] == 0.5
    assert np.isnan(distance[0, 2]) and share[0, 2] == 0
    assert distance[1, 2] == 0 and share[1, 2] == 0.25


def test_the_points_on_the_globe_are_uriels() -> None:
    """Its features are called GC_-83_42, GC_-81_-95, … GC_83_-117, GC_90_105."""
    points = globe_points()
    latitude = np.degrees(np.arcsin(points[:, 2]))
    longitude = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    assert latitude.round()[[0, 1, -2, -1]].tolist() == [-83, -81, 83, 90]
    assert longitude.round()[[0, 1, -2]].tolist() == [42, -95, -117]
    north = geo_vectors(directions(np.array([90.0]), np.array([0.0])))
    assert north[0, -1] == 0 and north[0, 0] == round((90 + 83.3693) / 180, 4)


def test_places_that_are_unknown_have_no_distance() -> None:
    found = kilometres(directions(np.array([48.0, 53.0, np.nan]), np.array([2.0, -1.0, 3.0])))
    assert found[0, 1] == pytest.approx(595, abs=2)
    assert np.isnan(found[0, 2])


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("fra_Latn", ("fra",)), ("zho_Hant", ("cmn", "zho")), ("est_Latn", ("ekk", "est")),
        ("npi_Deva", ("npi", "nep")), ("arz_Arab", ("arz", "ara")), ("nob_Latn", ("nob", "nor")),
    ],
)  # fmt: skip
def test_candidates(language: str, expected: tuple[str, ...]) -> None:
    assert candidates(language) == expected
