"""What is told of the difference between two polls."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from simclr_tui.comfort.notices import Notice, notices, title, told
from simclr_tui.model import RunRow
from trainer.state import STATES
from trainer.store.records import Event, Run


def row(base: Run, state: str, **columns: Any) -> RunRow:
    return RunRow(replace(base, **columns), state, 0)


def one_of(base: Run, before: str, after: str, **options: Any) -> Notice | None:
    found = notices([row(base, before)], [row(base, after)], **options)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("before", ["starting", "running", "pausing", "stopping", "stalled"])
@pytest.mark.parametrize("after", ["finished", "failed", "interrupted"])
def test_a_live_run_that_ends_is_told(before: str, after: str, run: Run) -> None:
    found = one_of(run, before, after)
    assert found is not None
    assert (found.kind, found.run_id) == (after, run.id)
    assert found.sentence.startswith("resting ")


def test_nothing_is_told_of_what_was_so_before_or_at_the_first_poll(run: Run) -> None:
    for state in STATES:
        assert notices(None, [row(run, state)]) == []
        assert one_of(run, state, state) is None
    for before in ("paused", "stopped", "failed", "interrupted"):
        for after in ("finished", "failed", "interrupted", "running"):
            assert one_of(run, before, after) is None
    assert notices([], [row(run, "failed")]) == [], "a run that is new to this dashboard is old elsewhere"


def test_a_pause_is_told_unless_it_was_asked_for_here(run: Run) -> None:
    found = one_of(run, "running", "paused")
    assert found is not None
    assert (found.kind, found.sentence) == ("paused", "resting was paused from elsewhere; r resumes it")
    assert one_of(run, "running", "paused", asked={run.id}) is None
    assert one_of(run, "running", "failed", asked={run.id}) is not None, "that was not asked for"


def test_a_failure_says_why_if_the_store_does(run: Run) -> None:
    event = Event(id=1, run_id=run.id, at=1.0, level="error", kind="failed", message="no space", step=None)
    found = one_of(run, "running", "failed", events=[event, replace(event, run_id="other", message="wrong")])
    assert found is not None
    assert found.sentence == "resting has failed: no space"
    assert found.severity == "error"


def test_health_that_gets_worse_is_told_once(run: Run) -> None:
    levels = ["good", "warning", "warning", "sick", "warning", "good"]
    rows = [row(run, "running", health_level=level, health=f"is {level}") for level in levels]
    pairs = itertools.pairwise(rows)
    assert [len(notices([old], [new])) for old, new in pairs] == [1, 0, 1, 0, 0]
    (found,) = notices([rows[0]], [rows[1]])
    assert (found.kind, found.sentence) == ("warning", "resting: is warning")


def test_a_run_that_makes_no_progress_is_a_warning(run: Run) -> None:
    found = one_of(run, "running", "stalled")
    assert found is not None
    assert found.kind == "warning"
    assert one_of(run, "stalled", "running") is None


def test_many_notices_are_one_sentence_that_counts() -> None:
    found = [Notice("failed", str(number), f"run {number} has failed") for number in range(5)]
    assert told(found) == "run 0 has failed; run 1 has failed; run 2 has failed; and 2 more"


def test_the_title_says_what_is_going_on(run: Run) -> None:
    assert title([]) == "simclr-tui"
    going = row(run, "running", step=42, total_steps=100)
    assert title([going, row(run, "finished")]) == "simclr-tui · ▶ resting 42 %"
    assert title([going, going, row(run, "interrupted")]) == "simclr-tui · 2 running 42 % · ! 1 interrupted"
