"""A whole run killed again and again, against the same run left alone: every loss, every score, the final weights.

    python benchmarks/headline.py [--epochs 500] [--kills 12] [--seed 0] [--out FILE] [--runs-dir DIR] [-- SETTINGS]

Both are real trainers (`python -m trainer.run`), at the same time, on images that the program draws; settings after
`--` go to both. One kill falls at a random instant of each equal part of the run. Every third of them is followed by
one more right after the resume, and each life has another number of loader workers. What is compared is read with
nothing but SQLite and torch.load: all columns but the times, and every tensor and number of the last checkpoint but the
clock. Exits with 1 where anything differs.
"""

import argparse
import os
import platform
import random
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTINGS = shlex.split(
    "--dataset shapes --limit-per-class 16 --limit-test-per-class 4 --image-size 16 --backbone resnet-narrow"
    " --head-width 32 --projection-size 16 --batch-size 20 --learning-rate 1e-3 --threads 1 --ema-decay 0.99"
    " --knn-every 50 --validate-every 50 --health-every 50 --no-evaluate-at-end --checkpoint-seconds 3"
)
"""160 images, so 8 steps an epoch, with an average of the weights besides; looked at every 50 epochs."""

WORKERS = (0, 2, 1, 3)
TIMES = {"t_data", "t_batch", "t_train", "t_epoch", "images_per_second", "gpu_util", "at"}
_RIGHT_AFTER_SECONDS = 0.5
_WAIT_SECONDS = 600


@dataclass
class Life:
    """One trainer process of the run that is killed."""

    workers: int
    first_step_seconds: float | None = None
    """From its start until its first step was committed, None where it was killed before."""
    stored: int = 0
    checkpoint: int = 0
    ended: str = ""


@dataclass
class Killed:
    """The run that is killed."""

    runs: Path
    options: list[str]
    lives: list[Life] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        """Its next trainer."""
        workers = WORKERS[len(self.lives) % len(WORKERS)]
        self.lives.append(Life(workers))
        return start(self.runs, "killed", [*self.options, "--num-workers", str(workers)])

    def live(self, target: int, pause: float, ended: str) -> bool:
        """Start it, kill it a while after its step `target` is in the store; whether it was alive by then.

        With target 0 it is killed a while after it has loaded its checkpoint.
        """
        resumes = self._resumes()
        begun = time.monotonic()
        child = self.start()
        life = self.lives[-1]
        life.ended = ended
        before: int | None = None
        while child.poll() is None and time.monotonic() - begun < _WAIT_SECONDS:
            pid, step = self._position()
            if pid == child.pid and step is not None and target:
                before = step if before is None else before
                if step > before and life.first_step_seconds is None:
                    life.first_step_seconds = time.monotonic() - begun
                if step >= target:
                    break
            if target == 0 and self._resumes() > resumes:
                break
            time.sleep(0.01)
        time.sleep(pause)
        child.kill()
        hit = child.wait() == -9
        life.stored = int(scalar(self.runs, "killed", "SELECT max(step) FROM steps WHERE run_id = ?") or 0)
        life.checkpoint = int(scalar(self.runs, "killed", "SELECT max(step) FROM checkpoints WHERE run_id = ?") or 0)
        return hit

    def _resumes(self) -> int:
        """How many of its lives have loaded a checkpoint."""
        found = "SELECT count(*) FROM events WHERE run_id = ? AND kind = 'resumed-from'"
        return int(scalar(self.runs, "killed", found) or 0)

    def _position(self) -> tuple[int | None, int | None]:
        """Its trainer's process id, and the step it has committed."""
        try:
            rows = select(self.runs, "SELECT pid, step FROM runs WHERE name = 'killed'")
        except sqlite3.OperationalError:  # the store is being made
            return None, None
        return rows[0] if rows else (None, None)

    def finish(self) -> int:
        """Start it once more and let it end; its exit code."""
        begun = time.monotonic()
        before = self._position()[1] or 0
        child = self.start()
        self.lives[-1].ended = "left to finish"
        while child.poll() is None:
            pid, step = self._position()
            if pid == child.pid and (step or 0) > before and self.lives[-1].first_step_seconds is None:
                self.lives[-1].first_step_seconds = time.monotonic() - begun
            before = min(before, step or 0)
            time.sleep(0.02)
        return child.wait()


def start(runs: Path, name: str, options: list[str]) -> "subprocess.Popen[bytes]":
    """A trainer that makes the run of that name or goes on with it; what it prints goes to a file beside the runs."""
    command = [sys.executable, "-m", "trainer.run", "--headless", "--runs-dir", str(runs), "--resume-or-start", name]
    with (runs / f"{name}.log").open("ab") as log:
        quiet = os.environ | {"SIMCLR_TUI_NOTIFY": "off"}
        return subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=quiet)


def select(runs: Path, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
    """Rows of the store."""
    connection = sqlite3.connect(f"file:{runs / 'runs.db'}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def run_id(runs: Path, name: str) -> str:
    """Of the run of that name."""
    return str(select(runs, "SELECT id FROM runs WHERE name = ?", (name,))[0][0])


def scalar(runs: Path, name: str, query: str) -> Any:
    """The one value of a query about a run; None where there is no such run yet."""
    try:
        return select(runs, query, (run_id(runs, name),))[0][0]
    except (sqlite3.OperationalError, IndexError):
        return None


def table(runs: Path, name: str, title: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Rows of a run by their key, the columns of times left out."""
    columns = [row[1] for row in select(runs, f"PRAGMA table_info({title})") if row[1] not in TIMES | {"run_id"}]
    rows = select(runs, f"SELECT {', '.join(columns)} FROM {title} WHERE run_id = ?", (run_id(runs, name),))
    keys = 2 if title == "metrics" else 1
    return {tuple(row[:keys]): tuple(row) for row in rows}


def last_checkpoint(runs: Path, name: str) -> dict[str, Any]:
    """Every tensor and number of a run's last checkpoint by its place in it, the clock left out."""
    import torch

    path = scalar(runs, name, "SELECT path FROM checkpoints WHERE run_id = ? ORDER BY step DESC LIMIT 1")
    return flat(torch.load(runs / path, weights_only=True, map_location="cpu"))


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested containers as one mapping of places to leaves."""
    if isinstance(value, dict):
        pairs = [(f"{name}/{key}", inner) for key, inner in value.items() if key != "clock"]
    elif isinstance(value, list | tuple):
        pairs = [(f"{name}/{place}", inner) for place, inner in enumerate(value)]
    else:
        return {name: value}
    return {place: leaf for key, inner in pairs for place, leaf in flat(inner, key).items()}


def compare(runs: Path) -> list[tuple[str, int, int]]:
    """Of each kind of thing: how many there are of the calm run, and how many differ or are missing on one side."""
    import torch

    found = []
    for title in ("steps", "epochs", "metrics"):
        calm, killed = table(runs, "calm", title), table(runs, "killed", title)
        wrong = sum(calm.get(key) != killed.get(key) for key in calm.keys() | killed.keys())
        found.append((f"rows of `{title}`", len(calm), wrong))
    first, second = last_checkpoint(runs, "calm"), last_checkpoint(runs, "killed")
    for part in sorted({name.split("/")[1] for name in first}):
        places = [name for name in first.keys() | second.keys() if name.split("/")[1] == part]
        wrong = 0
        for place in places:
            one, other = first.get(place), second.get(place)
            tensors = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
            wrong += not (torch.equal(one, other) if tensors else one == other)  # type: ignore[arg-type]
        found.append((f"last checkpoint, {part}", len(places), wrong))
    return found


def machine() -> str:
    """What it ran on."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model}, {cores} cores, instruction set {torch.backends.cpu.get_cpu_capability()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}"
    )


def report(runs: Path, killed: Killed, steps_per_epoch: int, seconds: float, hits: int) -> tuple[str, bool]:
    """The result as Markdown, and whether nothing differs."""
    found = compare(runs)
    wrong = sum(count for _, _, count in found)
    events = select(runs, "SELECT level, kind, message FROM events WHERE run_id = ?", (run_id(runs, "killed"),))
    replays = [(level, message) for level, kind, message in events if kind == "replay"]
    replayed = sum(int(match[1]) for _, said in replays if (match := re.match(r"replay (\d+) of", said)))
    first = [life.first_step_seconds for life in killed.lives if life.first_step_seconds is not None]
    lines = [
        f"{hits} kills -9 of one run of {len(table(runs, 'calm', 'steps')):,} steps; differences from the run that was "
        f"left alone: **{wrong}**.",
        "",
        f"`python benchmarks/headline.py {shlex.join(sys.argv[1:])}`",
        "",
        f"{machine()}; {seconds:.0f} s for both runs side by side.",
        "",
        "| compared | of the run left alone | different |",
        "|---|---|---|",
        *[f"| {what} | {count:,} | {count_wrong} |" for what, count, count_wrong in found],
        "",
        f"Replay events: {len(replays)}, over {replayed:,} steps, "
        f"{sum('identical' in said and level == 'info' for level, said in replays)} of them identical. Exactness: "
        f"{scalar(runs, 'killed', 'SELECT exactness FROM runs WHERE id = ?')}. First step committed "
        f"{min(first):.1f} to {max(first):.1f} s after the start of a process (a step is committed within 1 s).",
        "",
        "| life | workers | ended | last stored step (epoch, step in it) | newest checkpoint | first step after |",
        "|---|---|---|---|---|---|",
    ]
    for number, life in enumerate(killed.lives, start=1):
        epoch, inside = divmod(life.stored, steps_per_epoch)
        where = f"{life.stored:,} ({epoch + 1}, {inside})" if life.ended != "left to finish" else "–"
        after = "–" if life.first_step_seconds is None else f"{life.first_step_seconds:.1f} s"
        lines.append(f"| {number} | {life.workers} | {life.ended} | {where} | {life.checkpoint or '–'} | {after} |")
    return "\n".join(lines) + "\n", wrong == 0


def main() -> int:
    """Run both and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=12, help="at random instants; one more right after every third")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--out", type=Path, help="where the result goes besides standard output")
    parser.add_argument("--runs-dir", type=Path, help="an empty folder to keep the runs in [default: a temporary one]")
    parser.add_argument("settings", nargs="*", help="settings of both runs, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = (options.runs_dir or Path(scratch)).absolute()
        runs.mkdir(parents=True, exist_ok=True)
        text, is_same = torture(runs, options)
    print(text)
    if options.out:
        options.out.write_text(text)
    return 0 if is_same else 1


def torture(runs: Path, options: argparse.Namespace) -> tuple[str, bool]:
    """Run both; the result."""
    settings = [*SETTINGS, "--epochs", str(options.epochs), *options.settings]
    begun = time.monotonic()
    draw = random.Random(options.seed)
    calm = start(runs, "calm", [*settings, "--num-workers", "0"])
    while scalar(runs, "calm", "SELECT steps_per_epoch FROM runs WHERE id = ?") is None:
        assert calm.poll() is None, (runs / "calm.log").read_text()
        time.sleep(0.1)
    per_epoch = int(scalar(runs, "calm", "SELECT steps_per_epoch FROM runs WHERE id = ?"))
    part = options.epochs * per_epoch / (options.kills + 1)
    killed, hits = Killed(runs, settings), 0
    for number in range(options.kills):
        target = max(1, round(part * (number + draw.random())))
        hits += killed.live(target, draw.uniform(0.0, 1.0), f"killed after step {target:,}")
        if number % 3 == 2:
            hits += killed.live(0, draw.uniform(0.0, _RIGHT_AFTER_SECONDS), "killed right after the resume")
    code = killed.finish()
    assert code == 0, (runs / "killed.log").read_text()[-3000:]
    assert calm.wait() == 0, (runs / "calm.log").read_text()[-3000:]
    return report(runs, killed, per_epoch, time.monotonic() - begun, hits)


if __name__ == "__main__":
    sys.exit(main())
