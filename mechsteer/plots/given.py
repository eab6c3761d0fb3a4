"""What a figure may be asked of: its table, or the object that holds it; all else is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from mechsteer.corpus.names.codes import closest
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.errors import MechsteerError, shown
from mechsteer.experts import Experts, NeuronScores
from mechsteer.studies import Study
from mechsteer.studies.conditions import Arm, names
from mechsteer.studies.detail_tables import counts_of_experts, expert_overlap, experts_per_layer
from mechsteer.studies.results import arms_of

BEST = 100  # neurons of a language that stand for its experts where scores are given


def refuse(given: Any, *takes: str) -> NoReturn:
    """Say what a figure takes.

    Raises:
        MechsteerError: always.
    """
    *others, last = takes
    expected = f"{', '.join(others)} or {last}" if others else last
    raise MechsteerError(f"expected {expected}, got {type(given).__name__}")


def table_of(given: Any, name: str, columns: Iterable[str], *also: str) -> pd.DataFrame:
    """A table as it is, or the one of that name of a study, at the chosen doses.

    Args:
        given: a study or a table.
        name: of the table of a study.
        columns: that it must have.
        also: what else the figure takes, for the refusal.

    Raises:
        MechsteerError: it is neither, lacks a column, or has no rows.
    """
    if isinstance(given, Study):
        table = given.tables[name]
        given = given.chosen_rows(table) if name in ("results", "hubness") else table
    if not isinstance(given, pd.DataFrame):
        own = f" (study.{name})" if name != "effects" else ""  # made anew from its results
        refuse(given, "a Study", *also, f"its table of {name}{own}")
    return with_columns(given, columns, name)


def with_columns(
    table: pd.DataFrame, columns: Iterable[str], name: str, *, numbers: Iterable[str] = ()
) -> pd.DataFrame:
    """A table that has some columns, those of numbers with numbers, and a row.

    Raises:
        MechsteerError: it has not.
    """
    if missing := [column for column in columns if column not in table]:
        raise MechsteerError(f"the table of {name} has no column {', '.join(map(str, missing))}")
    wrong = [column for column in numbers if not is_numeric_dtype(table[column])]
    if wrong:
        raise MechsteerError(f"the column {wrong[0]} of the table of {name} holds no numbers")
    if table.empty:
        raise MechsteerError(f"the table of {name} has no rows")
    return table


def counts_of(given: Any, columns: Iterable[str]) -> pd.DataFrame:
    """Experts by layer, of experts themselves too, or of the best neurons of some scores.

    Raises:
        MechsteerError: it is none of these, or lacks a column.
    """
    if isinstance(given, Experts) and set(columns) <= set(counts := counts_of_experts(given)):
        return counts
    if isinstance(given, NeuronScores):
        return experts_per_layer(given, min(BEST, given.site.n_neurons))
    experts = ("Experts",) if "count" in columns else ()
    return table_of(given, "counts", columns, "NeuronScores", *experts)


def overlap_of(given: Any) -> pd.DataFrame:
    """Experts that languages share, of the best neurons of some scores too.

    Raises:
        MechsteerError: it is none of these, or lacks a column.
    """
    if isinstance(given, NeuronScores):
        return expert_overlap(given, min(BEST, given.site.n_neurons))
    return table_of(given, "overlap", ("language", "other", "jaccard"), "NeuronScores")


def named(code: str, known: Iterable[str]) -> str:
    """The one of these names that a code means, in any form that a corpus takes (``fr``).

    Where there are none, every figure is of the model as it is, and any name serves as its title.

    Raises:
        MechsteerError: none of them; the closest ones are named.
    """
    if not isinstance(code, str):
        refuse(code, "the name of a language or label")
    there = [name for name in dict.fromkeys(known) if name not in ("", "*")]
    name = code if code in there or not there else name_or_none(code)
    if name is not None and (name in there or not there):
        return name
    near = ", ".join(closest(code, there) or there[:6])
    raise MechsteerError(f"{shown(code)} is not drawn here: expected one of {near}")


def row_of(study: Study, place: str) -> int:
    """The row of a place of a study.

    Raises:
        MechsteerError: there is none; those that there are are named.
    """
    if place not in study.places:
        raise MechsteerError(
            f"no place {shown(place)} here: expected one of {', '.join(study.places)}"
        )
    return {str(name): row for name, row in study.places.items()}[place]


def arm_of(table: pd.DataFrame, arm: Arm | str) -> Arm:
    """An arm of a table, by what figures call it too: ``clamp``, ``random``, ``none``, say.

    Raises:
        MechsteerError: there is no such arm; those that there are are named.
    """
    called = {name: own for own, name in names(arms_of(table)).items()}
    found = called.get(arm) if isinstance(arm, str) else {a: a for a in called.values()}.get(arm)
    if found is None:
        raise MechsteerError(f"no {shown(arm)} among these: expected one of {', '.join(called)}")
    return found


def only(table: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """Rows with a value in a column.

    Raises:
        MechsteerError: there are none; the values that there are are named.
    """
    rows: pd.DataFrame = table[table[column] == value]
    if rows.empty:
        there = [v.item() if isinstance(v, np.generic) else v for v in table[column].unique()]
        near = closest(value, there) if {type(v) for v in (value, *there)} == {str} else []
        known = ", ".join(shown(v) for v in near or there[:8])
        raise MechsteerError(f"no {column} {shown(value)} here: expected one of {known}")
    return rows
