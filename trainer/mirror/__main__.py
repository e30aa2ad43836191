"""`python -m trainer.mirror`: hand one run to one logger, while it goes on or afterwards."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType
from typing import TextIO

from trainer.entry import answer
from trainer.errors import BusyError, ExitCode, TrainerError, UsageError
from trainer.mirror.follow import POLL_SECONDS, Asked, Mirror, leave
from trainer.mirror.mark import only_mirror
from trainer.mirror.names import LOGGERS, check_installed
from trainer.options import OptionParser
from trainer.paths import check_runs_dir, runs_dir
from trainer.store.reader import StoreReader
from trainer.store.records import COMPARED_KINDS, Run

GRACE_SECONDS = 20.0
"""A mirror that a trainer started, and that is asked to end, gives the trainer so long to end first: batch systems send
SIGTERM to all processes of a job at once, and what the trainer writes then should get out too."""

_EARLIER_SECONDS = 400.0
"""That the mirror of an earlier trainer is waited for once the run has ended: its logger may take its time for the end,
and it tries three times."""

_NICE = 10
_BUSY_SECONDS = 5.0
_CODES = {signal.SIGINT: ExitCode.SIGINT, signal.SIGTERM: ExitCode.SIGTERM}


def main(arguments: Sequence[str] | None = None) -> int:
    """Mirror one run to one logger; the exit code."""
    options = _parser().parse_args(arguments)

    def work() -> int:
        runs = runs_dir(options.runs_dir)
        check_runs_dir(runs)
        with closing(StoreReader.open(runs)) as reader:
            run = reader.find(options.run)
            if run.kind not in COMPARED_KINDS:
                raise UsageError(f"{run.name} is of kind {run.kind}, which has no curves; name a run that trains")
            check_installed(options.to, option="--to")
            if options.beside_trainer:
                return _beside_trainer(reader, run, options.to)
            return _by_hand(reader, run, options.to, follow=options.follow)

    return answer(work)


def _by_hand(reader: StoreReader, run: Run, name: str, *, follow: bool) -> int:
    came: list[int] = []
    asked = Asked()

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        asked.end.set()

    mirror = Mirror(reader, run.id, name, tell=_say, asked=asked, is_logged=False)
    with only_mirror(reader.runs_path, run.id, name):
        for number in _CODES:
            signal.signal(number, end)
        code = mirror.run(until_end=follow)
    points = f"{mirror.handed_on:,} points" if mirror.handed_on != 1 else "1 point"
    title = LOGGERS[name].title
    if came:
        _print(f"{points} of {run.name} handed on to {title}; the same command goes on", sys.stdout)
        return int(_CODES[signal.Signals(came[0])])
    if code == ExitCode.FINISHED:
        _print(f"{run.name} is in {title} ({points} handed on): {mirror.where}", sys.stdout)
    return code


def _say(_level: str, sentence: str) -> None:
    _print(f"simclr-tui: {sentence}", sys.stderr)


def _beside_trainer(reader: StoreReader, run: Run, name: str) -> int:
    asked = Asked()

    def end(_number: int, _frame: FrameType | None) -> None:
        timer = threading.Timer(GRACE_SECONDS, asked.end.set)
        timer.daemon = True
        timer.start()

    for number in _CODES:
        signal.signal(number, end)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    runs = reader.runs_path

    def tell(level: str, sentence: str) -> None:
        _record(runs, run.id, level, sentence)

    mirror = Mirror(reader, run.id, name, tell=tell, asked=asked, is_logged=True)
    looks = 0
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(only_mirror(runs, run.id, name))
                break
            except BusyError:  # the one of the trainer before, which may have read for the last time
                looks = 0 if mirror.is_live() else looks + 1
                if asked.end.wait(POLL_SECONDS) or looks * POLL_SECONDS > _EARLIER_SECONDS:
                    return ExitCode.FINISHED
        return mirror.run(until_end=True)


def _record(runs: Path, run_id: str, level: str, sentence: str) -> None:
    """Write an event; a store that can't be written has its own troubles, and the log has the sentence."""
    _print(sentence, sys.stderr)
    # Imported here, since a mirror that meets no trouble writes nothing.
    from trainer.store.runs import RunStore

    with contextlib.suppress(TrainerError), closing(RunStore.open(runs)) as store:
        store.wait_at_most(_BUSY_SECONDS)
        store.event(run_id, "mirror", sentence, level=level)


def _print(text: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError):
        print(text, file=stream, flush=True)


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="python -m trainer.mirror",
        description="Hand every figure of a run to a logger that has not got it yet, by the logger's own client.",
    )
    parser.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    parser.add_argument("--run", metavar="RUN", required=True, help="id, beginning of the id, or name")
    parser.add_argument("--to", metavar="LOGGER", required=True, choices=tuple(LOGGERS), help=", ".join(LOGGERS))
    parser.add_argument("--follow", action="store_true", help="go on until the run has ended")
    parser.add_argument(
        "--beside-trainer",
        action="store_true",
        help="how a trainer starts it: follow, give way to training, and record troubles as events of the run",
    )
    return parser


if __name__ == "__main__":
    leave(main())
