"""Committed rows survive kill -9, each once."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.store import RunStore

_WRITER = """
import sys
from pathlib import Path
from tests.trainer.test_store import step_row
from trainer.store import RunStore
store = RunStore.open(Path(sys.argv[1]))
run_id = sys.argv[2]
step = store.last_step(run_id)
print("ready", flush=True)
while True:
    rows = [step_row(step + k, float(step + k)) for k in range(1, 11)]
    store.append(run_id, rows)
    step += 10
    print(step, flush=True)
"""


def kill_writers(runs: Path, kills: int) -> None:
    """Kill a process that writes, over and over, and look for every row that it had been promised."""
    store = RunStore.open(runs)
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    draw = random.Random(0)
    promised = 0
    for _ in range(kills):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, runs, run_id], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0.0, 0.05))
        writer.kill()
        told = writer.stdout.read().split("\n")
        writer.stdout.close()
        writer.wait()
        whole = [int(line) for line in told[:-1]]
        promised = max([promised, *whole])
        reached = store.last_step(run_id)
        assert reached >= promised
        rows = store.connection.execute(
            "SELECT count(*), count(DISTINCT step), sum(loss) FROM steps WHERE run_id = ?", (run_id,)
        )
        assert tuple(rows.fetchone()) == (reached, reached, reached * (reached + 1) / 2 if reached else None)
    assert promised > 0
    assert store.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store.close()


def test_rows_that_were_committed_outlive_the_process(runs: Path) -> None:
    kill_writers(runs, 8)


@pytest.mark.reliability
def test_rows_that_were_committed_outlive_a_hundred_processes(runs: Path) -> None:
    kill_writers(runs, 100)
