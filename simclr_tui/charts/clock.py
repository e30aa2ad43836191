"""When each step of a run was taken: by the clock on the wall, and by the time trained. Pure.

Steps carry no time of their own. What the store has are the moments at which a trainer began, was ready, ended an epoch
or gave way, and how long steps took; between two moments the seconds are shared out as the steps took them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from simclr_tui.charts.milestones import BEGUN, ENDED, READY
from trainer.store.records import Event, Run
from trainer.store.series import Point

Seconds = Callable[[float, float], float]
"""How long steps took: those after one step, up to and with another."""


@dataclass(frozen=True, slots=True)
class Knots:
    """A line through points; both coordinates never fall, and where a stands still the line jumps."""

    steps: Sequence[float]
    seconds: Sequence[float]

    def at(self, step: float, share: Seconds) -> float:
        """The seconds of a step, at a jump those before it; beyond either end as long as steps took."""
        steps, seconds = self.steps, self.seconds
        above = bisect_left(steps, step)
        if above == len(steps):
            return seconds[-1] + share(steps[-1], step)
        if above == 0 or steps[above] == step:
            return seconds[above] - share(step, steps[above])
        below = above - 1
        whole = share(steps[below], steps[above])
        part = share(steps[below], step) / whole if whole > 0 else (step - steps[below]) / (steps[above] - steps[below])
        return seconds[below] + min(1.0, part) * (seconds[above] - seconds[below])

    def step_at(self, seconds: float) -> float:
        """The step that was taken last at a time, on a straight line between two points."""
        above = bisect_right(self.seconds, seconds)
        if above == 0 or above == len(self.seconds):
            return self.steps[0 if above == 0 else -1]
        before, after = self.seconds[above - 1], self.seconds[above]
        part = (seconds - before) / (after - before)
        return self.steps[above - 1] + part * (self.steps[above] - self.steps[above - 1])


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which no trainer of the run was at work, or none that got on."""

    step: float
    begin: float
    """Seconds since the start."""
    end: float
    kind: str
    """The event that it began with; empty where the trainer died without a word."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The two times of a run's steps, in seconds since its first start; a fork goes on from its parent's."""

    started_at: float
    """UTC seconds at which wall time is 0."""
    wall_knots: Knots
    trained_knots: Knots
    pauses: tuple[Pause, ...]
    share: Seconds

    def wall(self, step: float) -> float:
        """Seconds from the start to the moment at which a step had first been taken, pauses included."""
        return self.wall_knots.at(step, self.share)

    def trained(self, step: float) -> float:
        """Seconds of training up to a step: no pauses, no start-ups, nothing that was trained twice."""
        return self.trained_knots.at(step, self.share)

    def step_at(self, at: float) -> float:
        """The step that was taken last at a moment in UTC seconds."""
        return self.wall_knots.step_at(at - self.started_at)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fork begins: its parent's times at that step, as the fork counts it."""

    step: float = 0.0
    wall: float = 0.0
    trained: float = 0.0


NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class _Session:
    """One trainer's part of a run."""

    begun_at: float
    first: float
    """The step that it went on after."""
    last: float
    """The last step that had been stored once it was gone; the next one may begin before it."""
    ended_at: float | None
    kind: str
    """The event that it ended with."""


def make_clock(
    run: Run,
    epochs: Sequence[Mapping[str, Any]],
    events: Sequence[Event],
    steps: Mapping[str, Sequence[Point]],
    origin: Origin = NO_ORIGIN,
) -> Clock:
    """The clock of a run from what was read of it.

    Args:
        run: its row.
        epochs: rows of `epochs`.
        events: those of the kinds in MILESTONES at least, oldest first.
        steps: t_batch and t_data as far as they are known.
        origin: where it begins if it is a fork.
    """
    per_epoch = run.steps_per_epoch or 1
    last = float(max([run.step or 0, origin.step, *(points[-1].last_step for points in steps.values() if points)]))
    share = _pace([steps.get(name, ()) for name in ("t_batch", "t_data")], _usual(run, last - origin.step))
    closed = [(float(row["epoch"] * per_epoch), row["at"], row["t_epoch"]) for row in epochs]
    sessions = _sessions(events, origin.step, last)
    started = [event.at for event in events if event.kind in BEGUN][:1] or [at for _, at, _ in closed if at is not None]
    started_at = min(started, default=run.created_at) - origin.wall
    knots, pauses = _wall(sessions, [(step, at) for step, at, _ in closed if at is not None], origin, started_at, share)
    return Clock(started_at, knots, _trained(closed, per_epoch, origin, share), tuple(pauses), share)


def _usual(run: Run, steps: float) -> float:
    """Seconds of a step of which nothing more is known."""
    if run.step_seconds:
        return run.step_seconds
    return (run.trained_seconds or 0.0) / steps if steps > 0 and run.trained_seconds else 1.0


def _pace(series: Sequence[Sequence[Point]], usual: float) -> Seconds:
    """How long steps took, from the means of each series; steps that none has took as long as usual."""
    sums = [_sums(points) for points in series if points]
    if not sums:
        return lambda first, last: (last - first) * usual
    means = [seconds[-1] / (ends[-1] - ends[0]) for ends, seconds in sums]

    def until(step: float) -> float:
        found = 0.0
        for (ends, seconds), mean in zip(sums, means, strict=True):
            above = bisect_left(ends, step)
            if above == 0:
                found += (step - ends[0]) * mean
            elif above == len(ends):
                found += seconds[-1] + (step - ends[-1]) * mean
            else:
                part = (step - ends[above - 1]) / (ends[above] - ends[above - 1])
                found += seconds[above - 1] + part * (seconds[above] - seconds[above - 1])
        return found

    return lambda first, last: until(last) - until(first)


def _sums(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Steps, and the seconds of all up to each of them; steps without a value take as long as the one after them."""
    ends = [float(points[0].first - 1), *(float(point.last_step) for point in points)]
    lengths = [after - before for before, after in pairwise(ends)]
    parts = [max(0.0, point.mean) * length for point, length in zip(points, lengths, strict=True)]
    return ends, [0.0, *accumulate(parts)]


def _sessions(events: Sequence[Event], first: float, last: float) -> list[_Session]:
    """The trainers of a run that took steps, in order."""
    groups: list[list[Event]] = []
    for event in events:
        if event.kind in BEGUN:
            groups.append([event])
        elif groups:
            groups[-1].append(event)
    groups = _at_work(groups)
    begins = [_begin(group, first) for group in groups]
    sessions = []
    for number, group in enumerate(groups):
        end = next((event for event in group if event.kind in ENDED), None)
        is_last = number + 1 == len(groups)
        stored = last if is_last else begins[number + 1][1] + _replayed(groups[number + 1])
        begun_at, step = begins[number]
        sessions.append(
            _Session(begun_at, step, max(step, stored), end.at if end else None, end.kind if end is not None else "")
        )
    return sessions


def _at_work(groups: list[list[Event]]) -> list[list[Event]]:
    """Those of the trainers that took steps: they were ready to go on, or are told to have taken some again.

    As long as there is no checkpoint to go on from no trainer is told to be ready: the one that lived longest counts.
    """
    ready = [any(event.kind in READY for event in group) for group in groups]
    early = groups[: ready.index(True)] if True in ready else groups
    lives = [after[0].at - group[0].at for group, after in pairwise(groups)] + [float("inf")]
    longest = max(range(len(early)), key=lives.__getitem__, default=0)
    return [
        group
        for number, group in enumerate(groups)
        if ready[number] or _replayed(group) or (number < len(early) and number == longest)
    ]


def _begin(group: Sequence[Event], first: float) -> tuple[float, float]:
    """When a trainer was ready to go on, and after which step."""
    ready = next((event for event in group if event.kind in READY and event.step is not None), None)
    if ready is None or ready.step is None:
        return group[0].at, first
    return ready.at, float(ready.step)


def _replayed(group: Sequence[Event]) -> int:
    """How many steps a trainer took that had been stored before: "replay 37 of 37 identical"."""
    for event in group:
        words = event.message.split()
        if event.kind == "replay" and words[:1] == ["replay"] and words[2:3] == ["of"] and words[3].isdecimal():
            return int(words[3])
    return 0


def _wall(
    sessions: Sequence[_Session],
    closed: Sequence[tuple[float, float]],
    origin: Origin,
    started_at: float,
    share: Seconds,
) -> tuple[Knots, list[Pause]]:
    """The moments of steps, and the times between trainers."""
    knots = [(origin.step, origin.wall)]
    pauses: list[Pause] = []
    for number, session in enumerate(sessions):
        until = sessions[number + 1].begun_at if number + 1 < len(sessions) else float("inf")
        begin = max(session.begun_at - started_at, knots[-1][1])
        if number:
            before = sessions[number - 1]
            stopped = before.ended_at - started_at if before.ended_at is not None else knots[-1][1]
            pauses.append(Pause(knots[-1][0], min(max(stopped, knots[-1][1]), begin), begin, before.kind))
        here = _moments(session, begin, [(s, at - started_at) for s, at in closed if session.begun_at < at <= until])
        here.append(_end(session, here[-1], min(session.ended_at or until, until) - started_at, share))
        known = knots[-1][0]
        if session.first < known:  # what is taken again had been taken before
            own = Knots(*zip(*_rising(here), strict=True))
            here = [(known, own.at(known, share)), *(knot for knot in here if knot[0] > known)]
        knots += here
    if not sessions:
        knots += [(step, at - started_at) for step, at in closed]
    return Knots(*zip(*_rising(knots), strict=True)), pauses


def _moments(session: _Session, begin: float, closed: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(session.first, begin), *((step, seconds) for step, seconds in closed if step > session.first)]


def _end(session: _Session, last: tuple[float, float], latest: float, share: Seconds) -> tuple[float, float]:
    """The last step of a trainer and when it was taken; one that gave way in order did so right after it."""
    step, seconds = last
    if session.last <= step:
        return last
    if session.kind in ("paused", "stopped", "finished"):
        return session.last, latest
    return session.last, min(seconds + share(step, session.last), latest)


def _rising(knots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points with none below one before it: clocks are set back, and rows are written anew."""
    found = [knots[0]]
    for step, seconds in knots[1:]:
        found.append((max(step, found[-1][0]), max(seconds, found[-1][1])))
    return found


def _trained(
    closed: Sequence[tuple[float, float | None, float | None]], per_epoch: int, origin: Origin, share: Seconds
) -> Knots:
    """The sums of t_epoch; an epoch without one took as long as its steps, and a fork's first one counts in part."""
    knots = [(origin.step, origin.trained)]
    for step, _, t_epoch in closed:
        before, total = knots[-1]
        if step <= before:
            continue
        begin = max(before, step - per_epoch)
        own = share(begin, step) if t_epoch is None else max(0.0, t_epoch) * (step - begin) / per_epoch
        knots.append((step, total + max(0.0, share(before, begin)) + own))
    return Knots(*zip(*knots, strict=True))
