"""A benchmark for scripts: all figures with their spreads and intervals, the verdict, what it recommends. Pure."""

import dataclasses
from typing import Any

from simclr_tui.lab.bench import Bench, Line
from simclr_tui.lab.words import NOTES_REMARK
from trainer.lab.statistics import Interval


def document(bench: Bench) -> dict[str, Any]:
    """What `--json` prints of a benchmark beside its row."""
    verdict = bench.verdict
    return {
        "scale": bench.config.scale,
        "scale_words": bench.scale_words,
        "machine": bench.machine,
        "rounds": bench.rounds,
        "progress": dataclasses.asdict(bench.progress),
        "notes_remark": NOTES_REMARK if bench.config.preset == "notes" else None,
        "trials": [_trial(line) for line in bench.lines],
        "verdict": {
            "is_final": verdict.is_final,
            "text": bench.said,
            "sentences": verdict.sentences,
            "best": verdict.best.number if verdict.best else None,
        },
        "apply": bench.apply,
        "fork": bench.fork,
    }


def _trial(line: Line) -> dict[str, Any]:
    trial, result = line.trial, line.result
    return {
        "trial": trial.number,
        "name": trial.name,
        "settings": trial.settings,
        "same": trial.same,
        "is_current": line.is_current,
        "is_best": line.is_best,
        "rounds": list(result.rounds) if result else [],
        "steps": result.steps if result else None,
        "figures": {name: dataclasses.asdict(one) for name, one in result.spreads.items()} if result else {},
        "warmup_seconds": result.warmup_seconds if result else None,
        "host_memory_bytes": result.host_memory_bytes if result else None,
        "device_memory_bytes": result.device_memory_bytes if result else None,
        "time_over_current": _interval(line.to_current),
        "time_over_best": _interval(line.to_best),
        "error": line.error or None,
        "left_out": line.dropped or None,
        "dropped_rounds": [{"round": number, "reason": reason} for number, reason in result.dropped] if result else [],
        "notes": _notes(line),
    }


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else dataclasses.asdict(interval) | {"no_difference_found": interval.includes_one}


def _notes(line: Line) -> dict[str, Any] | None:
    """The notes' own figures."""
    note = line.trial.note
    if note is None:
        return None
    names = ("section", "t_batch", "t_batch_next", "t_epoch", "t_epoch_next", "remark")
    return {name: getattr(note, name) for name in names}
