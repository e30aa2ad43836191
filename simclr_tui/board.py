"""What the main screen shows and where its cursor is, without any widget. Pure."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simclr_tui.charts.axes import steps_shown
from simclr_tui.charts.drawn import FIRST_CHARTS, Drawn, View, trunk_of
from simclr_tui.model import Curves, Learning, RunRow, Watched, table_order
from simclr_tui.run_list.listing import Line, ListView, RunLine, arranged
from simclr_tui.run_list.query import Asked, FilterError, parse

if TYPE_CHECKING:
    from simclr_tui.charts.reading import Extent
    from simclr_tui.lab.bench import BenchLook
    from simclr_tui.run.opened import Opened
    from trainer.store.totals import Totals

MOST_DRAWN = 12
"""Runs whose curves are drawn at most: more of them could not be told apart."""
_SECONDS_OF_AN_AGE = 60
"""So long ages that are filtered or sorted by may be out of date."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """The lines of the list, and where in it each run is; made once for what they follow from."""

    rows: Sequence[RunRow]
    view: ListView
    marked: frozenset[str]
    minute: float
    lines: Sequence[Line]
    runs: Sequence[RunRow]
    places: Mapping[str, int]


@dataclass
class Board:
    """The runs, the cursor, the marks, and how the list and the charts are looked at."""

    rows: list[RunRow] = field(default_factory=list)
    """Every run, in the order of the table."""
    curves: dict[str, Curves] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    cursor_id: str | None = None
    awaited_id: str | None = None
    """A run that was just made and that no poll has brought yet; the cursor waits for it."""
    listed: ListView = field(default_factory=ListView)
    problem: str = ""
    """Why the filter that is being typed means nothing, in a sentence; the list is that of the last one that did."""
    view: View = field(default_factory=View)
    extent: "Extent | None" = None
    """How far on x what is drawn reached when it was last shown."""
    opened_id: str | None = None
    """The run whose own screen is open; keys are for it, wherever the list's cursor is."""
    opened_tab: str = ""
    """The tab of that screen."""
    opened: "Opened | None" = None
    """What was last read for that tab."""
    learning_id: str | None = None
    """The run whose representation is looked at, on a screen above this one."""
    learning: Learning | None = None
    """What was last read of a run's representation."""
    benchmark: "BenchLook | None" = None
    """What was last read of a benchmark."""
    compared: tuple[str, ...] = ()
    """Ids of the runs that are compared, on a screen above this one; the reference first."""
    totals: dict[str, "Totals"] = field(default_factory=dict)
    """What was read of what these have used."""
    _before_filter: str | None = None
    _shown: _Shown | None = field(default=None, init=False, repr=False, compare=False)
    _by_id: tuple[Sequence[RunRow], Mapping[str, RunRow]] = field(
        default=((), {}), init=False, repr=False, compare=False
    )

    def take_rows(self, rows: Sequence[RunRow]) -> None:
        """Replace the runs; the cursor stays with its run, or goes to the one that takes its place in the list."""
        self.rows = table_order(rows)
        known = {row.run.id for row in rows}
        self._reach_awaited()
        self.marked &= known
        self.curves = {run_id: curves for run_id, curves in self.curves.items() if run_id in known}
        self._settle()

    def go_to(self, run_id: str) -> None:
        """Put the cursor on a run, or let it wait for one that no poll has brought yet."""
        self.awaited_id = run_id
        self._reach_awaited()

    def _reach_awaited(self) -> None:
        if any(row.run.id == self.awaited_id for row in self.rows):
            self.cursor_id, self.awaited_id = self.awaited_id, None

    def take_curves(self, curves: Sequence[Curves]) -> None:
        """Replace what is drawn of some runs."""
        self.curves |= {one.run_id: one for one in curves}

    @property
    def filter(self) -> str:
        """The filter that the list has, as it was typed."""
        return self.listed.filter.text

    def set_filter(self, text: str) -> None:
        """Show only runs that match; once all are shown again the cursor is back where it was, unless it was moved.

        What can't be understood leaves the list as it was, or as the text without its last term has it, since that is
        the one that is being typed.
        """
        text, self.problem = text.strip(), ""
        try:
            found = parse(text)
        except FilterError as error:
            self.problem = str(error)
            text = " ".join(text.split()[:-1])
            try:
                found = parse(text)
            except FilterError:
                return
        if text and not self.filter:
            self._before_filter = self.cursor_id
        self.listed = replace(self.listed, filter=found)
        if not text and self._before_filter is not None:
            self.cursor_id, self._before_filter = self._before_filter, None
        self._settle()

    def look(self, listed: ListView) -> None:
        """Look at the list in another way; the cursor stays with its run."""
        self.listed = listed
        self._settle()

    def _list(self) -> _Shown:
        """What the list shows; kept as long as nothing that it follows from has changed.

        Where the cursor's run has left the list, because it ended, lost its mark or grew too old for the filter, the
        cursor goes to the one that has taken its place.
        """
        known, now = self._shown, time.time()
        marked = frozenset(self.marked) if "marked" in self.filter.lower() else frozenset()
        asked = (self.listed, marked, now // _SECONDS_OF_AN_AGE)
        if known is None or known.rows is not self.rows or (known.view, known.marked, known.minute) != asked:
            lines = arranged(self.rows, self.listed, Asked(now, marked))
            runs = [line.row for line in lines if isinstance(line, RunLine)]
            places = {row.run.id: place for place, row in enumerate(runs)}
            place = known.places.get(self.cursor_id or "") if known is not None and known.view == self.listed else None
            known = self._shown = _Shown(self.rows, *asked, lines, runs, places)
            if place is not None:
                self._settle(place)
        return known

    @property
    def lines(self) -> Sequence[Line]:
        """The lines of the list: the runs that pass the filter, in their order, under the headings of their groups."""
        return self._list().lines

    @property
    def visible(self) -> Sequence[RunRow]:
        """The runs that pass the filter, in the order of the list."""
        return self._list().runs

    @property
    def cursor(self) -> RunRow | None:
        """The cursor's run, or the one whose screen is open."""
        opened = self.row_of(self.opened_id)
        if opened is not None:
            return opened
        shown = self._list()
        place = shown.places.get(self.cursor_id or "")
        return None if place is None else shown.runs[place]

    def move(self, delta: int) -> None:
        """Move the cursor by so many runs, as far as there are any."""
        shown = self._list()
        self._before_filter = None
        if shown.runs:
            at = shown.places.get(self.cursor_id or "", 0) + delta
            self.cursor_id = shown.runs[min(len(shown.runs) - 1, max(0, at))].run.id

    @property
    def marked_rows(self) -> list[RunRow]:
        """The marked runs, in the order of the table."""
        return [row for row in self.rows if row.run.id in self.marked]

    def toggle_mark(self) -> None:
        """Mark the cursor's run, or take its mark away."""
        if self.cursor is not None:
            self.marked ^= {self.cursor.run.id}

    def mark_all(self) -> bool:
        """Mark every run that the list shows, or take all marks away where all of them are; whether they are now."""
        shown = {row.run.id for row in self.visible}
        is_new = not shown <= self.marked
        self.marked = self.marked | shown if is_new else set()
        return is_new

    @property
    def drawn(self) -> list[Drawn]:
        """The runs whose curves are drawn: the cursor's first, then the newest marked ones, oldest first."""
        cursor = self.cursor
        others = [row for run_id in self.marked if (row := self.row_of(run_id)) is not None and row is not cursor]
        others.sort(key=lambda row: row.place)
        rows = ([cursor] if cursor else []) + others[-(MOST_DRAWN - 1) :]
        return self.drawn_of([row.run.id for row in rows])

    def drawn_of(self, run_ids: Sequence[str]) -> list[Drawn]:
        """Some runs with their curves, in that order, as far as they are still there."""
        rows = [row for run_id in run_ids if (row := self.row_of(run_id)) is not None]
        return [Drawn(row, self.curves_of(row), trunk_of(row.run, self.row_of, self.curves_of)) for row in rows]

    def curves_of(self, row: RunRow) -> Curves:
        """What was read of a run."""
        return self.curves.get(row.run.id) or Curves(run_id=row.run.id, is_read=False)

    def watched(self, columns: int) -> Watched:
        """What the feed has to read for this."""
        drawn = [*self.drawn, *self.drawn_of(self.compared)]
        ids = dict.fromkeys(one.row.run.id for one in drawn)
        ids |= dict.fromkeys(stretch.row.run.id for one in drawn for stretch in one.trunk)
        if self.learning_id is not None:
            ids[self.learning_id] = None
        cursor = self.cursor
        benchmark_id = cursor.run.id if cursor is not None and cursor.run.kind == "benchmark" else None
        opened = (self.opened_id, self.opened_tab) if self.opened_id is not None else None
        charts = dict.fromkeys((*self.view.charts, *(FIRST_CHARTS if self.compared else ())))
        return Watched(
            tuple(ids),
            columns,
            self.learning_id,
            benchmark_id,
            opened=opened,
            compared_ids=self.compared,
            charts=tuple(charts),
            windows=steps_shown(drawn, self.view),
        )

    def benchmark_of(self, run_id: str) -> "BenchLook | None":
        """What was read of a benchmark, if it is the one that was read last."""
        return self.benchmark if self.benchmark is not None and self.benchmark.run_id == run_id else None

    def row_of(self, run_id: str | None) -> RunRow | None:
        """A run by its id."""
        rows, by_id = self._by_id
        if rows is not self.rows:
            by_id = {row.run.id: row for row in self.rows}
            self._by_id = (self.rows, by_id)
        return by_id.get(run_id) if run_id is not None else None

    def _settle(self, place: int = 0) -> None:
        """Put a cursor whose run is not shown any more on the run at a place of the list."""
        shown = self._list()
        if shown.runs and self.cursor_id not in shown.places:
            self.cursor_id = shown.runs[min(place, len(shown.runs) - 1)].run.id
