"""What a long list of runs costs: `python -m benchmarks.run_list --cache FOLDER [--runs N …]`.

The first run of a store is appended by the real writer. The others are rows of it copied under ids of their own, each
with its settings, its age, the buckets of its steps, its epochs, its last step and, for one in five, a tag and a note.
A store is made once and kept in the cache folder.

The dashboard runs in Textual's own test driver at 120 × 36. *Event loop* is the time for which nothing else can happen
on the screen: of a cursor move from the key to the lines that are drawn, and of a poll with one changed row from the
message to the lines that are drawn. *Reading* is the feed's own thread: a poll where nothing was written since the last
one, and one where a run has logged a step.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.redraw import Watcher
from benchmarks.side_by_side import facts_table, machine_facts, put
from benchmarks.store_growth import BATCH, rows
from simclr_tui.remembered import STATE_VARIABLE
from trainer.config import PretrainConfig
from trainer.paths import store_file
from trainer.store import RunStore

STEPS = 600
EPOCH_STEPS = 39
TIMES = 20
_COPIED = {"buckets": "", "epochs": "", "steps": f" AND step = {STEPS}"}


def build(folder: Path, count: int) -> Path:
    """A store of so many runs, from the cache if it is there."""
    runs = folder / f"list-{count}"
    if (runs / "whole").exists():
        return runs
    with closing(RunStore.open(runs)) as store:
        first = store.create_run(kind="pretrain", name="run-0", config=PretrainConfig().to_json(), preset="stl10")
        store.lifecycle(first, "paused", "paused on request", exit_code=75)
        for begin in range(1, STEPS + 1, BATCH):
            store.append(first, rows(begin, min(BATCH, STEPS + 1 - begin)), total_steps=2 * STEPS)
        for epoch in range(1, 1 + STEPS // EPOCH_STEPS):
            figures = {"loss": 4.0 - epoch / 100, "knn_top1": 0.3 + epoch / 100, "t_epoch": 30.0}
            store.put_epoch(first, epoch, figures | {"images_per_second": 3300.0})
        for number in range(1, count):
            _copy(store, first, number)
    (runs / "whole").touch()
    return runs


def _copy(store: RunStore, source: str, number: int) -> None:
    """Another run like the first one, with settings of its own."""
    run_id = f"copy{number:06}"
    config = PretrainConfig(learning_rate=1e-4 * (1 + number % 7), batch_size=(128, 256, 512)[number % 3]).to_json()
    changes: dict[str, object] = {"id": run_id, "name": f"run-{number}", "config": config}
    changes |= {"created_at": time.time() - 60 * number, "lifecycle": ("paused", "finished")[number % 2]}
    with store._write() as connection:
        for table, where in {"runs": "", **_COPIED}.items():
            key = "id" if table == "runs" else "run_id"
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = changes if table == "runs" else {"run_id": run_id}
            cells = ", ".join("?" if name in values else name for name in names)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {cells} FROM {table} WHERE {key} = ?{where}",
                (*(values[name] for name in names if name in values), source),
            )
        if number % 5 == 0:
            for key, value in (("tag", f"set-{number % 4}"), ("note", "one of five")):
                connection.execute("INSERT INTO annotations VALUES (?, ?, ?, ?)", (run_id, key, value, time.time()))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock, and of them those in which a processor worked."""
    started, worked = time.perf_counter(), time.thread_time()
    work()
    return 1e3 * (time.perf_counter() - started), 1e3 * (time.thread_time() - worked)


async def look(runs: Path) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each kind of work."""
    found: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("first", "idle", "changed", "move", "poll", "sorted")
    }
    with closing(RunStore.open(runs)) as store:
        full = next(run.id for run in store.runs() if run.name == "run-0")
        watcher = Watcher(runs)
        async with watcher.app.run_test(size=(120, 36)) as pilot:
            found["first"].append(timed(watcher.poll))
            for _ in range(3):
                watcher.draw()
                await pilot.pause()
                watcher.poll()
            screen = watcher.screen

            def draw() -> None:
                screen._refresh_layout()
                screen._compositor.render_update(full=False)

            def move() -> None:
                screen.action_move(1)
                draw()

            def take() -> None:
                screen.take(watcher.polled[0])
                draw()

            last = store.last_step(full)
            for number in range(1, TIMES + 1):
                found["idle"].append(timed(watcher.poll))
                found["move"].append(timed(move))
                await pilot.pause()
                watcher.poll()
                watcher.draw()
                store.append(full, rows(last + number, 1))
                found["changed"].append(timed(watcher.poll))
                assert watcher.polled[0].rows is not None
                found["poll"].append(timed(take))
                await pilot.pause()
            screen._look(sort="smoothed", group="setting:batch_size")
            await pilot.pause()
            for number in range(TIMES + 1, TIMES + 6):
                store.append(full, rows(last + number, 1))
                watcher.poll()
                found["sorted"].append(timed(take))
                await pilot.pause()
        watcher.feed._disconnect()
    return found


def main() -> None:
    """Build what is missing, measure, and print one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the stores")
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 100, 1000, 5000])
    parser.add_argument("--markdown", type=Path, help="also write the page there")
    parser.add_argument("--json", action="store_true", help="print every time that was taken")
    options = parser.parse_args()
    facts = machine_facts()
    heading = ["runs", "store, MB", "a cursor move (worst; CPU)", "a poll with one changed row (worst; CPU)"]
    heading += ["sorted and grouped (CPU)", "first reading (CPU)", "reading nothing new (CPU)", "reading a step (CPU)"]
    table = [heading, ["---"] * len(heading)]
    for count in options.runs:
        runs = build(options.cache, count)
        with tempfile.TemporaryDirectory() as state:  # nothing is remembered of the time before
            os.environ[STATE_VARIABLE] = state
            found = asyncio.run(look(runs))
        if options.json:
            print(json.dumps({"runs": count, **found}))
        clock, work = (
            {name: statistics.median(pair[which] for pair in times) for name, times in found.items()}
            for which in (0, 1)
        )
        cells = [f"{count:,}", f"{store_file(runs).stat().st_size / 1e6:.0f}"]
        cells += [f"{clock[name]:.1f} ({max(found[name])[0]:.1f}; {work[name]:.1f})" for name in ("move", "poll")]
        table.append(
            [*cells, *(f"{clock[name]:.1f} ({work[name]:.1f})" for name in ("sorted", "first", "idle", "changed"))]
        )
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    command = f"python -m benchmarks.run_list --cache FOLDER --runs {' '.join(map(str, options.runs))}"
    page = "\n".join(
        [
            "# The list of runs",
            "",
            f"`{command}`",
            "",
            "Milliseconds: the first three of the event loop, the last three of the feed's thread.",
            f"120 × 36; median of {TIMES}. Goal: a cursor move and a poll each within 50 ms at 1,000 runs.",
            "",
            *lines,
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
