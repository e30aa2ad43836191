"""Reading what a comparison is made of: what a run has used beyond its curves, and all of it at once for commands."""

from collections.abc import Sequence
from functools import cache

from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import Drawn, trunk_of
from simclr_tui.compare.side import Side
from simclr_tui.model import Curves, RunRow
from trainer.errors import UnknownRunError
from trainer.state import run_state
from trainer.store.known_runs import run_numbers
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.totals import Totals, read_totals

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
    numbers = run_numbers(reader)
    places = {run.id: (run, place) for place, run in enumerate(reversed(reader.runs()))}

    @cache
    def row_of(run_id: str | None) -> RunRow | None:
        run, place = places.get(run_id or "", (None, 0))
        if run is None:
            return None
        return RunRow(run, run_state(run, reader.runs_path), place, number=numbers.get(run.id))

    @cache
    def curves_of(run_id: str) -> Curves:
        run, _ = places[run_id]
        return CurveReader(run_id).read(reader, run, _COLUMNS) or Curves(run_id=run_id)

    sides = []
    for run in runs:
        row = row_of(run.id)
        if row is None:
            raise UnknownRunError(f"{run.name} was deleted just now; name another run")
        trunk = trunk_of(row.run, row_of, lambda parent: curves_of(parent.run.id))
        sides.append(Side(drawn=Drawn(row, curves_of(run.id), trunk), totals=read_totals(reader, run.id)))
    return sides
