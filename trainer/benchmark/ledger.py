"""What a benchmark writes down: a row for each turn, events for people, and how far it is."""

import contextlib
import json
import time
from collections.abc import Sequence
from typing import Any

from trainer.errors import StoreError
from trainer.job import Job
from trainer.lab.halving import Schedule
from trainer.lab.results import progress
from trainer.lab.trials import Trial
from trainer.report import duration
from trainer.store.records import TrialRow


class Ledger:
    """The rows of a benchmark, from which everything else follows."""

    def __init__(self, job: Job, trials: Sequence[Trial], schedule: Schedule) -> None:
        """Args: the job, its trials, and the order in which they are taken; the seconds used are counted from now."""
        self._job = job
        self._names = {trial.number: trial.name for trial in trials}
        self._schedule = schedule
        self._begun = time.monotonic()
        self._used_before = job.run.trained_seconds or 0.0

    @property
    def rows(self) -> list[TrialRow]:
        """What is in the store, by round and trial."""
        return self._job.store.trials(self._job.run.id)

    @property
    def seconds_used(self) -> float:
        """Wall seconds of all trainers of the benchmark."""
        return self._used_before + time.monotonic() - self._begun

    def put(self, trial: Trial, round_number: int, **columns: Any) -> None:
        """Write a row. A full disk is waited out, since a turn that has no row is taken anew.

        Raises:
            EndRequested: a signal came while it waited.
        """
        row = {
            "run_id": self._job.run.id,
            "trial": trial.number,
            "round": round_number,
            "name": trial.name,
            "settings": json.dumps(trial.settings),
            **columns,
        }
        self._job.insist(
            lambda: self._job.store.put_trial(row), lambda error: f"{error}; the benchmark waits, free some space"
        )
        self._note_round(trial, round_number, columns.get("dropped"))

    def fail(self, trial: Trial, round_number: int, reason: str) -> None:
        """Write that a trial can't be run, or not any further."""
        self.put(trial, round_number, error=reason)
        self._job.warn("trial-failed", f"trial {trial.number} ({trial.name}) is left out: {reason}")

    def _note_round(self, trial: Trial, round_number: int, dropped: str | None) -> None:
        if dropped:
            self._job.event("round-dropped", f"round {round_number} of {trial.name} is not counted: {dropped}")
        self._tell_of_those_left_out()
        self.note_seconds()

    def _tell_of_those_left_out(self) -> None:
        """Say which trials successive halving goes on without, once each."""
        left_out = self._schedule.dropped(self.rows)
        events = self._job.store.events(run_id=self._job.run.id) if left_out else []
        told = {event.message for event in events if event.kind == "left-out"}
        for dropped in left_out:
            message = f"{self._names[dropped.trial]} is left out from here on: {dropped.reason}"
            if message not in told:
                self._job.event("left-out", message)

    def show(self, what: str) -> None:
        """Say what runs now, how far the benchmark is, and when it ends."""
        now = progress(self.rows, self._schedule.rest(self.rows, self.seconds_used), time.time())
        left = f" · {duration(now.seconds_left)} left" if now.seconds_left else ""
        self._job.reporter.progress("benchmark, turn", now.done, now.planned, f"{what}{left}")
        with contextlib.suppress(StoreError):  # a full disk; the next row waits for space
            self._job.store.update_run(self._job.run.id, step=now.done, total_steps=now.planned)

    def note_seconds(self) -> None:
        """Keep the seconds used for a trainer that comes after this one."""
        with contextlib.suppress(StoreError):
            self._job.store.update_run(self._job.run.id, trained_seconds=self.seconds_used)
