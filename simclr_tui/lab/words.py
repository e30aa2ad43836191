"""A benchmark in words: what runs and when it ends, how a trial compares, what is beside the figures. Pure."""

from simclr_tui.format import UNKNOWN, duration, moment, number
from simclr_tui.lab.bench import Bench, Line
from trainer.lab.statistics import Interval, no_difference
from trainer.state import LIVE_STATES

NOTES_REMARK = (
    "The notes do not name their machine. They read the clock without waiting for the device, so that their t_batch is "
    "mostly launch time; their second t_batch is about twice the first in every row, the mark of a sum that was not "
    "reset. Only t_epoch can be compared."
)


def turn_words(bench: Bench) -> str:
    """Which trial is being measured in which round."""
    line = bench.under_way
    if line is None:
        return ""
    done, planned = bench.progress.done, bench.progress.planned
    what = "warming up" if line.result is None else f"round {bench.progress.round} of {bench.rounds}"
    return f"trial {line.trial.number} of {len(bench.lines)}, {what} · turn {done + 1} of {planned}"


def end_words(bench: Bench, now: float) -> str:
    """When it ends."""
    at = bench.ends_at
    if at is None:
        return "end known after its first round"
    return f"ends {moment(at, now)} (in {duration(max(0.0, at - now))})"


def status_words(bench: Bench, state: str, now: float) -> str:
    """What a benchmark is at, in a line."""
    turn = turn_words(bench)
    if state in LIVE_STATES:
        words = [turn, end_words(bench, now)] if turn else ["about to end"]
    elif state == "finished":
        words = [
            f"{len(bench.lines)} trials, {bench.progress.done} turns",
            f"ended {moment(bench.run.lifecycle_at, now)}",
        ]
    else:
        left = bench.progress.seconds_left
        words = [f"next {turn}" if turn else "", f"{duration(left)} left" if left else ""]
    return " · ".join([state, *filter(None, words)])


def ratio_words(line: Line) -> str:
    """How a trial's time per image compares with that of the current settings."""
    if line.is_current:
        return line.reference
    if line.error or line.result is None or not line.result.costs:
        return UNKNOWN
    if line.to_current is None:
        return "left out early" if line.dropped else "too few rounds yet"
    return interval_words(line.to_current)


def interval_words(interval: Interval) -> str:
    """A ratio of times with its interval, or that no difference was found."""
    if interval.includes_one:
        return no_difference(interval)
    return f"{interval.median:.2f} ({interval.low:.2f}–{interval.high:.2f})"


def pair(line: Line, figure: str, factor: float = 1.0) -> str:
    """The medians of a figure of epoch 1 and of the next one."""
    values = [line.median(figure), line.median(f"{figure}_next")]
    if values == [None, None]:
        return UNKNOWN
    return " / ".join(number(None if value is None else value * factor) for value in values)


def steps_words(bench: Bench) -> str:
    """How much of an epoch was measured."""
    taken = sorted({line.result.steps for line in bench.lines if line.result and line.result.steps})
    if not taken:
        return ""
    if not bench.config.steps:
        return "Each round takes two whole epochs of a trial."
    counts = str(taken[0]) if taken[0] == taken[-1] else f"{taken[0]} to {taken[-1]}"
    return f"Each round takes {counts} steps of two epochs of a trial; t_epoch is that of a whole epoch at their pace."


def troubles(bench: Bench) -> list[str]:
    """The trials that failed or were left out early, and rounds that do not count, each with its reason."""
    said = []
    for line in bench.lines:
        name = f"{line.trial.number} {line.trial.name}"
        if line.error:
            said.append(f"✗ {name}: {line.error}")
        elif line.dropped:
            said.append(f"– {name}: {line.dropped}")
        for round_, reason in line.result.dropped if line.result else ():
            said.append(f"– {name}, round {round_} does not count: {reason}")
    return said
