"""Bytes that the dashboard writes to its terminal, which is what SSH carries: `python -m benchmarks.ssh_traffic`.

Opens the real program in a pseudo-terminal, waits until it stands still, and counts for a while what it writes: on a
store where nothing happens, and on one where a run logs twice a second by the store's own writer. What is written is
sorted into the text itself, colours, moves of the cursor and the rest. Prints a Markdown table; `--seconds N` counts
for so long, `--program FOLDER` measures the program of another checkout.
"""

import argparse
import fcntl
import os
import platform
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from pathlib import Path

from trainer.config import PretrainConfig
from trainer.store import RunStore, StepRow

SIZES = ((120, 36), (80, 24))
SECONDS = 30.0
SETTLING_SECONDS = 6.0
RUNS = 20
STEPS = 400

_KINDS = (
    ("colours", re.compile(rb"\x1b\[[\d;]*m")),
    ("moves", re.compile(rb"\x1b\[[\d;]*H")),
    ("other sequences", re.compile(rb"\x1b(?:\][^\a\x1b]*(?:\a|\x1b\\)|\[[?>]?[\d;]*[a-zA-Z])")),
)

_LOGGER = """
import sys, time
from pathlib import Path
from benchmarks.ssh_traffic import row_of
from trainer.process import RunLock, identity
from trainer.store import RunStore
runs, run_id, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lock = RunLock(runs, run_id)
store = RunStore.open(runs)
store.lifecycle(run_id, "started", "started by a benchmark", **identity().columns())
print("logs", flush=True)
while True:
    rows = [row_of(step + number) for number in range(1, 6)]
    step += len(rows)
    store.append(run_id, rows, trained_seconds=step * 0.1, progress_at=time.time(), phase="training")
    store.beat(run_id, {"source": "nvml", "gpu_util": 80.0 + step % 17, "gpu_memory_bytes": 61 << 30,
        "gpu_memory_total_bytes": 80 << 30, "power_watts": 400.0 + step % 23, "temperature_celsius": 60.0 + step % 5})
    time.sleep(0.5)
"""


def row_of(step: int) -> StepRow:
    """A step of a run that learns."""
    rng = random.Random(step)
    return StepRow(
        step=step,
        epoch=1 + step // 50,
        loss=1.5 + 4 * 0.999**step + rng.gauss(0, 0.05),
        acc_top1=0.5 + rng.gauss(0, 0.01),
        acc_top5=0.8,
        acc_mean_pos=50.0,
        lr=1e-3,
        grad_norm=1.0,
        t_data=0.001,
        t_batch=0.1 + rng.gauss(0, 0.002),
    )


def fill(runs: Path) -> str:
    """A store of some runs; the id of the newest, which is the one that logs."""
    store = RunStore.open(runs)
    for number in range(RUNS):
        run_id = store.create_run(kind="pretrain", name=f"run-{number}", config=PretrainConfig().to_json())
        store.append(
            run_id,
            [row_of(step) for step in range(1, STEPS + 1)],
            total_steps=50 * 500,
            steps_per_epoch=50,
            trained_seconds=STEPS * 0.1,
        )
        store.put_epoch(run_id, 1, {"loss": 4.0, "knn_top1": 0.3, "t_epoch": 5.0})
        store.lifecycle(run_id, "paused", "paused")
    store.close()
    return run_id


class Watched:
    """The program of a checkout in a terminal."""

    def __init__(self, runs: Path, size: tuple[int, int], program: Path) -> None:
        """Starts it."""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(program)}
            os.environ |= {"XDG_STATE_HOME": str(runs / "state"), "XDG_CONFIG_HOME": str(runs / "config")}
            os.chdir(program)
            os.execv(sys.executable, [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs)])

    def read(self, seconds: float) -> bytes:
        """What it writes in so many seconds."""
        found, until = b"", time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                found += os.read(self._terminal, 65536)
        return found

    def close(self) -> None:
        """Ends it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


def sorted_out(written: bytes) -> Counter[str]:
    """Bytes by what they are."""
    found: Counter[str] = Counter()
    for name, pattern in _KINDS:
        found[name] = sum(map(len, pattern.findall(written)))
        written = pattern.sub(b"", written)
    found["text"] = len(written)
    return found


def measure(size: tuple[int, int], *, is_live: bool, program: Path, seconds: float) -> Counter[str]:
    """Bytes that are written to a terminal of a size in a while."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        run_id = fill(runs)
        logger = None
        if is_live:
            words = [sys.executable, "-c", _LOGGER, str(runs), run_id, str(STEPS)]
            here = Path(__file__).parent.parent
            logger = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=here)
            assert logger.stdout is not None
            assert logger.stdout.readline() == b"logs\n"
        watched = Watched(runs, size, program)
        try:
            first = watched.read(SETTLING_SECONDS)
            assert f"run-{RUNS - 1}".encode() in first, first[-2000:]
            found = sorted_out(watched.read(seconds))
            assert logger is None or logger.poll() is None, "the run that logs has ended"
            return found
        finally:
            watched.close()
            if logger is not None:
                logger.kill()
                logger.wait()
                assert logger.stdout is not None
                logger.stdout.close()


def main() -> None:
    """Measure every size, idle and live."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--program", type=Path, default=Path(__file__).parent.parent)
    options = parser.parse_args()
    names = ("text", "colours", "moves", "other sequences")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {options.seconds:g} s each\n")
    print("| terminal | store | bytes a second | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 3) + "|")
    for size in SIZES:
        for is_live in (False, True):
            found = measure(size, is_live=is_live, program=options.program.absolute(), seconds=options.seconds)
            parts = " | ".join(f"{found[name] / options.seconds:,.0f}" for name in names)
            what = "a run logs twice a second" if is_live else "nothing happens"
            total = f"{sum(found.values()) / options.seconds:,.0f}"
            print(f"| {size[0]} × {size[1]} | {what} | {total} | {parts} |", flush=True)


if __name__ == "__main__":
    main()
