"""Whether the store stays as fast as a run grows: `python -m benchmarks.store_growth [--steps N]`.

A run grows by the real writer, 150 steps a commit, and is looked at as it passes 10^3, 10^4, 10^5 and 10^6 steps: the
seconds of its latest commits, the size of the store for a step, and the seconds in which a chart is read.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import facts_table, machine_facts, put
from trainer.paths import store_file
from trainer.store import RunStore, StepRow, StoreReader
from trainer.store.series import STEP_SERIES

BATCH = 150
COLUMNS = 200
READS = 20


def rows(first: int, count: int) -> list[StepRow]:
    """Steps that are all different."""
    return [
        StepRow(
            step=step,
            epoch=1 + step // 390,
            loss=5.0 - step % 997 / 997,
            acc_top1=step % 101 / 101,
            acc_top5=step % 103 / 103,
            acc_mean_pos=50.0 + step % 7,
            lr=1e-3,
            grad_norm=1.0 + step % 13,
            t_data=0.001,
            t_batch=0.007 + step % 11 / 1e4,
        )
        for step in range(first, first + count)
    ]


def read(runs: Path, run_id: str, last: int) -> tuple[float, float, int]:
    """Seconds of reading one series and all of them for a chart, and the points of one."""
    with closing(StoreReader.open(runs)) as reader:
        one, every, points = [], [], 0
        for _ in range(READS):
            started = time.perf_counter()
            points = len(reader.series(run_id, "loss", first=1, last=last, columns=COLUMNS))
            one.append(time.perf_counter() - started)
            started = time.perf_counter()
            for name in STEP_SERIES:
                reader.series(run_id, name, first=1, last=last, columns=COLUMNS)
            every.append(time.perf_counter() - started)
    return statistics.median(one), statistics.median(every), points


def grow(runs: Path, most: int) -> list[dict[str, Any]]:
    """What was found at each power of ten."""
    found: list[dict[str, Any]] = []
    with closing(RunStore.open(runs)) as store:
        run_id = store.create_run(kind="pretrain", name="growth", config="{}")
        marks = [10**power for power in range(3, 7) if 10**power <= most]
        latest: deque[float] = deque(maxlen=200)
        step = 0
        while marks:
            batch = rows(step + 1, min(BATCH, marks[0] - step))
            started = time.perf_counter()
            store.append(run_id, batch)
            if len(batch) == BATCH:
                latest.append(time.perf_counter() - started)
            step += len(batch)
            if step < marks[0]:
                continue
            one, every, points = read(runs, run_id, step)
            size = sum(path.stat().st_size for path in runs.glob(store_file(runs).name + "*"))
            found.append(
                {
                    "steps": marks.pop(0),
                    "commit": statistics.median(latest),
                    "commit_p95": sorted(latest)[int(0.95 * len(latest))],
                    "bytes": size,
                    "read_one": one,
                    "read_all": every,
                    "points": points,
                }
            )
    return found


def table(found: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = [
        f"| steps | commit of {BATCH}, ms (95th percentile) | store, MB | bytes a step | one series, ms "
        "| all eight, ms | points |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['steps']:,} | {1e3 * row['commit']:.2f} ({1e3 * row['commit_p95']:.2f}) | {row['bytes'] / 1e6:.1f} "
        f"| {row['bytes'] / row['steps']:.0f} | {1e3 * row['read_one']:.2f} | {1e3 * row['read_all']:.2f} "
        f"| {row['points']} |"
        for row in found
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10**6)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--markdown", type=Path, help="also write the page there")
    options = parser.parse_args()
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as name:
        found = grow(Path(name) / "runs", options.steps)
    command = f"python -m benchmarks.store_growth --steps {options.steps}"
    page = f"# How a store grows\n\n`{command}`\n\n{table(found)}\n\n{facts_table(facts)}\n"
    print(page)
    if options.json is not None:
        put(options.json, json.dumps({"facts": facts, "found": found}))
    if options.markdown is not None:
        put(options.markdown, page)


if __name__ == "__main__":
    main()
