"""`python -m tests.trainer.mirror.lives`: mirrors of one run that are killed one after the other, and what came of it.

A process of its own, since loggers warn, start threads and take seconds to import: they are imported once, and each
life is a fork. A life logs more steps, hands them on, and is killed (SIGKILL) by itself at a chosen call.
"""

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.trainer.export.filled import step_row
from tests.trainer.mirror.reading import held, told
from trainer.export.event_writer import EventWriter
from trainer.mirror import follow, to_tensorboard
from trainer.mirror.mark import only_mirror
from trainer.mirror.names import LOGGERS
from trainer.mirror.sink import Sink
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

STEPS_A_LIFE = 7


def main() -> None:
    """Live, and print what the logger has in the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("runs", type=Path)
    parser.add_argument("run")
    parser.add_argument("--killed-at", type=int, nargs="*", default=[], help="calls of write, a life each; 0: the end")
    parser.add_argument("--forgetful", action="store_true", help="the negative control: only marks are believed")
    options = parser.parse_args()
    importlib.import_module(LOGGERS[options.name].package)
    if options.name == "mlflow":
        importlib.import_module("mlflow.tracking")
    codes = [_life(options, killed_at) for killed_at in [*options.killed_at, None]]
    found = _forked(lambda: print(json.dumps(_read(options)), flush=True))
    assert found == 0
    sys.stderr.write(f"{codes}\n")
    wanted = [-signal.SIGKILL] * len(options.killed_at) + [0]
    os._exit(0 if codes == wanted else 1)


def _read(options: argparse.Namespace) -> dict[str, Any]:
    values = held(options.name, options.runs, options.run)
    about = {} if options.name == "tensorboard" else told(options.name, options.runs, options.run)
    return {"held": values, "told": about}


def _life(options: argparse.Namespace, killed_at: int | None) -> int:
    def live() -> None:
        os.dup2(2, 1)
        with closing(RunStore.open(options.runs)) as store:
            after = store.last_step(options.run)
            store.append(options.run, [step_row(after + number) for number in range(1, STEPS_A_LIFE + 1)])
            store.put_metrics(options.run, after + STEPS_A_LIFE, {"rank_z": after / 7, "z_std": 0.25})
        if options.forgetful:
            _forget()
        if killed_at is not None:
            _kill_at(killed_at)
        with closing(StoreReader.open(options.runs)) as reader:
            mirror = follow.Mirror(
                reader, options.run, options.name, tell=lambda *_: None, asked=follow.Asked(), is_logged=True
            )
            with only_mirror(options.runs, options.run, options.name):
                code = mirror.run(until_end=False)
        follow.leave(code)

    return _forked(live)


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            sys.stdout.flush()
            os._exit(1 if sys.exc_info()[0] else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_at(call: int) -> None:
    """Be killed once the n-th page was handed on, or once all were, and before a mark says so."""
    make = follow.make_sink
    calls = [0]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def made(name: str) -> Sink:
        sink = make(name)
        write, flush = sink.write, sink.flush

        def counted(points: Any) -> None:
            write(points)
            calls[0] += 1
            if calls[0] == call:
                flush()
                die()

        sink.write = counted  # type: ignore[method-assign]
        if call == 0:
            sink.sync = lambda _mark: die() if calls[0] else None  # type: ignore[method-assign]
        return sink

    follow.make_sink = made


def _forget() -> None:
    """Believe the mark alone, which tells nothing of what was handed on after it."""
    make = follow.make_sink

    def made(name: str) -> Sink:
        sink = make(name)
        opened = sink.open

        def open_(about: Any, mark: Any) -> Any:
            opened(about, mark)
            return dict(mark.reached)

        sink.open = open_  # type: ignore[method-assign]
        sink.has = lambda _point: False  # type: ignore[method-assign]
        return sink

    follow.make_sink = made
    vars(to_tensorboard).update(_cut=lambda _folder, own: bool(own), _set_aside=lambda *_: None)
    EventWriter.restart = lambda *_: None  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
