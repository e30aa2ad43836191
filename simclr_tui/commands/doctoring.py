"""`doctor`: what is well and what is not, and the ways back from what is not."""

import argparse
import dataclasses
import shutil
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import one_line, say, say_json
from trainer.doctor import LEVELS, Check, Depth, examine
from trainer.doctor.check import plural
from trainer.errors import ConfigError, ExitCode, TrainerError, UsageError

SIGNS: Mapping[str, str] = {"ok": "✓", "warn": "!", "bad": "✗", "unknown": "?"}
_NAME_CELLS = 16
_INDENT = 15 + _NAME_CELLS
"""Cells before what was seen: sign, level and name."""
_NARROWEST = 30
_PASSED_OVER_SHOWN = 20
_MOST_KILLS = 1000


def doctor(options: argparse.Namespace, runs: Path) -> int:
    """Examine, or do what was asked for; 0 if nothing is bad, 1 if something is."""
    if not options.torture:
        for name in ("kills", "device"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} belongs to --torture; give both, or leave it out")
        if options.keep:
            raise UsageError("--keep belongs to --torture; give both, or leave it out")
    if options.rebuild:
        return _rebuild(runs, as_json=options.json)
    if options.restore:
        return _restore(runs, as_json=options.json)
    if options.torture:
        return _torture(options)
    depth: Depth = "sizes" if options.quick else "all" if options.all_checkpoints else "newest"
    return _examine(runs, depth, as_json=options.json)


def _examine(runs: Path, depth: Depth, *, as_json: bool) -> int:
    found: list[tuple[str, Check]] = []
    group = ""
    for one in examine(runs, depth=depth):
        found.append(one)
        if as_json:
            continue
        if one[0] != group:
            group = one[0]
            say(group if len(found) == 1 else f"\n{group}")
        _say_check(one[1])
    levels: Counter[str] = Counter(check.level for _, check in found)
    if as_json:
        say_json(_document(runs, found, levels))
    else:
        say(f"\n{_summary(levels)}")
    return ExitCode.FAILED if levels["bad"] else ExitCode.FINISHED


def _say_check(check: Check) -> None:
    _say_wrapped(f"  {SIGNS[check.level]} {check.level:<7}  {check.name:<{_NAME_CELLS}}  ", one_line(check.seen))
    if check.remedy:
        _say_wrapped(" " * (_INDENT - 2) + "→ ", one_line(check.remedy))


def _say_wrapped(beginning: str, text: str) -> None:
    """A line, on a terminal broken between words to its width; scripts get it whole."""
    if not sys.stdout.isatty():
        say(beginning + text)
        return
    width = max(_INDENT + _NARROWEST, shutil.get_terminal_size().columns)
    say(textwrap.fill(text, width, initial_indent=beginning, subsequent_indent=" " * _INDENT, break_long_words=False))


def _summary(levels: Mapping[str, int]) -> str:
    words = f"{levels['ok']} ok, {levels['warn']} to know, {levels['bad']} bad, {levels['unknown']} unknown"
    if levels["bad"]:
        return f"✗ bad: {words}"
    return f"! nothing is bad: {words}" if levels["warn"] or levels["unknown"] else f"✓ all is well: {words}"


def _document(runs: Path, found: list[tuple[str, Check]], levels: Mapping[str, int]) -> dict[str, Any]:
    return {
        "runs_dir": str(runs),
        "ok": not levels["bad"],
        "summary": {level: levels[level] for level in LEVELS},
        "checks": [{"group": group, **dataclasses.asdict(check)} for group, check in found],
    }


def _rebuild(runs: Path, *, as_json: bool) -> int:
    from trainer.rebuild import Rebuilt, rebuild

    result: Rebuilt = rebuild(runs)
    if as_json:
        say_json(_rebuilt_json(result))
    else:
        _say_rebuilt(result)
    return ExitCode.FINISHED


def _rebuilt_json(result: Any) -> dict[str, Any]:
    return {
        "runs": result.runs,
        "checkpoints": result.checkpoints,
        "carried": result.carried,
        "set_aside": None if result.set_aside is None else str(result.set_aside),
        "passed_over": result.passed_over,
    }


def _say_rebuilt(result: Any) -> None:
    if result.set_aside is not None:
        carried = sum(result.carried.values())
        say(f"the damaged store was set aside as {result.set_aside}; {carried:,} rows of it could be read and are kept")
    if result.runs or result.checkpoints:
        say(f"added {_added(result)}" + (f": {', '.join(result.runs)}" if result.runs else ""))
        say("`simclr-tui ls` lists them, and `simclr-tui resume ID` goes on with one")
    elif result.set_aside is None:
        say("the store lacks nothing that lies on the disk")
    for sentence in result.passed_over[:_PASSED_OVER_SHOWN]:
        say(f"! passed over: {one_line(sentence)}")
    if len(result.passed_over) > _PASSED_OVER_SHOWN:
        say(f"! and {len(result.passed_over) - _PASSED_OVER_SHOWN} more")


def _added(result: Any) -> str:
    return f"{plural(len(result.runs), 'run')} and {plural(result.checkpoints, 'checkpoint')}"


def _restore(runs: Path, *, as_json: bool) -> int:
    from trainer.rebuild import restore

    backup, result = restore(runs)
    if as_json:
        say_json({"backup": str(backup.path), "at": backup.at, **_rebuilt_json(result)})
        return ExitCode.FINISHED
    say(f"{backup.path} is the store again")
    if result.set_aside is not None:
        say(f"what lay in its place was set aside as {result.set_aside}")
    if result.runs or result.checkpoints:
        say(f"added {_added(result)} that the backup did not know")
    for sentence in result.passed_over[:_PASSED_OVER_SHOWN]:
        say(f"! passed over: {one_line(sentence)}")
    return ExitCode.FINISHED


def _torture(options: argparse.Namespace) -> int:
    from trainer.config import check_device
    from trainer.torture import torture

    kills = 5 if options.kills is None else options.kills
    if not 1 <= kills <= _MOST_KILLS:
        raise ConfigError("kills", f"{kills} is out of bounds; give 1 to {_MOST_KILLS}")
    device = options.device or "auto"
    check_device(device)
    folder = Path(tempfile.mkdtemp(prefix="simclr-tui-torture-"))
    is_good = False
    try:
        if not options.json:
            say(f"a tiny run, left alone once and killed {kills} times, in {folder}; this takes a minute or two")
        outcome = torture(folder, kills=kills, device=device, tell=(lambda _: None) if options.json else say)
        is_good = outcome.is_good
        if options.json:
            say_json(outcome.to_json() | {"folder": str(folder) if options.keep or not is_good else None})
        else:
            _say_outcome(outcome)
    except TrainerError as error:
        raise TrainerError(f"{error}; {folder} is kept") from error
    except KeyboardInterrupt:
        is_good = True  # nothing has failed, and nobody asked to keep it
        raise
    finally:
        if is_good and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        elif not options.json:
            say(f"{folder} is kept")
    return ExitCode.FINISHED if is_good else ExitCode.FAILED


def _say_outcome(outcome: Any) -> None:
    if not outcome.is_promised:
        say(f"! equal bits are not promised here ({outcome.exactness}), so the losses need only be close")
    for line in outcome.comparison.differences[:10] if outcome.is_promised else ():
        say(f"✗ {line}")
    sign = "✓" if outcome.is_good else "✗"
    say(f"{sign} {outcome.summary()} ({outcome.comparison.compared:,} figures and tensors compared)")
