"""What is worth telling, by what is seen of a run; as pure functions of looks."""

import dataclasses
import itertools
import time

import pytest

from tests.trainer.test_store import make_run
from trainer.notices.happenings import (
    EARLIER_END,
    END,
    Course,
    Look,
    begun_by,
    end_of_lost,
    is_brief,
    lost_with_its_store,
    lost_with_the_machine,
    recorded_end,
    started_again,
)
from trainer.store import RunStore
from trainer.store.notices import claim


def look(store: RunStore, run_id: str, state: str = "running", *, phase: str = "training", at: float = 0.0) -> Look:
    """At a run as the store has it."""
    events = store.events(run_id=run_id)
    return Look(run=store.run(run_id), state=state, events=events, phase=phase, at=at)


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run whose trainer has begun; event 1 is its making and event 2 its start."""
    made = make_run(store, "first")
    store.lifecycle(made, "started", "started as process 1")
    return made


@pytest.mark.parametrize(
    ("lifecycle", "kind", "what", "why"),
    [
        ("finished", "finished", "has finished", ""),
        ("failed", "failed", "has failed", "it broke"),
        ("interrupted", "interrupted", "was interrupted", "it broke"),
        ("paused", "paused", "was paused", "it broke"),
        ("stopped", "paused", "was stopped", "it broke"),
    ],
)
def test_an_end_is_told_as_its_trainer_recorded_it(
    store: RunStore, run_id: str, lifecycle: str, kind: str, what: str, why: str
) -> None:
    assert recorded_end(look(store, run_id), after=1) is None
    store.lifecycle(run_id, lifecycle, "it broke")
    end = recorded_end(look(store, run_id, lifecycle), after=1)
    assert end is not None
    assert (end.kind, end.what, end.why, end.label, end.after, end.is_recorded) == (kind, what, why, END, 2, True)
    assert end_of_lost(look(store, run_id, lifecycle), after=1) == end


def test_the_end_of_the_trainer_before_is_not_that_of_this_one(store: RunStore, run_id: str) -> None:
    store.lifecycle(run_id, "paused", "paused on request")
    after = store.events(run_id=run_id)[-1].id
    assert recorded_end(look(store, run_id, "paused"), after=after) is None
    assert end_of_lost(look(store, run_id, "paused"), after=after) is None
    store.lifecycle(run_id, "resumed", "resumed as process 2")
    store.lifecycle(run_id, "failed", "it broke")
    end = recorded_end(look(store, run_id, "failed"), after=after)
    assert end is not None
    assert end.after == after + 1


def test_a_trainer_that_left_no_word_was_interrupted(store: RunStore, run_id: str) -> None:
    end = end_of_lost(look(store, run_id, "interrupted"), after=1)
    assert end is not None
    assert (end.kind, end.label, end.after, end.is_recorded) == ("interrupted", END, 2, False)
    without_store = lost_with_its_store(look(store, run_id), after=1)
    assert (without_store.label, without_store.after) == (end.label, end.after)  # the same happening, told once


def test_a_run_that_others_have_taken_up_has_not_ended(store: RunStore, run_id: str) -> None:
    for state in ("running", "starting", "queued", "stalled"):
        assert end_of_lost(look(store, run_id, state), after=1) is None


def test_a_new_start_by_a_supervisor_is_a_warning_with_its_reason(store: RunStore, run_id: str) -> None:
    assert started_again(look(store, run_id), after=2) is None
    store.lifecycle(run_id, "launched", "launched by a person")
    assert started_again(look(store, run_id), after=2) is None
    store.lifecycle(run_id, "launched", "trainer started again, since it hung; restarts left: 4")
    found = started_again(look(store, run_id), after=2)
    assert found is not None
    assert (found.kind, found.why, found.after) == ("warning", "since it hung; restarts left: 4", 3)


def test_standing_still_is_told_once_it_has_lasted_and_once_each_time(store: RunStore, run_id: str) -> None:
    for state, phase in (("stalled", "training"), ("running", "waiting")):
        course = Course(patience_seconds=10.0)
        told = []
        still = [False, True, True, True, True, False, True, True, True]
        for at, is_still in zip(itertools.count(0.0, 5.0), still, strict=False):
            seen = look(store, run_id, state if is_still else "running", phase=phase if is_still else "training", at=at)
            told.append(course.follow(seen) is not None)
        assert told == [False, False, False, True, False, False, False, False, True]


def test_a_run_in_line_for_its_device_is_no_run_that_stands_still(store: RunStore) -> None:
    run_id = make_run(store)
    store.lifecycle(run_id, "queued", "in line")
    course = Course(patience_seconds=0.0)
    assert [course.follow(look(store, run_id, "queued", phase="waiting", at=at)) for at in (0.0, 9.0)] == [None, None]


def test_a_worse_level_of_health_is_told_and_one_that_was_there_before_is_not(store: RunStore, run_id: str) -> None:
    course = Course(patience_seconds=10.0)

    def at_level(level: str | None) -> str:
        store.update_run(run_id, health_level=level, health=f"{level} words", health_rule="collapse")
        found = course.follow(look(store, run_id))
        return "" if found is None else f"{found.kind}: {found.what}, {found.why}, {found.label}"

    told = [at_level(level) for level in ("warning", "warning", "sick", "sick", "good", "warning", None)]
    sick = "warning: is sick, sick words, its health (collapse)"
    unwell = "warning: is unwell, warning words, its health (collapse)"
    assert told == ["", "", sick, "", "", unwell, ""]


def test_a_machine_that_went_down_is_told_by_the_next_trainer(store: RunStore, run_id: str) -> None:
    def found(booted_at: float) -> bool:
        events = store.events(run_id=run_id)
        return lost_with_the_machine(events, events[-1].id, booted_at) is not None

    started = store.events(run_id=run_id)[-1].at
    store.lifecycle(run_id, "launched", "resumed after a boot")
    assert found(started + 1)
    assert not found(started - 1)  # it was up all the time
    events = store.events(run_id=run_id)
    lost = lost_with_the_machine(events, events[-1].id, started + 1)
    assert lost is not None
    assert (lost.kind, lost.label, lost.after) == ("interrupted", EARLIER_END, 2)
    assert lost.after == begun_by(events[:2], 0)
    claim(store, run_id, END, "hook", after=2, per_hour=9)
    assert not found(started + 1)  # its messenger was still there to tell
    store.lifecycle(run_id, "resumed", "resumed")
    store.lifecycle(run_id, "paused", "paused")
    store.lifecycle(run_id, "launched", "resumed by a person")
    assert not found(started + 1e9)


@pytest.mark.parametrize(("kind", "is_told"), [("pretrain", True), ("benchmark", False), ("evaluate", False)])
def test_a_job_of_moments_is_not_told_where_it_finishes(store: RunStore, kind: str, is_told: bool) -> None:
    run_id = store.create_run(kind=kind, name="first", config="{}")
    for lifecycle in ("finished", "failed"):
        store.lifecycle(run_id, "started", "started")
        store.lifecycle(run_id, lifecycle, "end")
        seen = look(store, run_id, lifecycle)
        end = recorded_end(seen, after=0)
        assert end is not None
        assert is_brief(end, seen) == (lifecycle == "finished" and not is_told)
        longer = dataclasses.replace(seen, run=dataclasses.replace(seen.run, lifecycle_at=time.time() + 90.0))
        assert not is_brief(end, longer)
