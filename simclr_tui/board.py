"""What the main screen shows and where its cursor is, without any widget. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simclr_tui.drawn import Drawn, Stretch, View
from simclr_tui.model import Curves, Learning, RunRow, Watched, table_order

if TYPE_CHECKING:
    from simclr_tui.lab.bench import BenchLook

_LONGEST_LINEAGE = 8
"""Forks of forks of forks: so many of the runs before are drawn."""


@dataclass
class Board:
    """The runs, the cursor, the marks, the filter and how charts are looked at."""

    rows: list[RunRow] = field(default_factory=list)
    """Every run, in the order of the table."""
    curves: dict[str, Curves] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    cursor_id: str | None = None
    awaited_id: str | None = None
    """A run that was just made and that no poll has brought yet; the cursor waits for it."""
    filter: str = ""
    view: View = field(default_factory=View)
    learning_id: str | None = None
    """The run whose representation is looked at, on a screen above this one."""
    learning: Learning | None = None
    """What was last read of a run's representation."""
    benchmark: "BenchLook | None" = None
    """What was last read of a benchmark."""
    _before_filter: str | None = None

    def take_rows(self, rows: Sequence[RunRow]) -> None:
        """Replace the runs; the cursor stays with its run, or goes to the first there is."""
        self.rows = table_order(rows)
        known = {row.run.id for row in rows}
        if self.awaited_id in known:
            self.cursor_id, self.awaited_id = self.awaited_id, None
        self.marked &= known
        self.curves = {run_id: curves for run_id, curves in self.curves.items() if run_id in known}
        self._settle()

    def take_curves(self, curves: Sequence[Curves]) -> None:
        """Replace what is drawn of some runs."""
        self.curves |= {one.run_id: one for one in curves}

    def set_filter(self, text: str) -> None:
        """Show only runs that match; once all are shown again the cursor is back where it was, unless it was moved."""
        if text and not self.filter:
            self._before_filter = self.cursor_id
        self.filter = text
        if not text and self._before_filter is not None:
            self.cursor_id, self._before_filter = self._before_filter, None
        self._settle()

    @property
    def visible(self) -> list[RunRow]:
        """The runs that pass the filter."""
        return [row for row in self.rows if row.matches(self.filter)] if self.filter else self.rows

    @property
    def cursor(self) -> RunRow | None:
        """The cursor's run."""
        return next((row for row in self.visible if row.run.id == self.cursor_id), None)

    def move(self, delta: int) -> None:
        """Move the cursor by so many rows, as far as there are any."""
        ids = [row.run.id for row in self.visible]
        self._before_filter = None
        if ids:
            at = ids.index(self.cursor_id) if self.cursor_id in ids else 0
            self.cursor_id = ids[min(len(ids) - 1, max(0, at + delta))]

    @property
    def marked_rows(self) -> list[RunRow]:
        """The marked runs, in the order of the table."""
        return [row for row in self.rows if row.run.id in self.marked]

    def toggle_mark(self) -> None:
        """Mark the cursor's run, or take its mark away."""
        if self.cursor is not None:
            self.marked ^= {self.cursor.run.id}

    @property
    def drawn(self) -> list[Drawn]:
        """The runs whose curves are drawn: the cursor's first, then the marked ones, oldest first."""
        cursor = self.cursor
        others = sorted((row for row in self.rows if row.run.id in self.marked), key=lambda row: row.place)
        rows = ([cursor] if cursor else []) + [row for row in others if row is not cursor]
        return [Drawn(row, self.curves_of(row), self._trunk(row)) for row in rows]

    def _trunk(self, row: RunRow) -> tuple[Stretch, ...]:
        """The curves that a fork continues: its parent's up to the fork, that one's parent's, …; the oldest first."""
        found: list[Stretch] = []
        until, parent = row.run.parent_step, self.row_of(row.run.parent_run_id)
        while parent is not None and until is not None and len(found) < _LONGEST_LINEAGE:
            found.insert(0, Stretch(parent, self.curves_of(parent), until))
            until, parent = parent.run.parent_step, self.row_of(parent.run.parent_run_id)
        return tuple(found)

    def curves_of(self, row: RunRow) -> Curves:
        """What was read of a run."""
        return self.curves.get(row.run.id) or Curves(run_id=row.run.id, is_read=False)

    def watched(self, columns: int) -> Watched:
        """What the feed has to read for this."""
        drawn = self.drawn
        ids = dict.fromkeys(one.row.run.id for one in drawn)
        ids |= dict.fromkeys(stretch.row.run.id for one in drawn for stretch in one.trunk)
        if self.learning_id is not None:
            ids[self.learning_id] = None
        cursor = self.cursor
        benchmark_id = cursor.run.id if cursor is not None and cursor.run.kind == "benchmark" else None
        return Watched(tuple(ids), columns, self.learning_id, benchmark_id)

    def benchmark_of(self, run_id: str) -> "BenchLook | None":
        """What was read of a benchmark, if it is the one that was read last."""
        return self.benchmark if self.benchmark is not None and self.benchmark.run_id == run_id else None

    def row_of(self, run_id: str | None) -> RunRow | None:
        """A run by its id."""
        return next((row for row in self.rows if row.run.id == run_id), None)

    def _settle(self) -> None:
        """Put a cursor whose run is not shown any more on the first that is."""
        if self.cursor is None and self.visible:
            self.cursor_id = self.visible[0].run.id
