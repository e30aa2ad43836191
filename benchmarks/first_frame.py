"""Time from starting `simclr-tui` to its first frame: `python benchmarks/first_frame.py [RUNS …]`.

Opens the dashboard in a real pseudo-terminal of 120 × 36 on a store of so many runs of 200 steps, and waits for the
frame with the runs in it. Prints the median and the range of nine starts after one that is not counted.
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from trainer.config import PretrainConfig
from trainer.store import RunStore, StepRow

STARTS = 9


def fill(runs: Path, count: int) -> bytes:
    """A store of so many runs; the words that show that the first frame is there."""
    if not count:
        return b"no run yet"
    store = RunStore.open(runs)
    rows = [
        StepRow(
            step=step,
            epoch=1 + step // 50,
            loss=5.0 - step / 100,
            acc_top1=0.1,
            acc_top5=0.2,
            acc_mean_pos=50.0,
            lr=1e-3,
            grad_norm=1.0,
            t_data=0.001,
            t_batch=0.1,
        )
        for step in range(1, 201)
    ]
    for number in range(count):
        run_id = store.create_run(kind="pretrain", name=f"run-{number}", config=PretrainConfig().to_json())
        store.append(run_id, rows)
        store.put_epoch(run_id, 1, {"loss": 4.0, "knn_top1": 0.3})
        store.lifecycle(run_id, "finished", "finished", exit_code=0)
    store.close()
    return f"run-{count - 1}".encode()


def start(runs: Path, words: bytes) -> float:
    """Seconds from fork to the words on the screen."""
    begun = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs)])
    seen = b""
    while words not in seen and time.perf_counter() - begun < 30:
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536)
    seconds = time.perf_counter() - begun
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert words in seen, seen[-2000:]
    return seconds


def main(counts: list[int]) -> None:
    """Measure each count."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder) / "runs"
            words = fill(runs, count)
            seconds = [start(runs, words) for _ in range(STARTS + 1)][1:]
            spread = f"{min(seconds):.3f} to {max(seconds):.3f} s"
            print(f"{count:>5} runs: median {statistics.median(seconds):.3f} s, {spread}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [0, 1, 100])
