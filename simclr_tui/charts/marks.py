"""What happened to a run, as marks of a chart: a word, its place on x, and an ink by how bad it is. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.plot.draw import Mark
from trainer.store.history import SLOWED
from trainer.store.records import Event

FORKED = "forked"

HAPPENED = {"resumed-from": "resumed", "forked-from": FORKED, "forked": "fork", "settings-accepted": "settings"}
"""Kinds of events that are marked whatever their level: a run that began as a fork, one that has a fork."""

_WORDS = {
    "checkpoint-failed": "checkpoint failed",
    "exactness": "bits",
    "non-finite": "not finite",
    "launched": "restarted",
}
"""Other kinds in a word, where the kind itself is none."""

_NO_MARK = ("store", "backup", "device-shared", "step-mode")
"""Warnings that are about the machine and not about the run's curves."""

_ENDED = ("paused", "stopped", "interrupted", "failed", "hung")


def marks_of(one: Drawn, view: View) -> list[Mark]:
    """Every mark of a run, in the order of x."""
    marks = list(one.curves.kept.get("marks", one.unit(view), lambda: tuple(_own_marks(one, view))))
    if one.trunk and not any(mark.word == FORKED for mark in marks):  # it has not begun yet
        marks.append(Mark(one.x_before(one.trunk[-1], one.trunk[-1].until, view), FORKED))
    return sorted(marks, key=lambda mark: mark.x)


def _own_marks(one: Drawn, view: View) -> Iterator[Mark]:
    events = one.curves.happened
    yield from _marked(one, view, events)
    yield from _ends(one, view, events)
    yield from _slowed(one, view)


def _marked(one: Drawn, view: View, events: Sequence[Event]) -> Iterator[Mark]:
    for event in events:
        if event.kind in HAPPENED:
            if event.step is not None:
                yield Mark(_place(one, view, event), HAPPENED[event.kind])
        elif event.level != "info" and event.kind not in (*_ENDED, *_NO_MARK):
            yield Mark(_place(one, view, event), _word(event), _ink(event))


def _ends(one: Drawn, view: View, events: Sequence[Event]) -> Iterator[Mark]:
    """Where a trainer ended; on an axis without pauses only the last one, since the next one went on from there."""
    ended = [event for event in events if event.kind in _ENDED]
    if view.axis != "wall":
        began = [event for event in events if event.kind in ("started", "resumed")]
        ended = [event for event in ended[-1:] if not began or event.id > began[-1].id]
    for event in ended:
        x = _place(one, view, event) if view.axis == "wall" else one.x(one.curves.last_step, view)
        yield Mark(x, _word(event), _ink(event))


def mark_word(event: Event) -> str:
    """The word with which charts mark what happened, so that a history says the same; empty if they don't."""
    if event.kind in HAPPENED:
        return HAPPENED[event.kind]
    is_marked = event.kind in _ENDED or (event.level != "info" and event.kind not in _NO_MARK)
    return _word(event) if is_marked else ""


def _word(event: Event) -> str:
    return _WORDS.get(event.kind, event.kind.replace("-", " "))


def _ink(event: Event) -> str:
    return event.level if event.level in ("warning", "error") else "mark"


def _place(one: Drawn, view: View, event: Event) -> float:
    """Where an event lies on x: by wall time at its moment, else at the step that it names or that was taken last."""
    if view.axis == "wall":
        return max(0.0, event.at - one.clock.started_at)
    if event.step is not None:
        return one.x(event.step, view)
    return one.x(min(one.clock.step_at(event.at), one.curves.last_step), view)


def _slowed(one: Drawn, view: View) -> Iterator[Mark]:
    """Where the device began to be slowed down, as far as its samples were read."""
    history = one.curves.device_history
    was_slow = False
    for sample in history or one.curves.device:
        is_slow = bool(sample["slowed"]) if history else _is_slow(sample)
        if is_slow and not was_slow:
            yield Mark(device_places(one, view)(sample["at"]), "throttled", "warning")
        was_slow = is_slow


def _is_slow(sample: Mapping[str, Any]) -> bool:
    reasons = sample.get("throttle_reasons") or ""
    return any(words in reasons for words in SLOWED)


def device_places(one: Drawn, view: View) -> Callable[[float], float]:
    """From moments in UTC seconds to where they lie on x."""
    clock = one.clock
    if view.axis == "wall":
        return lambda at: at - clock.started_at
    place = one.places(view)
    return lambda at: place(clock.step_at(at))
