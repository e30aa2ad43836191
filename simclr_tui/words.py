"""A run in words: where it is, when it ends, what it is. Pure."""

from collections.abc import Mapping

from simclr_tui.format import UNKNOWN, clock, duration, moment
from simclr_tui.keys import key
from simclr_tui.model import Curves, RunRow, Turn, setting
from simclr_tui.objective import method_of
from simclr_tui.theme import MUTED
from trainer.store.records import SUBMITTED, TRAINED_KINDS, Run
from trainer.stored_settings import settings_of

Part = str | tuple[str, str]
"""Text, or text with a style of the theme."""

STATE_STYLES = {
    "queued": MUTED,
    "starting": "$primary",
    "running": "$success",
    "pausing": "$warning",
    "paused": "$warning",
    "stopping": "$warning",
    "stopped": MUTED,
    "finished": "$primary",
    "failed": "$error",
    "interrupted": "$error",
    "stalled": "$error",
}
_NEXT = {
    "queued": "starts it",
    "paused": "resumes it",
    "stopped": "resumes it",
    "interrupted": "resumes it",
    "failed": "tries again",
}
_HEARTBEAT_SECONDS = 10.0
"""A process that holds its run and gave none for so long can't write its store, or is stuck as a whole."""

_NO_END = "end known after its first epoch"

_DOING: Mapping[str, Part] = {
    "loading": "loading images",
    "starting workers": "starting workers",
    "evaluating": "evaluating",
    "saving": "saving",
    "waiting": ("waits for space on the disk", "bold $error"),
}
"""What a trainer is at (`runs.phase`), where the state of its run does not say so."""

_TELLING = {
    "dataset": "",
    "backbone": "",
    "batch_size": "batch ",
    "temperature": "T ",
    "learning_rate": "lr ",
    "seed": "seed ",
}
"""The settings that tell what a run is, with what is written before them."""


def status_line(row: RunRow, curves: Curves, now: float) -> list[Part]:
    """State, epoch, and when it ends or what to do next."""
    parts: list[Part] = [(row.state, f"bold {STATE_STYLES[row.state]}")]
    if row.turn is not None:
        parts += [" · ", turn_words(row.turn)]
    elif row.run.lifecycle == SUBMITTED:
        parts += [" · ", ("in Slurm's queue, starts by itself", "bold")]
    elif row.state in _NEXT:
        parts += [" · ", (f"{key('r', 'run.resume')} {_NEXT[row.state]}", "bold")]
    doing = _doing(row)
    if doing is not None:
        parts += [" · ", doing]
    if row.run.epoch is not None:
        parts.append(f" · epoch {row.run.epoch}/{row.total_epochs or UNKNOWN}")
    if row.state == "stalled":
        parts.append(f" · {stall_words(row, now)}")
    elif row.is_live and row.state != "starting":
        end = end_words(row, curves, now)
        parts.append("" if end == doing or (doing and end == _NO_END) else f" · {end}")
    elif row.state in _NEXT:
        left = curves.seconds_left(row.run)
        parts.append(f" · {duration(left)} left" if left else "")
    elif row.state == "finished":
        parts.append(f" · {moment(row.run.lifecycle_at, now)}")
        if row.run.trained_seconds:
            did = "measured" if row.run.kind == "benchmark" else "trained"
            parts.append(f", {did} {duration(row.run.trained_seconds)}")
    return parts


def _doing(row: RunRow) -> Part | None:
    """What a live trainer is at, where that is worth saying; before it has begun the store has that of the last one."""
    has_begun = row.is_live and row.run.lifecycle in ("started", "resumed")
    return _DOING.get(row.run.phase or "") if has_begun and row.state != "stalled" else None


def stall_words(row: RunRow, now: float) -> str:
    """Why a live run counts as stalled, and what is known of its process."""
    run = row.run
    silent = duration(max(0.0, now - max(run.progress_at or 0.0, run.lifecycle_at)))
    at = f" while {run.phase}" if run.phase else ""
    words = f"no progress for {silent}{at}"
    if row.is_stopped:
        return f"{words}, its process is stopped: kill -CONT {run.pid} lets it go on"
    is_mute = run.alive_at is not None and now - max(run.alive_at, run.lifecycle_at) > _HEARTBEAT_SECONDS
    return f"{words}, and no sign of life in the store: look whether the disk is full" if is_mute else words


def checkpoint_words(curves: Curves, now: float) -> str:
    """That checkpoints can't be written, as long as they can't; else nothing."""
    failure = curves.checkpoint_failure
    if failure is None:
        return ""
    age = f"the newest is {duration(now - curves.checkpoints[0].at)} old" if curves.checkpoints else "there is none"
    return f"✗ checkpoints can't be written, {age} · {failure.message}"


def is_inexact(run: Run) -> bool:
    """Whether the bits of a run are not promised."""
    return (run.exactness or "").startswith("not promised")


def turn_words(turn: Turn) -> str:
    """Where a waiting run stands, and the key that matters."""
    where = f"number {turn.place} in line for {turn.device}"
    return f"held back as {where}; {key('h', 'line.hold')} releases it" if turn.is_held else where


def end_words(row: RunRow, curves: Curves, now: float) -> str:
    """When a live run ends; nothing is guessed before its first epoch has ended."""
    if row.run.kind in ("evaluate", "benchmark"):
        return f"since {clock(row.run.lifecycle_at)}"
    left = curves.seconds_left(row.run)
    if left is None:
        return _NO_END
    if left <= 0:
        return "evaluating"
    return f"ends {moment(now + left, now)} (in {duration(left)})"


def failure(curves: Curves) -> str:
    """What went wrong last, if the run's last word is an error."""
    errors = [event.message for event in curves.events if event.level == "error"]
    return errors[-1] if errors else ""


def settings_words(row: RunRow) -> str:
    """The settings that say what a run is."""
    if row.run.kind == "benchmark":
        scale = setting(row, "scale", 1.0)
        words = ["benchmark", setting(row, "preset", "") or setting(row, "vary", "") or "the usual settings"]
        return " · ".join([*words, *([f"scale {scale:g}"] if scale != 1 else [])])
    if row.run.kind not in TRAINED_KINDS:
        what = setting(row, "what", "")
        kind = f"{row.run.kind} {what}".rstrip()
        return f"{kind} of run {row.run.source_run_id}" if row.run.source_run_id else kind
    config = settings_of(row.run)
    words = [f"{label}{_short(config[name])}" for name, label in _TELLING.items() if name in config]
    method = method_of(row.run)
    return " · ".join([row.run.preset or "no preset", *([method] if method != "simclr" else []), *words])


def _short(value: object) -> str:
    """A setting without the digits that binary fractions have too many of."""
    return f"{value:g}" if isinstance(value, float) else str(value)
