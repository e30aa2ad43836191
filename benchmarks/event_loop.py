"""How long the dashboard keeps its event loop from answering: `python -m benchmarks.event_loop [--runs 1 100 1000]`.

Opens each screen with Textual's test driver on stores of fixed runs and on a benchmark of 50 trials, and prints for
each action the longest time for which the loop did nothing else. *Late* is how late a task is that wakes every two
milliseconds, with whatever else the machine does; *CPU* is the processor time of the longest single callback, which
another program does not change and which is what the goal of 50 ms is held against. The feed's own thread reads
meanwhile, as it does for a person.
"""

import argparse
import asyncio
import contextlib
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

from textual.pilot import Pilot

from benchmarks.side_by_side import facts_table, machine_facts, put
from simclr_tui.app import DashboardApp
from tests.simclr_tui.bench_store import add_benchmark
from tests.simclr_tui.support import add_run, screen_text, wait_until
from trainer.benchmark_config import BenchmarkConfig
from trainer.store import RunStore

GOAL_SECONDS = 0.05
_TICK_SECONDS = 0.002
_SETTLE_SECONDS = 0.4

Row = tuple[str, float, float]
"""An action with its longest block: late by, and CPU."""

VARY = "num_workers=0,1,2,3,4 cache=none,ram augment=kornia,torchvision,fused prefetch_factor=2,4"

ACTIONS: Sequence[tuple[str, Sequence[str]]] = (
    ("one run down", ("down",)),
    ("help", ("question_mark",)),
    ("close help", ("escape",)),
    ("new run", ("n",)),
    ("type in the form", ("down", "a")),
    ("search in the form", ("ctrl+f", *"batch")),
    ("end the search", ("escape",)),
    ("close the form", ("escape",)),
    ("open a run", ("enter",)),
    ("close a run", ("escape",)),
    ("filter", ("slash", "r", "u", "n")),
    ("end the filter", ("escape",)),
    ("about", ("i",)),
    ("close about", ("escape",)),
)
ON_BENCHMARK: Sequence[tuple[str, Sequence[str]]] = (
    ("open a benchmark", ("b",)),
    ("another trial", ("down",)),
    ("last trial", ("end",)),
    ("resize to 80 × 24", ("RESIZE 80 24",)),
    ("resize to 160 × 50", ("RESIZE 160 50",)),
    ("help over a benchmark", ("question_mark",)),
    ("close help", ("escape",)),
    ("apply", ("a",)),
    ("close apply", ("escape",)),
    ("close the benchmark", ("escape",)),
)
FORM: Sequence[tuple[str, Sequence[str]]] = (
    ("form of a benchmark", ("b",)),
    ("type in it", tuple("num_workers=0,1,2,3,4")),
    ("close it", ("escape",)),
)


def build(folder: Path, count: int, *, with_benchmark: bool) -> str | None:
    """A store of so many short runs; the id of a benchmark of 50 trials, where one is asked for."""
    with closing(RunStore.open(folder)) as store:
        for number in range(count):
            add_run(store, f"run-{number}", steps=46, lifecycle="finished")
        if not with_benchmark:
            return None
        config = BenchmarkConfig(vary=VARY, base='{"image_size": 32}', rounds=10)
        return add_benchmark(store, "bench", config, rounds=10)


class Blocks:
    """The longest times for which the loop did one thing alone."""

    def __init__(self) -> None:
        """Nothing was measured yet."""
        self.late = self.cpu = 0.0

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Measure while the block runs."""
        self.late = self.cpu = 0.0
        task = asyncio.create_task(self._watch())
        run = asyncio.events.Handle._run

        def timed(handle: asyncio.events.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            self.cpu = max(self.cpu, time.thread_time() - begun)

        asyncio.events.Handle._run = timed  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            asyncio.events.Handle._run = run  # type: ignore[method-assign]
            task.cancel()

    async def _watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            self.late = max(self.late, time.perf_counter() - before - _TICK_SECONDS)


async def act(pilot: Pilot[str], actions: Sequence[tuple[str, Sequence[str]]]) -> list[Row]:
    """Do some things one after the other; the longest block of each, in seconds."""
    found = []
    blocks = Blocks()
    for title, keys in actions:
        async with blocks.watched():
            for key in keys:
                if key.startswith("RESIZE"):
                    _, width, height = key.split()
                    await pilot.resize_terminal(int(width), int(height))
                else:
                    await pilot.press(key)
            await asyncio.sleep(_SETTLE_SECONDS)
        found.append((title, blocks.late, blocks.cpu))
    return found


async def look(runs: Path, select: str | None, actions: Sequence[tuple[str, Sequence[str]]]) -> list[list[Row]]:
    """The longest blocks of some actions, all of them done twice: the first time modules are imported too."""
    app = DashboardApp(runs, select=select)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: "reading the store" not in screen_text(app))
        await wait_until(pilot, lambda: select is None or "trials" in screen_text(app))
        await asyncio.sleep(1)
        gc.collect()
        gc.freeze()  # as the command does before it opens the dashboard
        return [await act(pilot, actions), await act(pilot, actions)]


def main() -> None:
    """Measure, and print one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--markdown", type=Path, help="also write the page there")
    options = parser.parse_args()
    facts = machine_facts()
    lines = [
        "| store | action | first time: late, ms | CPU, ms | again: late, ms | CPU, ms | |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for count in options.runs:
            runs = Path(folder) / f"{count}"
            build(runs, count, with_benchmark=False)
            lines += _rows(f"{count:,} runs", asyncio.run(look(runs, None, (*ACTIONS, *FORM))))
        runs = Path(folder) / "benchmark"
        bench_id = build(runs, 2, with_benchmark=True)
        lines += _rows("50 trials", asyncio.run(look(runs, bench_id, ON_BENCHMARK)))
    sizes = " ".join(map(str, options.runs))
    page = "\n".join(
        [
            "# The longest blocks of the event loop",
            "",
            f"`python -m benchmarks.event_loop --runs {sizes}`",
            "",
            *lines,
            "",
            f"120 × 36; above {1e3 * GOAL_SECONDS:.0f} ms is marked. The first time imports the screen's modules.",
            "",
            facts_table(facts),
            "",
        ]
    )
    print(page)
    if options.markdown is not None:
        put(options.markdown, page)


def _rows(store: str, found: Sequence[Sequence[Row]]) -> list[str]:
    return [
        f"| {store} | {title} | {1e3 * late:.0f} | {1e3 * cpu:.0f} | {1e3 * again:.0f} | {1e3 * cpu_again:.0f} "
        f"| {'above' if cpu_again > GOAL_SECONDS else ''} |"
        for (title, late, cpu), (_, again, cpu_again) in zip(*found, strict=True)
    ]


if __name__ == "__main__":
    main()
