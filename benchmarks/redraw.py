"""How fast the dashboard draws a full folder: `python -m benchmarks.redraw --cache FOLDER [--runs N] [--steps N …]`.

The store has one run in full. The others have what a chart reads: their buckets, and of their steps the last one alone.
One run is appended by the real writer, 150 steps a commit; the buckets of the others are rows of its own, copied under
their ids, so every size of bucket is there as the writer leaves it. A store is made once and kept in the cache folder.

The dashboard runs in Textual's own test driver at 120 × 36, with 12 runs drawn. *First picture* is from making the app
to the first screen with curves, of one run and, since marks are remembered, of twelve, the cursor's first; those that
are not read within a twentieth of a second follow (*all*). As in the command, garbage is not looked for among the
modules. *Redraw* is a poll that finds a new step, what the screen does with it, and the whole screen laid out and drawn
again.
"""

import argparse
import asyncio
import cProfile
import gc
import io
import os
import pstats
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.side_by_side import facts_table, machine_facts, put
from benchmarks.store_growth import BATCH, rows
from simclr_tui.app import DashboardApp
from simclr_tui.feed import Feed
from simclr_tui.messages import Polled
from simclr_tui.remembered import STATE_VARIABLE
from simclr_tui.screens.main import MainScreen
from trainer.config import PretrainConfig
from trainer.paths import store_file
from trainer.store import RunStore

DRAWN = 12
REDRAWS = 12
FIRSTS = 5
EPOCH_STEPS = 390


def build(folder: Path, count: int, steps: int) -> Path:
    """A store of so many runs, from the cache if it is there."""
    runs = folder / f"{count}-runs-{steps}-steps"
    if (runs / "whole").exists():
        return runs
    with closing(RunStore.open(runs)) as store:
        first = _new_run(store, 0)
        for begin in range(1, steps + 1, BATCH):
            store.append(first, rows(begin, min(BATCH, steps + 1 - begin)))
        for epoch in range(1, 1 + steps // EPOCH_STEPS):
            store.put_epoch(first, epoch, {"loss": 4.0 - epoch / 1e4, "knn_top1": 0.3 + epoch / 1e5, "acc_top1": 0.1})
        for number in range(1, count):
            _copy(store, first, _new_run(store, number), steps)
    (runs / "whole").touch()
    return runs


def _new_run(store: RunStore, number: int) -> str:
    run_id = store.create_run(kind="pretrain", name=f"run-{number}", config=PretrainConfig().to_json())
    store.lifecycle(run_id, "paused", "paused on request", exit_code=75)
    return run_id


def _copy(store: RunStore, source: str, target: str, steps: int) -> None:
    """Give a run the buckets, the epochs and the last step of another one."""
    with store._write() as connection:
        for table, where in {"buckets": "", "epochs": "", "steps": f" AND step = {steps}"}.items():
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "run_id"]
            listed = ", ".join(names)
            connection.execute(
                f"INSERT INTO {table} (run_id, {listed}) SELECT ?, {listed} FROM {table} WHERE run_id = ?{where}",
                (target, source),
            )
        connection.execute("UPDATE runs SET step = ?, total_steps = ? WHERE id = ?", (steps, 2 * steps, target))


class Watcher:
    """An app under the test driver, whose polls are made here and not in the feed's thread."""

    def __init__(self, runs: Path) -> None:
        self.app = DashboardApp(runs)
        self.polled: list[Polled] = []
        self.app.feed.run = lambda: None  # type: ignore[method-assign]
        self.feed = Feed(runs, lambda _: None)
        self.app.feed.watch = self.feed.watch  # type: ignore[method-assign]

    @property
    def screen(self) -> MainScreen:
        screen = self.app.main_screen
        assert screen is not None
        return screen

    def poll(self) -> float:
        """Seconds of reading what is new."""
        started = time.perf_counter()
        self.polled = [self.feed._poll()]
        return time.perf_counter() - started

    def draw(self) -> float:
        """Seconds of taking in what was read and drawing the whole screen."""
        started = time.perf_counter()
        self.screen.take(self.polled[0])
        self.screen._refresh_layout()
        self.screen._compositor.render_update(full=True)
        return time.perf_counter() - started


async def first_picture(runs: Path, drawn: int) -> tuple[float, float]:
    """Seconds from making the app to the first screen with curves, and to one with those of so many marked runs."""
    with closing(RunStore.open(runs)) as store:
        marked = {run.id for run in store.runs()[1:drawn]}
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    watcher = Watcher(runs)
    async with watcher.app.run_test(size=(120, 36)) as pilot:
        watcher.screen.board.marked |= marked
        watcher.poll()
        watcher.draw()
        await pilot.pause()  # the screen says what it draws
        seconds: list[float] = []
        while not seconds or not all(one.curves.is_read for one in watcher.screen.board.drawn):
            watcher.poll()
            watcher.draw()
            seconds.append(time.perf_counter() - began)
        board = watcher.screen.board
        assert len(board.drawn) == drawn
        assert board.drawn[0].row.run.id == board.cursor_id
    watcher.feed._disconnect()
    return seconds[0], seconds[-1]


async def look(runs: Path, steps: int) -> tuple[dict[str, float], str]:
    """Seconds of first pictures and of a redraw by its parts, and a profile of redraws."""
    first = statistics.median([(await first_picture(runs, 1))[0] for _ in range(FIRSTS)])
    of_twelve = [await first_picture(runs, DRAWN) for _ in range(FIRSTS)]
    with closing(RunStore.open(runs)) as store:
        full = next(run.id for run in store.runs() if run.name == "run-0")
        watcher = Watcher(runs)
        async with watcher.app.run_test(size=(120, 36)) as pilot:
            watcher.poll()
            watcher.draw()
            await pilot.pause()  # the screen says what it draws
            board = watcher.screen.board
            others = [row.run.id for row in board.rows if row.run.id not in (full, board.cursor_id)]
            board.marked = {full, *others[: DRAWN - 2]}  # the one under the cursor is drawn too
            watcher.screen.show_board()
            await pilot.pause()
            while not all(one.curves.is_read for one in board.drawn):
                watcher.poll()
                watcher.draw()
            drawn = len(board.drawn)
            reads, draws, works = [], [], []
            profile = cProfile.Profile()
            last = store.last_step(full)
            for number in range(1, 2 * REDRAWS + 1):
                store.append(full, rows(last + number, 1))
                if number > REDRAWS:
                    profile.enable()
                begun = time.thread_time()
                seconds = watcher.poll(), watcher.draw()
                profile.disable()
                if number <= REDRAWS:
                    reads.append(seconds[0])
                    draws.append(seconds[1])
                    works.append(time.thread_time() - begun)
                await pilot.pause()
    watcher.feed._disconnect()
    told = io.StringIO()
    pstats.Stats(profile, stream=told).sort_stats("cumulative").print_stats(25)
    redraw = [read + draw for read, draw in zip(reads, draws, strict=True)]
    figures = {
        "steps": float(steps),
        "drawn": float(drawn),
        "first": first,
        "first of twelve": statistics.median(begun for begun, _ in of_twelve),
        "all of twelve": statistics.median(whole for _, whole in of_twelve),
        "read": statistics.median(reads),
        "draw": statistics.median(draws),
        "redraw": statistics.median(redraw),
        "worst": max(redraw),
        "cpu": statistics.median(works),
    }
    return figures, told.getvalue()


def main() -> None:
    """Build what is missing, measure, and print one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the stores")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10_000, 200_000])
    parser.add_argument("--markdown", type=Path, help="also write the page there")
    parser.add_argument("--profile", action="store_true", help="print where the time of the last size goes")
    options = parser.parse_args()
    facts = machine_facts()
    lines = [
        f"| steps of a run | store, MB | first picture, ms: 1 run | {DRAWN} runs | all {DRAWN} | runs drawn "
        "| redraw, ms (worst) | of it reading | drawing | redraw, ms of CPU |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    profile = ""
    for steps in options.steps:
        runs = build(options.cache, options.runs, steps)
        with tempfile.TemporaryDirectory() as nothing_remembered:
            os.environ[STATE_VARIABLE] = nothing_remembered
            row, profile = asyncio.run(look(runs, steps))
        megabytes = store_file(runs).stat().st_size / 1e6
        first, some, whole = (1e3 * row[key] for key in ("first", "first of twelve", "all of twelve"))
        redraw, worst, read, draw, cpu = (1e3 * row[key] for key in ("redraw", "worst", "read", "draw", "cpu"))
        lines.append(
            f"| {steps:,} | {megabytes:.0f} | {first:.0f} | {some:.0f} | {whole:.0f} | {row['drawn']:.0f} "
            f"| {redraw:.0f} ({worst:.0f}) | {read:.0f} | {draw:.0f} | {cpu:.0f} |"
        )
    sizes = " ".join(map(str, options.steps))
    command = f"python -m benchmarks.redraw --cache FOLDER --runs {options.runs} --steps {sizes}"
    page = "\n".join(
        [
            f"# The dashboard at {options.runs} runs",
            "",
            f"`{command}`",
            "",
            *lines,
            "",
            f"120 × 36; median of {REDRAWS} redraws after a new step of the run in full.",
            "",
            facts_table(facts),
            "",
        ]
    )
    print(page)
    if options.profile:
        print(profile)
    if options.markdown is not None:
        put(options.markdown, page)


if __name__ == "__main__":
    main()
