"""Kill -9 and resume on this very machine: a tiny run that is killed again and again must equal one that never was.

It starts the real trainer, `python -m trainer.run`, in a runs folder of its own. A warm-up measures how long a step
takes here, so that the run is long enough to be killed at spread instants and short enough to be waited for. One kill
comes right after a resume, before the run has got anywhere new, and one of its lives has another number of workers.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from trainer.addresses import NOTIFY_VARIABLE
from trainer.errors import TrainerError
from trainer.manifest import BadManifestError, manifest_paths, read_manifest
from trainer.paths import make_runs_dir, run_dir, store_file
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.torture_compare import compare, replayed
from trainer.torture_outcome import Kill, Outcome

TRAINING_SECONDS = 12.0
"""How long the run trains at least where it is left alone."""

_SECONDS_A_KILL = 2.4
"""A checkpoint comes every 1.5 s and a commit every second; a life must be long enough for both to be seen."""

_SETTINGS = {
    "--dataset": "shapes",
    "--limit-per-class": "12",
    "--limit-test-per-class": "4",
    "--image-size": "16",
    "--backbone": "resnet-narrow",
    "--head-width": "32",
    "--projection-size": "16",
    "--batch-size": "20",
    "--learning-rate": "1e-3",
    "--knn-every": "0",
    "--validate-every": "0",
    "--health-every": "0",
    "--num-workers": "0",
    "--checkpoint-seconds": "1.5",
}
_STEPS_PER_EPOCH = 6
_WARM_UP_EPOCHS = 3
_OTHER_WORKERS = "2"
_FEWEST_EPOCHS, _MOST_EPOCHS = 6, 800
_DELAY_SECONDS = 0.8
"""The longest wait between seeing a step and killing: kills must not all come just after a commit."""

_PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.02


class Process(Protocol):
    """A trainer that was started."""

    def poll(self) -> int | None:
        """Its exit code, or None while it lives."""
        ...

    def kill(self) -> None:
        """kill -9, waiting until it is gone."""
        ...


class Killable:
    """A real trainer in a process of its own."""

    def __init__(self, runs: Path, arguments: Sequence[str]) -> None:
        """Starts it; what it prints goes to a file in the runs folder."""
        with (runs / "torture.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer.run", "--runs-dir", str(runs), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {NOTIFY_VARIABLE: "off"},  # a person must not be told of these kills
            )

    def poll(self) -> int | None:
        """Its exit code, or None while it lives."""
        return self._process.poll()

    def kill(self) -> None:
        """kill -9, waiting until it is gone."""
        self._process.kill()
        self._process.wait()


Start = Callable[[Path, Sequence[str]], Process]


def torture(
    runs: Path,
    *,
    kills: int = 5,
    device: str = "auto",
    training_seconds: float = TRAINING_SECONDS,
    start: Start = Killable,
    draw: random.Random | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run undisturbed, run again with kills, and compare.

    Args:
        runs: a folder of its own.
        kills: how many.
        device: as of --device.
        training_seconds: how long the run trains at least where it is left alone.
        start: what starts a trainer.
        draw: of the instants.
        tell: takes a sentence after each part.

    Raises:
        TrainerError: a trainer failed by itself.
    """
    make_runs_dir(runs)
    draw, outcome = draw or random.Random(), Outcome()
    settings = [word for pair in (_SETTINGS | {"--device": device}).items() for word in pair] + ["--no-evaluate-at-end"]
    epochs = _fitting_epochs(runs, start, settings, max(training_seconds, _SECONDS_A_KILL * kills))
    settings += ["--epochs", str(epochs)]
    begun = time.monotonic()
    calm = _start_and_wait(runs, start, [*settings, "--name", "undisturbed"])
    outcome.steps, outcome.device = calm.step or 0, calm.device or ""
    tell(f"undisturbed: {outcome.steps} steps on {outcome.device} in {time.monotonic() - begun:.0f} s")
    for kill in _kill_again_and_again(runs, start, settings, kills, outcome.steps, draw):
        outcome.kills.append(kill)
        tell(kill.words())
    killed = _start_and_wait(runs, start, ["--run", _run(runs, "killed").id])
    outcome.comparison = compare(runs, calm.id, killed.id)
    outcome.replayed, outcome.identical = replayed(runs, killed.id)
    doubts = [run.exactness for run in (calm, killed) if run.exactness not in (None, "promised")]
    outcome.exactness = str(doubts[0]) if doubts else "promised"
    return outcome


def _fitting_epochs(runs: Path, start: Start, settings: Sequence[str], wanted_seconds: float) -> int:
    """Epochs that take about so long here."""
    words = [*settings, "--epochs", str(_WARM_UP_EPOCHS), "--name", "warm-up"]
    run = _start_and_wait(runs, start, words)
    with closing(StoreReader.open(runs)) as reader:
        # The first epoch has the allocations and the choice of kernels in it.
        rows: list[float] = [row["t_data"] + row["t_batch"] for row in reader.steps(run.id, after=_STEPS_PER_EPOCH)]
    seconds = sum(rows) / max(1, len(rows)) * _STEPS_PER_EPOCH
    return max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, round(wanted_seconds / max(seconds, 1e-4))))


def _start_and_wait(runs: Path, start: Start, words: Sequence[str]) -> Run:
    """Let a trainer run to its end; the newest run, or the one that it went on with.

    Raises:
        TrainerError: it failed.
    """
    process = start(runs, words)
    try:
        _wait(lambda: process.poll() is not None, process)
        _see_that_it_went_well(runs, process)
    finally:
        if process.poll() is None:
            process.kill()
    return _run(runs, words[words.index("--run") + 1] if "--run" in words else words[words.index("--name") + 1])


def _see_that_it_went_well(runs: Path, process: Process) -> None:
    code = process.poll()
    if code:
        log = runs / "torture.log"
        said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        raise TrainerError(f"a trainer failed by itself with exit code {code} ({''.join(said)[:300]}); look into {log}")


def _kill_again_and_again(
    runs: Path, start: Start, settings: Sequence[str], kills: int, steps: int, draw: random.Random
) -> Iterator[Kill]:
    """Start, kill, resume, kill …; the last life is left to the caller."""
    after_resume = 2 if kills > 1 else 0
    workers, words, base = "0", [*settings, "--name", "killed"], 0
    for number in range(1, kills + 1):
        is_early = number == after_resume
        # Each kill is further on than the one before, so that the run gets on whatever the instants are.
        goal = 0 if is_early else max(base + 1, steps * number // (kills + 1))
        seen = _newest_event(runs)
        process = start(runs, words)
        try:
            _wait(partial(_has_come, runs, seen=seen, base=base, goal=goal), process)
            time.sleep(0.0 if is_early else draw.uniform(0.0, _DELAY_SECONDS))
        finally:
            finished = process.poll() is not None
            process.kill()
        if finished:
            _see_that_it_went_well(runs, process)
        run = _run(runs, "killed")
        base = _newest_checkpoint(runs, run.id)
        yield Kill(
            number=number,
            landed=not finished,
            step=run.step or 0,
            checkpoint=base,
            right_after_resume=is_early,
            workers=workers,
        )
        words = ["--run", run.id]
        if workers == "0" and number >= max(1, kills - 1):
            words += ["--num-workers", _OTHER_WORKERS]
            workers = _OTHER_WORKERS


def _has_come(runs: Path, *, seen: int, base: int, goal: int) -> bool:
    """Whether the run to be killed has begun this life's training, and has reached a step.

    Args:
        runs: the folder.
        seen: the newest event of the life before.
        base: the step of the checkpoint that it goes on from, 0 where it begins anew.
        goal: the step.
    """
    try:
        with closing(StoreReader.open(runs)) as reader:
            run = reader.find("killed")
            kinds = {event.kind for event in reader.events(run_id=run.id, after=seen)}
    except TrainerError:  # being made
        return False
    begun = "resumed-from" in kinds if base else kinds & {"started", "resumed"}
    return bool(begun) and (run.step or 0) >= goal


def _newest_event(runs: Path) -> int:
    """The id of the newest event, so that those of a new life can be told from those before."""
    if not store_file(runs).exists():
        return 0
    with closing(StoreReader.open(runs)) as reader:
        newest = reader.events(limit=1)
        return newest[-1].id if newest else 0


def _wait(condition: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition() and process.poll() is None:
        if time.monotonic() > deadline:
            raise TrainerError(f"a trainer got nowhere in {_PATIENCE_SECONDS:.0f} s; choose another --device")
        time.sleep(_POLL_SECONDS)


def _run(runs: Path, name: str) -> Run:
    with closing(StoreReader.open(runs)) as reader:
        return reader.find(name)


def _newest_checkpoint(runs: Path, run_id: str) -> int:
    for path in manifest_paths(run_dir(runs, run_id)):
        try:
            return read_manifest(path).step
        except (BadManifestError, FileNotFoundError):
            continue
    return 0
