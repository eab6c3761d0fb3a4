"""What ranks divide, where they meet, and how an error on one becomes one on all."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.errors import ArtifactError, CorpusError, MechsteerError
from mechsteer.ranks import OtherRankError, Ranks, alone, current, everywhere
from mechsteer.ranks.current import TIMEOUT, _rendezvous, claimed, patience
from tests.ranks.threads import on_threads


def _first_name(ranks: Ranks) -> str:
    return ranks.from_first("a name", lambda: str(ranks.rank))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_every_item_is_one_ranks(size: int) -> None:
    shares = [Ranks(rank, size).share(range(7)) for rank in range(size)]
    assert sorted(item for share in shares for item in share) == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_all_hear_what_each_brings() -> None:
    said = on_threads(3, lambda ranks: ranks.gather("squares", ranks.rank**2))
    assert said == [[0, 1, 4]] * 3
    assert on_threads(3, lambda ranks: ranks.agreed("a number", ranks.rank + 5)) == [5] * 3
    assert on_threads(2, _first_name) == ["0", "0"]


def test_ranks_at_different_places_are_told_apart() -> None:
    said = on_threads(2, lambda ranks: ranks.wait("here" if ranks.first else "there"))
    assert all(isinstance(error, MechsteerError) for error in said)
    assert "rank 0 came to 'here' and others to ['there']" in str(said[0])


@pytest.mark.parametrize("failing", [{0}, {2}, {1, 2}])
def test_an_error_on_one_rank_is_one_on_all(failing: set[int]) -> None:
    def work(ranks: Ranks) -> None:
        with ranks.together("outer"), ranks.together("inner"):
            if ranks.rank in failing:
                raise CorpusError(f"rank {ranks.rank} cannot read")

    said = on_threads(3, work)
    teller = min(failing)
    assert type(said[teller]) is CorpusError
    others = [error for rank, error in enumerate(said) if rank != teller]
    assert all(type(error) is OtherRankError for error in others)
    assert {str(error) for error in others} == {f"rank {teller}: rank {teller} cannot read"}


def test_what_rank_0_cannot_do_no_other_tries() -> None:
    done: list[int] = []

    def work(ranks: Ranks) -> None:
        with ranks.in_turn("writing"):
            if ranks.first:
                raise ArtifactError("no room")
            done.append(ranks.rank)

    kinds = [type(error) for error in on_threads(3, work)]
    assert kinds[0] is ArtifactError
    assert kinds[1:] == [OtherRankError] * 2


def test_a_rank_at_another_run_is_named() -> None:
    def compare(ranks: Ranks) -> None:
        torch = "2.13" if ranks.rank < 2 else "2.12"
        ranks.same("the run", {"model": "m", "versions": {"torch": torch}})

    said = on_threads(3, compare)
    expected = "rank 2 has another versions.torch than rank 0 ('2.12' ≠ '2.13')"
    assert all(expected in str(error) for error in said)


def test_files_reach_ranks_that_do_not_see_them(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    (tmp_path / "0/a").write_bytes(b"first")
    (tmp_path / "1/b").write_bytes(b"second")

    def send(ranks: Ranks) -> None:
        own = [tmp_path / str(ranks.rank) / name for name in "abc"]
        for path, content in everywhere(own, ranks, "test"):
            path.write_bytes(content)

    assert on_threads(2, send) == [None, None]
    for disk in ("0", "1"):
        assert (tmp_path / disk / "a").read_bytes() == b"first"
        assert (tmp_path / disk / "b").read_bytes() == b"second"
        assert not (tmp_path / disk / "c").exists()


def test_rank_0_holds_the_lock_for_all(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def work(ranks: Ranks) -> str:
        with locked(folder):
            refused = ""
            try:
                with alone(), locked(folder):
                    pass
            except ArtifactError as error:
                refused = str(error)
            ranks.wait("all have tried")
        return refused

    assert all("another mechsteer command is writing" in str(said) for said in on_threads(3, work))
    assert not folder.exists()


def test_another_run_in_the_folder_is_refused_on_all_ranks(tmp_path: Path) -> None:
    def work(_: Ranks) -> None:
        with locked(tmp_path):
            pass

    with locked(tmp_path):
        kinds = [type(error) for error in on_threads(3, work)]
    assert kinds == [ArtifactError, OtherRankError, OtherRankError]


def test_one_process_is_rank_0_of_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", size)
        assert (current().rank, current().size, current().gather("x", 3)) == (0, 1, [3])


@pytest.mark.parametrize("text", ["soon", "0", "-1", "1.5", "٣"])
def test_a_timeout_is_a_number_of_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(MechsteerError, match="expected a number of seconds"):
        patience()


def test_the_log_of_a_run_says_what_a_rank_did(tmp_path: Path) -> None:
    from mechsteer.artifacts.runs import log_work

    run = Run.create(tmp_path, {"model": "m"}, languages=[])

    def work(ranks: Ranks) -> None:
        if ranks.first:  # threads share a logger, processes do not
            with run.timed("score"):
                log_work("recorded 3 of 7 batches")

    on_threads(2, work)
    left = logging.getLogger("mechsteer.artifacts.runs.work").handlers
    assert not [own for own in left if type(own).__module__.startswith("mechsteer")]
    (line,) = (tmp_path / "run.log").read_text().splitlines()
    assert line.endswith("\trank 0 of 2\trecorded 3 of 7 batches")


def test_ranks_that_meet_nobody_say_so_without_waiting_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = []

    def nobody(*_: object, timeout: timedelta) -> None:
        waited.append(timeout)
        raise RuntimeError("nobody came")

    monkeypatch.setattr(sys.modules["torch.distributed.rendezvous"], "rendezvous", nobody)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", TIMEOUT: "7"}.items():
        monkeypatch.setenv(name, value)
    _rendezvous.cache_clear()
    try:
        for _ in range(2):
            with pytest.raises(MechsteerError, match=r"the ranks do not meet \(nobody came\)"):
                current()
        assert claimed("why it ends")  # the second rank speaks: the first may be gone
    finally:
        _rendezvous.cache_clear()
    assert waited == [timedelta(seconds=7)]
