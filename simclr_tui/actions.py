"""The only way from the screen to the store and to trainers: launch, resume, pause, stop, evaluate.

Every method blocks on the disk, so it is called in a thread; what came of it is posted as a message. What writes
to the store is imported on the first use, since it imports numpy and the first frame must not wait for that.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from simclr_tui.keys import key
from simclr_tui.messages import ActionDone, ActionFailed
from simclr_tui.verbs import refusal
from trainer.errors import ConfigError, TrainerError, UsageError
from trainer.state import run_state
from trainer.store.records import SUBMITTED

if TYPE_CHECKING:
    from simclr_tui.labels.actions import LabelActions
    from simclr_tui.launch.sweep import Planned
    from trainer.store.runs import RunStore


class Actions:
    """What a person can ask for. Trainers that are started here outlive the dashboard."""

    def __init__(self, runs: Path, post: Callable[[Message], object]) -> None:
        """Args: the runs folder, and what takes the messages."""
        self._runs = runs
        self._post = post
        self._children: list[subprocess.Popen[bytes]] = []
        self.under_way: list[str] = []
        """What waits for a run, in words; closing the dashboard does not end it."""
        self.asked: set[str] = set()
        """Runs that were asked from here to pause or stop; nobody has to be told when they do."""

    @cached_property
    def labels(self) -> "LabelActions":
        """What is written on runs, and taken back."""
        from simclr_tui.labels import actions

        return actions.LabelActions(self._do)

    def reap(self) -> None:
        """Take the exit status of trainers that have ended, so that no zombie is left. Never blocks."""
        for child in tuple(self._children):
            if child.poll() is not None:
                self._children.remove(child)  # in place: a thread may be adding another one right now

    def launch(self, preset: str | None, name: str, values: Mapping[str, Any], *, in_line: bool = False) -> None:
        """Make a pretraining run and start it, or put it behind those that wait for its device."""

        def work(store: "RunStore") -> ActionDone:
            from trainer.presets import chosen_config
            from trainer.start import new_pretrain_run

            run_id = new_pretrain_run(store, chosen_config(preset, values), preset=preset, name=name)
            started = self._start(store, run_id, in_line=in_line)
            return ActionDone(f"{started} {'waits in line' if in_line else 'is starting'}", run_id)

        self._do(work)

    def sweep(self, preset: str, planned: "Sequence[Planned]", tag: str) -> None:
        """Make the runs of a sweep, with a common tag, and put them in line one after the other."""

        def work(store: "RunStore") -> ActionDone:
            from simclr_tui.launch.sweeping import make_runs, queue_runs

            ids = make_runs(store, preset, planned, tag)
            for child in queue_runs(store, ids):
                self._children.append(child)
            return ActionDone(f"{len(ids)} runs wait in line, with the tag {tag}", ids[0])

        self._do(work)

    def resume(self, run_id: str) -> None:
        """Start the trainer of a run again."""

        def work(store: "RunStore") -> ActionDone:
            self._refuse(store, run_id, "resume")
            return ActionDone(self._go_on(store, run_id))

        self._do(work)

    def pause(self, run_id: str) -> None:
        """Ask a live run to pause."""
        self._request(run_id, "pause", f"ends after its step and a checkpoint; {key('r', 'run.resume')} resumes it")

    def stop(self, run_id: str) -> None:
        """Ask a live run to stop."""
        self._request(
            run_id, "stop", f"ends after its step and a checkpoint; {key('r', 'run.resume')} still resumes it"
        )

    def evaluate(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Look at a checkpoint of a run in a job of its own; `values` are settings of EvaluateConfig."""

        def work(store: "RunStore") -> ActionDone:
            from trainer.evaluate_config import EvaluateConfig
            from trainer.start import new_evaluate_run

            config = EvaluateConfig.from_values({"run": run_id, **values})
            job_id = new_evaluate_run(store, store.run(run_id), config)
            return ActionDone(f"{self._start(store, job_id)} is starting", job_id)

        self._do(work)

    def benchmark(self, name: str, values: Mapping[str, Any]) -> None:
        """Make a benchmark and start it; `values` are settings of BenchmarkConfig."""

        def work(store: "RunStore") -> ActionDone:
            from simclr_tui.lab.bench import check_plan
            from trainer.benchmark_config import BenchmarkConfig
            from trainer.start import new_benchmark_run

            config = BenchmarkConfig.from_values(dict(values))
            check_plan(config)
            run_id = new_benchmark_run(store, config, name=name)
            return ActionDone(f"{self._start(store, run_id)} is starting; {key('b', 'run.benchmark')} shows it", run_id)

        self._do(work)

    def apply(self, bench_id: str, run_id: str) -> None:
        """Give a run the settings that a benchmark recommends; one that is running is paused and goes on with them."""

        def work(store: "RunStore") -> ActionDone:
            from simclr_tui.lab.applying import apply
            from simclr_tui.lab.reader import read_bench

            bench, run = store.run(bench_id), store.run(run_id)
            words = f"the settings of {bench.name} are still being given to {run.name}, which pauses first"
            self.under_way.append(words)
            try:
                sentence, child = apply(store, read_bench(store, bench), run)
            finally:
                self.under_way.remove(words)
            self._children.append(child)
            return ActionDone(sentence)

        self._do(work)

    def group(self, verb: str, run_ids: Sequence[str]) -> None:
        """Pause, resume, stop or queue several runs; what can't be done to one is said and keeps no other from it."""

        def work(store: "RunStore") -> ActionDone:
            refused = []
            for run_id in run_ids:
                try:
                    self._refuse(store, run_id, "resume" if verb == "queue" else verb)
                    if verb == "resume":
                        self._go_on(store, run_id)
                    elif verb == "queue":
                        self._start(store, run_id, in_line=True)
                    else:
                        self._ask_to_end(store, run_id, verb)
                except TrainerError as error:
                    refused.append(str(error))
            done = len(run_ids) - len(refused)
            runs = "1 run" if done == 1 else f"{done} runs"
            if not done:
                raise UsageError("; ".join(refused))
            said = {"pause": "asked to pause", "stop": "asked to stop", "resume": "going on", "queue": "in line"}[verb]
            return ActionDone("; ".join([f"{runs} {said}", *refused]))

        self._do(work)

    def fork(
        self,
        run_id: str,
        *,
        step: int,
        name: str,
        values: Mapping[str, Any],
        fresh_optimizer: bool,
        in_line: bool = False,
    ) -> None:
        """Make a child run from a checkpoint of a run (the newest for step 0), and start it or put it in line."""

        def work(store: "RunStore") -> ActionDone:
            from trainer.fork import new_fork_run

            parent = store.run(run_id)
            child_id = new_fork_run(store, parent, values, step=step, name=name, fresh_optimizer=fresh_optimizer)
            started = self._start(store, child_id, in_line=in_line)
            how = "waits in line" if in_line else "is starting"
            return ActionDone(f"{started} {how}, a fork of {parent.name}", child_id)

        self._do(work)

    def checkpoint(self, run_id: str, deed: str, steps: Sequence[int], target: Path | None = None) -> None:
        """Check, pin, unpin or export checkpoints of a run."""

        def work(store: "RunStore") -> ActionDone:
            from simclr_tui.run.checkpoint_deeds import do

            return ActionDone(do(store, run_id, deed, steps, target))

        self._do(work)

    def change_line(self, run_id: str, action: str) -> None:
        """Move a waiting run in its line, hold it back or release it."""

        def work(store: "RunStore") -> ActionDone:
            from trainer import queue

            name = store.run(run_id).name
            if action == "hold":
                queue.hold(store, run_id)
                return ActionDone(f"{name} lets others pass until {key('h', 'line.hold')} releases it")
            if action == "release":
                queue.release(store, run_id)
                return ActionDone(f"{name} has its turn again")
            return ActionDone(f"{name} is number {queue.move(store, run_id, action)} in its line")

        self._do(work)

    def redirect(self, run_id: str, setting: str) -> None:
        """Let a waiting run wait for another device; `setting` is next, cpu or cuda:N."""

        def work(store: "RunStore") -> ActionDone:
            from trainer import queue
            from trainer.devices import describe, gpus

            there = gpus()
            device = queue.redirect(store, run_id, setting, there)
            return ActionDone(f"{store.run(run_id).name} waits for {describe(device, there)} now, as the last there")

        self._do(work)

    def _request(self, run_id: str, command: str, consequence: str) -> None:
        def work(store: "RunStore") -> ActionDone:
            state = self._refuse(store, run_id, command)
            job = self._ask_to_end(store, run_id, command)
            run = store.run(run_id)
            if job:
                return ActionDone(f"{run.name} is out of Slurm's queue, where it was job {job}")
            words = f"leaves the line; {key('r', 'run.resume')} starts it" if state == "queued" else consequence
            if run.kind == "benchmark":
                words = words.replace("after its step and a checkpoint", "before its next turn")
            return ActionDone(f"{run.name} {words}")

        self._do(work)

    def _ask_to_end(self, store: "RunStore", run_id: str, command: str) -> str:
        """Ask a run to pause or stop, or take it out of Slurm's queue; its job there, or ""."""
        from simclr_tui.run.ending import ENDED
        from trainer.slurm.submit import withdraw

        run = store.run(run_id)
        self.asked.add(run_id)
        if run.lifecycle == SUBMITTED:
            return withdraw(store, run, ENDED[command])
        store.request(run_id, command)
        return ""

    def _refuse(self, store: "RunStore", run_id: str, verb: str) -> str:
        """The state of a run that a verb can be done to; else raises UsageError."""
        run = store.run(run_id)
        state, is_launched = run_state(run, self._runs), run.lifecycle != "created"
        sentence = refusal(verb, run.name, state, is_launched=is_launched, kind=run.kind)
        if sentence is not None:
            raise UsageError(sentence)
        return state

    def _go_on(self, store: "RunStore", run_id: str) -> str:
        """Start a run's trainer, or submit the run as it was submitted before; what was done, in words."""
        from trainer.slurm.submit import asked_before, submit_run

        run = store.run(run_id)
        job = asked_before(store, run)
        if job is None:
            return f"{self._start(store, run_id)} goes on"
        return f"{run.name} waits in Slurm's queue as job {submit_run(store, run_id, job).job}"

    def _start(self, store: "RunStore", run_id: str, *, in_line: bool = False) -> str:
        """Start a run's trainer, keep its handle, and give back the run's name."""
        from trainer.start import start_run

        self._children.append(start_run(store, run_id, in_line=in_line))
        return store.run(run_id).name

    def _do(self, work: Callable[["RunStore"], ActionDone]) -> None:
        from trainer.store.runs import RunStore

        try:
            store = RunStore.open(self._runs)
            try:
                done = work(store)
            finally:
                store.close()
        except TrainerError as error:
            setting = error.setting if isinstance(error, ConfigError) else None
            self._post(ActionFailed(str(error), setting))
        except OSError as error:
            self._post(ActionFailed(f"{error.filename or 'the runs folder'}: {error.strerror}; free some space"))
        else:
            self._post(done)
