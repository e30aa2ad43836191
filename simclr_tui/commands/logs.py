"""`log`: the end of what a run's trainers printed, searched or followed."""

import argparse
import sys
import time
from pathlib import Path

from simclr_tui.commands.output import open_reader, say, say_json
from simclr_tui.run.log_tail import MOST_LINES, LogFollower, LogTail, found, level_of
from trainer.errors import ExitCode, UsageError
from trainer.paths import log_file

_MOST_LINES = 100_000
_FOLLOW_SECONDS = 0.5


def show_log(options: argparse.Namespace, runs: Path) -> int:
    """Print the last lines of a run's log, and go on with those that are added if that is asked.

    Raises:
        UsageError: there is no log, or it can't be read, or the options make no sense.
    """
    if not 1 <= options.lines <= _MOST_LINES:
        raise UsageError(f"--lines: {options.lines} can't be shown; give 1 to {_MOST_LINES:,}")
    if options.follow and options.json:
        raise UsageError("--json: one document has an end, and --follow has none; leave one of them out")
    with open_reader(runs) as reader:
        run = reader.find(options.run)
    most = _MOST_LINES if options.grep else max(options.lines, MOST_LINES)
    follower = LogFollower(log_file(runs, run.id), most)
    tail = follower.read() or LogTail()
    if tail.problem and not options.follow:
        raise UsageError(f"{run.name}: {tail.problem}")
    lines = _chosen(tail, options)
    if options.json:
        say_json({"id": run.id, "name": run.name, "lines": [{"level": level_of(one), "text": one} for one in lines]})
        return ExitCode.FINISHED
    for line in lines:
        say(line)
    if not lines:
        reason = f"{options.grep} is not in it" if options.grep else "it is empty so far"
        print(f"simclr-tui: the log of {run.name}: {reason}", file=sys.stderr)  # noqa: T201
    if options.follow:
        _follow(follower, tail, options)
    return ExitCode.FINISHED


def _chosen(tail: LogTail, options: argparse.Namespace) -> list[str]:
    lines = list(tail.lines)
    if options.grep:
        lines = [lines[number] for number in found(lines, options.grep)]
    return lines[-options.lines :]


def _follow(follower: LogFollower, tail: LogTail, options: argparse.Namespace) -> None:
    """Print lines as they are added, at once also into a pipe; one that has not ended yet waits for its end."""
    sys.stdout.flush()
    while True:
        time.sleep(_FOLLOW_SECONDS)
        fresh = follower.read()
        if fresh is None:
            continue
        printed = tail.ended
        if fresh.note != tail.note or fresh.ended < printed:
            say(f"· {fresh.note}")
            printed = 0
        lines = fresh.ended_lines
        for line in lines[len(lines) - min(len(lines), fresh.ended - printed) :]:
            if not options.grep or found([line], options.grep):
                say(line)
        sys.stdout.flush()
        tail = fresh
