"""The benchmark job: trials in turns, each with the real loader and the real step, and a row for each turn.

Everything that was measured is in the store at once, and what comes next follows from the rows alone. So a benchmark
goes on after a pause or a kill where its rows end, with the turn that was under way taken anew.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from trainer.benchmark import evidence, failures
from trainer.benchmark.arm import Arm, Arms, allocated_bytes
from trainer.benchmark.images import Images
from trainer.benchmark.ledger import Ledger
from trainer.benchmark.measure import device_peak, measure, reset_peak, settle, warm_up
from trainer.benchmark.under_way import MOST_LOSSES, UnderWay
from trainer.benchmark_config import FEWEST_ROUNDS, BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.device import Machine, prepare
from trainer.errors import ConfigError
from trainer.gpu import Sampler, make_sampler
from trainer.job import Job
from trainer.lab import fit, halving, trials
from trainer.lab.results import results_of
from trainer.lab.trials import Trial
from trainer.lab.verdict import verdict
from trainer.memory import attempt
from trainer.monitor import Monitor
from trainer.paths import under_way_file
from trainer.store.records import TrialRow
from trainer.timing import DeviceClock

Columns = dict[str, Any]


def benchmark(job: Job) -> None:
    """Take the turns that are left, then say what was found.

    Raises:
        EndRequested: the run was asked to end; the turn that was under way is taken anew when it is resumed.
        TrainerError: something that a person can mend.
    """
    config = BenchmarkConfig.from_json(job.run.config)
    machine = prepare(device=config.device, threads=config.threads)
    _refuse_another_device(job, machine)
    sampler = make_sampler(machine.uuid, job.warn)
    with Monitor(job.runs, job.run.id, sampler, job.control.pulse):
        job.store.update_run(job.run.id, device=machine.name)
        _Benchmark(job, config, machine, sampler).run()


def _refuse_another_device(job: Job, machine: Machine) -> None:
    if job.run.device not in (None, machine.name):
        raise ConfigError(
            "device",
            f"{job.run.name} was measured on {job.run.device}, and this is {machine.name}, whose figures are no match; "
            "resume it there, or launch another benchmark",
        )


class _Benchmark:
    """A benchmark in the hands of its trainer."""

    def __init__(self, job: Job, config: BenchmarkConfig, machine: Machine, sampler: Sampler) -> None:
        """Args: the job, what is asked for, the device, and what samples it."""
        self._job = job
        self._config = config
        self._machine = machine
        self._sampler = sampler
        scaled = trials.scaled(config.base_config, config.scale)
        self._base = dataclasses.replace(scaled, device=config.device, threads=config.threads)
        planned = trials.plan(config, on_cuda=machine.is_cuda)
        self._trials = {trial.number: trial for trial in planned}
        self._schedule = halving.schedule(config, planned, trials.current(config))
        self._ledger = Ledger(job, planned, self._schedule)
        self._images = Images(job)
        # Of one step nobody knows what the next one adds to it.
        self._arms = Arms(job, self._images, steps=max(config.steps, 2) if config.steps else 0)
        self._clock = DeviceClock(machine)
        self._under_way = UnderWay(under_way_file(job.runs, job.run.id))

    def run(self) -> None:
        """Take every turn."""
        self._job.reporter.note(f"loading {self._base.dataset}")
        with self._job.control.phase("loading"):
            self._room = evidence.room(self._machine, self._base, self._images)
        scale = trials.scale_words(self._config.base_config, self._config.scale)
        task = evidence.task_words(self._base, self._images, scale)
        self._job.event("benchmark-machine", f"{evidence.machine_words(self._machine)}; {task}")
        self._mind_a_loss()
        try:
            for trial in self._trials.values():
                if not any(row.trial == trial.number for row in self._ledger.rows):
                    self._begin(trial)
            while (turn := self._schedule.next(self._ledger.rows, self._ledger.seconds_used)) is not None:
                self._take(self._trials[turn[0]], turn[1])
        finally:
            self._ledger.note_seconds()
        self._conclude()

    def _mind_a_loss(self) -> None:
        """Tell of the trial that the last trainer was lost in, and leave it out if it was not the first one."""
        lost = self._under_way.lost
        trial = self._trials.get(lost.trial) if lost is not None else None
        if lost is None or trial is None:
            return
        if lost.losses < MOST_LOSSES:
            said = f"the last trainer was lost in trial {trial.number} ({trial.name}), which is taken again"
            self._job.warn("trial-lost", said)
            return
        reason = f"{lost.losses} trainers were lost in it, one after the other, as happens where memory is full"
        self._ledger.fail(trial, lost.round, f"{reason}; the kernel's log says more")
        self._under_way.end()

    def _begin(self, trial: Trial) -> None:
        """Warm a trial up, or say why it is left out."""
        reason = trial.error or self._why_not(trial)
        if reason is not None:
            self._ledger.fail(trial, 0, reason)
            return
        self._ledger.show(f"{trial.name}, warm-up")

        def work() -> Columns:
            with self._job.control.phase("loading"):
                before = allocated_bytes(self._machine)
                reset_peak(self._machine)
                arm = self._arms.make(trial.config(self._base))
                try:
                    columns = warm_up(arm, self._job)
                finally:
                    arm.rest()
                return columns | {"device_memory_bytes": self._keep(arm, before)}

        self._attempt(trial, 0, work)

    def _why_not(self, trial: Trial) -> str | None:
        """Why a trial can't be run, as far as that can be told without trying."""
        try:
            config = trial.config(self._base)
        except ConfigError as error:
            return str(error)
        return fit.why_not(config, self._room, self._steps_like(config))

    def _steps_like(self, config: PretrainConfig) -> dict[int, int]:
        """Peak bytes of steps that differ from these settings in nothing but the batch, and how images are loaded."""
        found: dict[int, int] = {}
        for row in self._ledger.rows:
            if row.error is not None or row.device_memory_bytes is None:
                continue
            other = self._trials[row.trial].config(self._base)
            if other.cache != "vram" and _step_settings(other) == _step_settings(config):
                found[other.batch_size] = max(row.device_memory_bytes, found.get(other.batch_size, 0))
        return found

    def _take(self, trial: Trial, round_number: int) -> None:
        """Measure a trial in a round."""
        self._ledger.show(f"{trial.name}, round {round_number} of {self._schedule.rounds}")

        def work() -> Columns:
            with self._job.control.phase("loading"):
                arm = self._settled_arm(trial.config(self._base))
            with self._job.control.phase("training"):
                return measure(
                    arm,
                    self._job,
                    self._clock,
                    self._sampler,
                    (round_number - 1) * len(self._trials) + trial.number,
                    host_beside=self._images.bytes_beside(arm.config),
                    device_beside=self._arms.bytes_beside(arm),
                )

        self._attempt(trial, round_number, work)

    def _settled_arm(self, config: PretrainConfig) -> Arm:
        kept = self._arms.kept(config)
        before = allocated_bytes(self._machine)
        reset_peak(self._machine)
        arm = kept or self._arms.make(config)
        settle(arm, self._job, is_made_anew=kept is None)
        if kept is None:
            self._keep(arm, before)
        return arm

    def _keep(self, arm: Arm, before: int) -> int | None:
        """Keep an arm that was warmed up; the device memory that it needed, above what others have there."""
        self._arms.keep(arm)
        arm.own_bytes = max(0, allocated_bytes(self._machine) - before)
        return device_peak(arm, self._arms.bytes_beside(arm))

    def _attempt(self, trial: Trial, round_number: int, work: Callable[[], Columns]) -> None:
        """Do a turn and write its row, or why there is none.

        Raises:
            EndRequested: the run was asked to end.
            StoreError: the store can't be used.
            TrainerError: the device can't be used any more.
        """
        self._under_way.begin(trial.number, round_number)
        try:
            columns, reason = self._guarded(trial, work)
            if columns is None:
                self._arms.drop(self._machine)
                self._ledger.fail(trial, round_number, reason)
                failures.check_device(self._machine, trial.name)
            else:
                self._ledger.put(trial, round_number, **columns)
                self._under_way.survived(trial.number)
        finally:
            self._under_way.end()

    def _guarded(self, trial: Trial, work: Callable[[], Columns]) -> tuple[Columns | None, str]:
        """What a turn gives, or why it gives nothing. Where memory is short it is tried again with nothing kept."""
        found: list[Columns] = []
        try:
            shortage = attempt(lambda: found.append(work()), self._machine)
            if shortage is not None and self._arms.holds_more_than(trial.config(self._base)):
                self._arms.drop(self._machine)
                shortage = attempt(lambda: found.append(work()), self._machine)
        except Exception as error:
            if failures.must_end(error):
                raise
            return None, failures.sentence(error)
        return (found[0], "") if shortage is None else (None, failures.shortage(shortage))

    def _conclude(self) -> None:
        self._ledger.show("over")
        rows = self._ledger.rows
        found = verdict(
            results_of(rows),
            self._base,
            on_cuda=self._machine.is_cuda,
            current=trials.current(self._config),
            room=self._room,
            dropped=self._schedule.dropped(rows),
        )
        words = found.text if found.is_final else f"{found.text} {self._short_of_time(rows)}".rstrip()
        self._job.event("verdict", words)

    def _short_of_time(self, rows: list[TrialRow]) -> str:
        """What a verdict would have taken, where the rounds that were asked for or the budget left it none."""
        budget, rounds = self._config.budget_minutes, self._config.rounds
        if 0 < rounds < FEWEST_ROUNDS:
            return f"--rounds {rounds} is too few for a verdict; 0 takes as many as it needs."
        if not budget:
            return ""
        if not any(row.round for row in rows):
            return f"--budget-minutes {budget:g} left no time for a round after the warm-ups; give more."
        left = halving.seconds_for_a_verdict(self._config, list(self._trials.values()), rows)
        minutes = (self._ledger.seconds_used + left) / 60
        if minutes <= budget:
            return ""
        return f"--budget-minutes {budget:g} left too little time for a verdict; {math.ceil(minutes)} should do."


def _step_settings(config: PretrainConfig) -> str:
    """The settings that a step's memory depends on beside its batch."""
    plain = dataclasses.replace(config, cache="ram", num_workers=0, pin_memory=True, persistent_workers=True)
    return dataclasses.replace(plain, prefetch_factor=2, batch_size=2, drop_last=True).to_json()
