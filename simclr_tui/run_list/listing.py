"""How the list of runs is looked at, and the lines that come of it: filtered, sorted, grouped. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simclr_tui.format import percent
from simclr_tui.model import RunRow, depths
from simclr_tui.run_list.columns import USUAL_COLUMNS, Column, column, sorted_by
from simclr_tui.run_list.query import Asked, Filter, FilterError, parse
from trainer.errors import UsageError

EVERYTHING = parse("")
_SMALLEST_NAME = 11
"""Cells of the name that columns leave."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListView:
    """How the list is looked at."""

    filter: Filter = EVERYTHING
    sort: str | None = None
    """Id of the column that runs are sorted by; None for the usual order, in which forks stand below their parents."""
    is_descending: bool = False
    columns: tuple[str, ...] = USUAL_COLUMNS
    """Ids of the columns behind the name, in their order."""
    group: str | None = None
    """Id of the column by whose values runs are put together."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns with the one that runs are sorted by, which comes first where it was not chosen."""
        is_seen = self.sort is None or self.sort in ("run", *self.columns)
        return self.columns if is_seen or self.sort is None else (self.sort, *self.columns)

    def stored(self) -> dict[str, Any]:
        """What is remembered of it."""
        return {
            "list.filter": self.filter.text,
            "list.sort": [self.sort, self.is_descending],
            "list.columns": list(self.columns),
            "list.group": self.group,
        }

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> "ListView":
        """The view that was remembered, as far as this version knows what it is made of."""
        sort, is_descending = _pair(values.get("list.sort"))
        listed = values.get("list.columns")
        chosen = [_known(one) for one in listed] if isinstance(listed, list) else list(USUAL_COLUMNS)
        return cls(
            filter=_understood(values.get("list.filter")),
            sort=_known(sort),
            is_descending=is_descending,
            columns=tuple(dict.fromkeys(one for one in chosen if one is not None)),
            group=_known(values.get("list.group")),
        )


def _pair(value: Any) -> tuple[Any, bool]:
    return (value[0], bool(value[1])) if isinstance(value, list) and len(value) == 2 else (None, False)


def _known(name: Any) -> str | None:
    try:
        return column(name).id if isinstance(name, str) else None
    except UsageError:
        return None


def _understood(text: Any) -> Filter:
    try:
        return parse(text) if isinstance(text, str) else EVERYTHING
    except FilterError:
        return EVERYTHING


@dataclass(frozen=True, slots=True)
class Heading:
    """Stands above the runs of a group."""

    text: str
    count: int
    best_knn: float | None
    """0 to 1."""

    @property
    def words(self) -> str:
        """The line as text."""
        return self._words("best kNN")

    @property
    def short_words(self) -> str:
        """The same where there is little room."""
        return self._words("kNN")

    def _words(self, score: str) -> str:
        runs = "1 run" if self.count == 1 else f"{self.count} runs"
        return f"{self.text} · {runs} · {score} {percent(self.best_knn)}{'' if self.best_knn is None else '%'}"


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the list."""

    row: RunRow
    depth: int = 0
    """How many of the lines right above it are runs that it descends from."""


Line = RunLine | Heading


def arranged(rows: Sequence[RunRow], view: ListView, asked: Asked) -> list[Line]:
    """The lines of the list.

    Args:
        rows: every run in the usual order.
        view: how they are looked at.
        asked: the time, and which runs are marked.
    """
    shown = [row for row in rows if view.filter.shows(row, asked)]
    if view.sort is not None:
        shown = sorted_by(shown, column(view.sort), asked.now, descending=view.is_descending)
        shown.sort(key=lambda row: not row.labels.is_pinned)
    if view.group is None:
        return _lines(shown, view)
    found: list[Line] = []
    for text, members in _groups(shown, column(view.group), asked.now):
        scores = [score for row in members for score in (row.figures.best_knn, row.run.knn_top1) if score is not None]
        found += [Heading(text, len(members), max(scores, default=None)), *_lines(members, view)]
    return found


def _lines(rows: Sequence[RunRow], view: ListView) -> list[Line]:
    if view.sort is not None:
        return [RunLine(row) for row in rows]
    return [RunLine(row, depth) for row, depth in zip(rows, depths(rows), strict=True)]


def _groups(rows: Sequence[RunRow], by: Column, now: float) -> list[tuple[str, list[RunRow]]]:
    """Runs of the same value together, in the order of the values; those without one last."""
    first: dict[Any, RunRow] = {}
    members: dict[Any, list[RunRow]] = {}
    for row in rows:
        value = by.value(row, now)
        first.setdefault(value, row)
        members.setdefault(value, []).append(row)
    order = sorted_by(list(first.values()), by, now, descending=False)
    values = [by.value(row, now) for row in order]
    return [
        (f"no {by.heading}" if value in (None, "") else f"{by.heading} {by.cell(row, now)}", members[value])
        for value, row in zip(values, order, strict=True)
    ]


def fitting(columns: Sequence[Column], width: int, sort: str | None = None) -> tuple[list[tuple[Column, int]], int]:
    """The columns that fit behind a name of a bearable width, each with its own, and the cells that the name has.

    Args:
        columns: those that are wanted, the last of which are the first to go.
        width: cells for all of them and the name, a cell before each column included.
        sort: id of the column whose heading has a sign.
    """
    found: list[tuple[Column, int]] = []
    room = width
    for one in columns:
        wanted = max(one.width, len(one.heading) + (one.id == sort))
        if room - wanted - 1 < min(_SMALLEST_NAME, width):
            break
        found.append((one, wanted))
        room -= wanted + 1
    return found, max(1, room)
