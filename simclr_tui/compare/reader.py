"""Reading what a comparison is made of: what a run has used beyond its curves, and all of it at once for commands."""

from collections.abc import Mapping, Sequence

from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import Drawn, Stretch
from simclr_tui.compare.side import Side
from simclr_tui.model import Curves, RunRow
from trainer.state import run_state
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.totals import Totals, read_totals

_LONGEST_LINEAGE = 8
"""Forks of forks of forks: so many of the runs before are read."""

_COLUMNS = 640
"""Points of a curve that a picture can show."""


class TotalsReader:
    """The totals of the runs that are compared, each poll only what is new."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._known: dict[str, Totals] = {}

    def read(self, reader: StoreReader, run_ids: Sequence[str]) -> dict[str, Totals]:
        """The totals that have changed since the last time, by run. Reads only."""
        fresh = {run_id: read_totals(reader, run_id, self._known.get(run_id)) for run_id in run_ids}
        changed = {run_id: one for run_id, one in fresh.items() if one != self._known.get(run_id)}
        self._known = fresh
        return changed


def read_sides(reader: StoreReader, runs: Sequence[Run]) -> list[Side]:
    """What a comparison of these runs is made of. Reads only."""
    known = list(reversed(reader.runs()))
    rows = {run.id: RunRow(run, run_state(run, reader.runs_path), place) for place, run in enumerate(known)}
    return [
        Side(
            drawn=Drawn(rows[run.id], _curves(reader, run), _trunk(reader, rows, run)),
            totals=read_totals(reader, run.id),
        )
        for run in runs
    ]


def _curves(reader: StoreReader, run: Run) -> Curves:
    return CurveReader(run.id).read(reader, run, _COLUMNS) or Curves(run_id=run.id)


def _trunk(reader: StoreReader, rows: Mapping[str, RunRow], run: Run) -> tuple[Stretch, ...]:
    """What a fork continues: its parent's curves up to the fork, that one's parent's, …; the oldest first."""
    found: list[Stretch] = []
    while (parent := rows.get(run.parent_run_id or "")) and run.parent_step is not None:
        if len(found) == _LONGEST_LINEAGE:  # rows that were edited may even be each other's parents
            break
        found.insert(0, Stretch(parent, _curves(reader, parent.run), run.parent_step))
        run = parent.run
    return tuple(found)
