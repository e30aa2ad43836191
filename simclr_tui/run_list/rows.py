"""Reading the rows of the list, each poll only what may have changed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from simclr_tui.model import NO_LABELS, RunRow, Turn
from trainer.state import run_state, was_stopped
from trainer.store.figures import NO_FIGURES, FigureReader, Figures
from trainer.store.known_runs import KnownRuns, run_numbers
from trainer.store.labels import read_labels
from trainer.store.reader import StoreReader
from trainer.store.records import Labels, Run

_FIGURE_SECONDS = 0.05
"""So long a poll reads figures that the rows of the list don't hold; the next one goes on."""

_UNDER_WAY = ("launched", "queued", "started", "resumed")
"""Lifecycles of runs whose state depends on the clock and on who lives."""


class RowReader:
    """The rows as far as they were read.

    What is in the store is read again only where somebody has committed since; whether a run lives is asked each time.
    """

    def __init__(self, runs: Path) -> None:
        """Args: the runs folder."""
        self._path = runs
        self._reader: StoreReader | None = None
        self._version = -1
        self._known_runs = KnownRuns()
        self._figure_reader = FigureReader()
        self._runs: list[Run] = []
        """The oldest first."""
        self._numbers: Mapping[str, int] = {}
        self._labels: Mapping[str, Labels] = {}
        self._figures: Mapping[str, Figures] = {}
        self._has_all_figures = True
        self._turns: Mapping[str, Turn] = {}
        self._rows: list[RunRow] = []

    def read(
        self, reader: StoreReader, turns: Mapping[str, Turn], now: float, *, is_hurried: bool = False
    ) -> list[RunRow]:
        """Every run, the oldest first; the same list as before where nothing has changed. Reads only.

        Args:
            reader: the store; one that was opened anew is read anew.
            turns: who waits for a device, by run.
            now: UTC seconds.
            is_hurried: a first picture waits for these rows, so that the next poll goes on with the figures.
        """
        version = reader.data_version()  # asked first: what is committed from here on is seen by the next poll
        is_new = reader is not self._reader or version != self._version
        if is_new:
            self._runs = self._known_runs.read(reader)[::-1]
            self._numbers = run_numbers(reader)
            self._labels = read_labels(reader)
        if is_new or not self._has_all_figures:
            seconds = 0.0 if is_hurried or self._reader is None else _FIGURE_SECONDS
            self._figures, self._has_all_figures = self._figure_reader.read(
                reader, reversed(self._runs), seconds=seconds
            )
            is_new = True
        if is_new or turns != self._turns:
            self._rows = self._all(turns, now)
        else:
            self._judge(now)
        self._reader, self._version, self._turns = reader, version, turns
        return self._rows

    def _all(self, turns: Mapping[str, Turn], now: float) -> list[RunRow]:
        """Every row, made anew where anything of it is new."""
        known = {row.run.id: row for row in self._rows}
        return [
            self._row(
                run,
                place,
                turns.get(run.id),
                self._labels.get(run.id, NO_LABELS),
                self._figures.get(run.id, NO_FIGURES),
                self._numbers.get(run.id),
                known.get(run.id),
                now,
            )
            for place, run in enumerate(self._runs)
        ]

    def _row(
        self,
        run: Run,
        place: int,
        turn: Turn | None,
        labels: Labels,
        figures: Figures,
        number: int | None,
        known: RunRow | None,
        now: float,
    ) -> RunRow:
        if (
            known is not None
            and known.run is run
            and run.lifecycle not in _UNDER_WAY
            and (known.place, known.turn, known.labels, known.figures) == (place, turn, labels, figures)
            and known.number == number
        ):
            return known
        state, is_stopped = self._state(run, now)
        fresh = RunRow(run, state, place, turn, is_stopped, labels, figures, number)
        return known if known is not None and known == fresh else fresh

    def _judge(self, now: float) -> None:
        """Ask of the runs that are under way in which state they are."""
        for place, row in enumerate(self._rows):
            if row.run.lifecycle in _UNDER_WAY:
                found = self._state(row.run, now)
                if found != (row.state, row.is_stopped):
                    fresh = replace(row, state=found[0], is_stopped=found[1])
                    self._rows = [*self._rows[:place], fresh, *self._rows[place + 1 :]]

    def _state(self, run: Run, now: float) -> tuple[str, bool]:
        """The state of a run, and whether its process was stopped."""
        state = run_state(run, self._path, now=now)
        return state, state == "stalled" and was_stopped(run, self._path)
