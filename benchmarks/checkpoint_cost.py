"""What checkpoints and logged rows cost training: `python -m benchmarks.checkpoint_cost [--rounds N]`.

A ResNet-18 with its projection head and AdamW's moments is saved by the trainer's own keeper, into a real store: at
once, and behind. Round by round (none, at once, behind) on one machine: how long training stands still, and how long a
step takes meanwhile. Then 390 steps are logged, as many as an epoch of STL10 has: one commit a second as the recorder
does, and one commit a row with and without a sync.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks.side_by_side import facts_table, machine_facts, put
from trainer.background_save import Saver
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.keeper import COST_LIMIT, CheckpointKeeper
from trainer.step import TrainState, new_state, train_step
from trainer.store import RunStore, StepRow

EPOCH_SECONDS = 3.0
EPOCH_STEPS = 390
COMMITS_A_SECOND = 1
WAYS = ("none", "at once", "behind")


class Bench:
    """A model that can take steps, and the two ways to save it."""

    def __init__(self, runs: Path, threads: int, batch: int) -> None:
        self.config = PretrainConfig(image_size=32, threads=threads, keep_checkpoints=2, checkpoint_seconds=1)
        self.machine = prepare(device="auto", threads=threads)
        self.state: TrainState = new_state(self.config, self.machine, classes=0, data="")
        self.views = torch.randn(2 * batch, 3, 32, 32, device=self.machine.device)
        self.store = RunStore.open(runs)
        self.run_id = self.store.create_run(kind="pretrain", name="cost", config=self.config.to_json())
        self.keeper = CheckpointKeeper(self.store, runs, self.run_id, self.config)
        job = SimpleNamespace(reporter=SimpleNamespace(note=print), control=SimpleNamespace(phase=nullcontext))
        on_cpu = not self.machine.is_cuda
        self.savers = {
            way: Saver(self.keeper, job, in_background=way == "behind", shares_cores=on_cpu)  # type: ignore[arg-type]
            for way in WAYS[1:]
        }

    def step(self) -> float:
        """Seconds of a step, the device idle before and after it."""
        started = time.perf_counter()
        train_step(self.state, self.views, 1e-3, self.config, self.machine)[0].item()
        self.state.step += 1
        return time.perf_counter() - started

    def save(self, way: str) -> float:
        """Seconds in which training stands still."""
        started = time.perf_counter()
        self.savers[way].save(self.state.payload(), step=self.state.step, epoch=1, reason="interval", knn_top1=None)
        return time.perf_counter() - started

    def round(self, way: str, steps: int) -> dict[str, float]:
        """One round of a way: seconds blocked, of writing, and of the median step meanwhile."""
        blocked = self.save(way) if way != "none" else 0.0
        began, seconds = time.perf_counter(), []
        while len(seconds) < steps or (way == "behind" and not self._is_done()):
            seconds.append(self.step())
            if way == "behind" and self._is_done():
                break
        written = blocked + (time.perf_counter() - began if way == "behind" else 0.0)
        if way == "behind":
            self.savers[way].finish()
        counted = 0.0 if way == "none" else self.keeper._cost_seconds
        return {"blocked": blocked, "written": written, "step": statistics.median(seconds), "counted": counted}

    def _is_done(self) -> bool:
        self.savers["behind"].look()
        return self.savers["behind"].may_begin


def measure(folder: Path, rounds: int, threads: int, batch: int) -> tuple[list[str], int]:
    """Lines of a table, and the bytes of a checkpoint."""
    bench = Bench(folder / "runs", threads, batch)
    for way in WAYS:  # allocates, and gives the optimiser its moments
        bench.step()
        bench.round(way, 2)
    measured: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            measured[way].append(bench.round(way, 5))
    calm = [one["step"] for one in measured["none"]]
    lines = [
        "| checkpoints | training stands still, s (min–max) | written after, s | step meanwhile ÷ without (min–max) "
        "| counted as lost, s | interval, s | % of the time |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in WAYS[1:]:
        blocked = [one["blocked"] for one in measured[way]]
        ratios = [one["step"] / before for one, before in zip(measured[way], calm, strict=True)]
        lost = statistics.median(one["counted"] for one in measured[way])
        interval = max(60.0, lost / COST_LIMIT)
        lines.append(
            f"| {way} | {statistics.median(blocked):.3f} ({min(blocked):.3f}–{max(blocked):.3f}) "
            f"| {statistics.median(one['written'] for one in measured[way]):.2f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
            f"| {lost:.3f} | {interval:.0f} | {100 * lost / interval:.2f} |"
        )
    size = bench.store.checkpoints(bench.run_id)[0].bytes
    bench.store.close()
    return lines, size


def rows() -> list[StepRow]:
    """The steps of an epoch."""
    figures = {"acc_top1": 0.1, "acc_top5": 0.2, "acc_mean_pos": 50.0, "lr": 1e-3, "grad_norm": 1.0}
    times = {"t_data": 0.001, "t_batch": 0.007}
    return [StepRow(step=step, epoch=1, loss=5.0, **figures, **times) for step in range(1, EPOCH_STEPS + 1)]


def log(folder: Path, per_commit: int, synchronous: str) -> float:
    """Seconds of logging an epoch."""
    with closing(RunStore.open(folder)) as store:
        store.connection.execute(f"PRAGMA synchronous={synchronous}")
        run_id = store.create_run(kind="pretrain", name="rows", config="{}")
        steps = rows()
        started = time.perf_counter()
        for first in range(0, len(steps), per_commit):
            store.append(run_id, steps[first : first + per_commit])
        return time.perf_counter() - started


def measure_logging(folder: Path, rounds: int) -> list[str]:
    """Lines of a table."""
    a_second = round(EPOCH_STEPS / EPOCH_SECONDS / COMMITS_A_SECOND)
    ways = {
        f"a second's rows a commit ({a_second}), NORMAL": (a_second, "NORMAL"),
        "one row a commit, NORMAL": (1, "NORMAL"),
        "one row a commit, FULL": (1, "FULL"),
    }
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (per_commit, synchronous) in ways.items():
            seconds = log(folder / "logging", per_commit, synchronous)
            if number:
                measured[name].append(seconds)
    lines = [
        f"| rows | s for {EPOCH_STEPS} steps (min–max) | % of an epoch of {EPOCH_SECONDS:.0f} s |",
        "|---|---|---|",
    ]
    for name, seconds in measured.items():
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.4f}–{max(seconds):.4f}"
        lines.append(f"| {name} | {middle:.4f} ({spread}) | {100 * middle / EPOCH_SECONDS:.2f} |")
    return lines


def main() -> None:
    """Measure, and print one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16, help="images of a step, of 32 px")
    parser.add_argument("--markdown", type=Path, help="also write the page there")
    options = parser.parse_args()
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as name:
        lines, size = measure(Path(name), options.rounds, options.threads, options.batch)
        logged = measure_logging(Path(name), min(options.rounds, 5))
    command = f"python -m benchmarks.checkpoint_cost --rounds {options.rounds} --threads {options.threads}"
    page = "\n".join(
        [
            "# What checkpoints and logged rows cost",
            "",
            f"`{command} --batch {options.batch}`",
            "",
            f"ResNet-18, head, AdamW: {size / 1e6:.0f} MB; {options.rounds} rounds of each, interleaved; medians.",
            "",
            *lines,
            "",
            "Counted as lost is what the trainer counts: the time that training stands still and, on a CPU, the "
            "processor time of the thread that writes. The interval is that of the default settings.",
            "",
            *logged,
            "",
            facts_table(facts),
            "",
        ]
    )
    print(page)
    if options.markdown is not None:
        put(options.markdown, page)


if __name__ == "__main__":
    main()
