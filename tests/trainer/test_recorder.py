"""From the device to the store: nothing doubled, nothing lost, nothing spoilt saved."""

import math
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.test_store import make_run, step_row
from trainer.device import prepare
from trainer.errors import NonFiniteError
from trainer.exactness import Exactness
from trainer.recorder import METRICS, Recorder, StepRecord
from trainer.ring import RING_STEPS, MetricsRing
from trainer.store import RunStore
from trainer.timing import DeviceClock
from trainer.transfer import Transfer


@pytest.fixture
def clock() -> DeviceClock:
    """The clock of a CPU."""
    return DeviceClock(prepare(device="cpu", threads=0))


def record(clock: DeviceClock, step: int, loss: float = 1.0, norm: float = 1.0) -> StepRecord:
    """A step with a given loss."""
    span = clock.begin()
    clock.end(span)
    return StepRecord(step, 1, torch.tensor([loss, 0.5, 0.75, 2.0, norm]), 1e-3, 0.01, span)


def test_steps_are_committed_at_a_flush_in_their_order(store: RunStore, clock: DeviceClock) -> None:
    run_id = make_run(store)
    recorder = Recorder(store, run_id, clock, resumed_after=0)
    for step in (1, 2, 3):
        recorder.add(record(clock, step, loss=step / 4))
    assert store.steps(run_id) == []
    recorder.flush(trained_seconds=1.5)
    rows = store.steps(run_id)
    assert [(row["step"], row["loss"], row["acc_mean_pos"]) for row in rows] == [
        (1, 0.25, 2),
        (2, 0.5, 2),
        (3, 0.75, 2),
    ]
    assert store.run(run_id).trained_seconds == 1.5
    assert recorder.all_committed
    assert METRICS[0] == "loss"


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_a_value_that_is_not_finite_ends_the_run_after_an_event(
    store: RunStore, clock: DeviceClock, loss: float, norm: float
) -> None:
    run_id = make_run(store)
    recorder = Recorder(store, run_id, clock, resumed_after=0)
    recorder.add(record(clock, 1))
    recorder.add(record(clock, 2, loss, norm))
    with pytest.raises(NonFiniteError, match="at step 2"):
        recorder.flush(trained_seconds=0)
    assert [row["step"] for row in store.steps(run_id)] == [1, 2]
    assert None in (store.steps(run_id)[1]["loss"], store.steps(run_id)[1]["grad_norm"])
    assert [event.kind for event in store.events(run_id=run_id)][-1] == "non-finite"


def events_after_replay(store: RunStore, clock: DeviceClock, losses: list[float]) -> list[tuple[str, str]]:
    """What a resumed recorder says when it runs steps 3 to 5 again, of which 3 and 4 were stored as 3.0 and 4.0."""
    run_id = make_run(store)
    store.append(run_id, [step_row(step, float(step)) for step in range(1, 5)])
    recorder = Recorder(store, run_id, clock, resumed_after=2)
    for step, loss in enumerate(losses, start=3):
        recorder.add(record(clock, step, loss))
        recorder.flush(trained_seconds=0)
    assert [row["loss"] for row in store.steps(run_id)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    return [(event.level, event.message) for event in store.events(run_id=run_id) if event.kind == "replay"]


def test_a_replay_that_repeats_itself_is_called_identical(store: RunStore, clock: DeviceClock) -> None:
    assert events_after_replay(store, clock, [3.0, 4.0, 5.0]) == [("info", "replay 2 of 2 identical")]


def test_a_replay_that_differs_names_its_first_step_and_leaves_the_rows(store: RunStore, clock: DeviceClock) -> None:
    said = events_after_replay(store, clock, [3.0, math.nextafter(4.0, 5.0) + 1e-6, 5.0])
    assert {level for level, _ in said} == {"warning"}
    assert "from step 4 on" in said[0][1]


def test_an_unfinished_replay_is_told_as_far_as_it_came(store: RunStore, clock: DeviceClock) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(step, float(step)) for step in range(1, 6)])
    recorder = Recorder(store, run_id, clock, resumed_after=2)
    recorder.add(record(clock, 3, 3.0))
    recorder.flush(trained_seconds=0)
    recorder.end_replay()
    recorder.end_replay()
    events = [event.message for event in store.events(run_id=run_id) if event.kind == "replay"]
    assert events == ["replay 1 of 3 identical so far, the run ended before the rest"]


def test_a_replay_under_other_facts_is_judged_by_tolerance(store: RunStore, clock: DeviceClock) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(step, float(step)) for step in range(1, 5)])
    begun = Exactness({"threads": 2})
    exactness = begun.resumed({"threads": 1}, after=2, stored_to=4)
    recorder = Recorder(store, run_id, clock, resumed_after=2, exactness=exactness)
    recorder.add(record(clock, 3, 3.001))
    recorder.add(record(clock, 4, 4.0))
    recorder.flush(trained_seconds=0)
    (event,) = [event for event in store.events(run_id=run_id) if event.kind == "replay"]
    assert event.message.startswith("replay 2 of 2 close (largest difference 0.033 %)")
    assert event.level == "info"


def test_rows_outlast_a_store_that_cannot_be_written(store: RunStore, clock: DeviceClock) -> None:
    """max_page_count makes SQLite itself say that the disk is full."""
    run_id = make_run(store)
    said: list[str] = []
    recorder = Recorder(store, run_id, clock, resumed_after=0, say=said.append)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    for step in range(1, 2000):
        recorder.add(record(clock, step))
    recorder.flush(trained_seconds=0)
    assert "the run store could not be written (database or disk is full)" in said[0]
    assert "1999 steps wait" in said[0]
    assert store.steps(run_id) == []
    assert not recorder.all_committed
    store.connection.execute("PRAGMA max_page_count = 1000000")
    recorder.flush(trained_seconds=0, retry=True)
    assert store.last_step(run_id) == 1999
    assert recorder.all_committed
    assert store.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_the_median_step_stands_in_the_runs_row(store: RunStore, clock: DeviceClock) -> None:
    """What is shown as stalled is judged by it, on other machines too."""
    run_id = make_run(store)
    recorder = Recorder(store, run_id, clock, resumed_after=0)
    assert recorder.step_seconds is None
    for step in (1, 2, 3):
        recorder.add(record(clock, step))
    recorder.flush(trained_seconds=0)
    found = sorted(row["t_data"] + row["t_batch"] for row in store.steps(run_id))[1]
    assert store.run(run_id).step_seconds == recorder.step_seconds == found


def test_a_step_says_how_long_it_took(store: RunStore, clock: DeviceClock) -> None:
    import time

    run_id = make_run(store)
    recorder = Recorder(store, run_id, clock, resumed_after=0)
    before = time.perf_counter()
    span = clock.begin()
    time.sleep(0.05)
    clock.end(span)
    around = time.perf_counter() - before
    recorder.add(StepRecord(1, 1, torch.ones(5), 1e-3, 0.01, span))
    recorder.flush(trained_seconds=0)
    row: dict[str, Any] = store.steps(run_id)[0]
    assert 0.05 <= row["t_batch"] <= around
    assert isinstance(store.connection, sqlite3.Connection)


class Slow(Transfer):
    """A copy that takes what is there when it begins, as CUDA's does, and is under way until it is told to arrive."""

    under_way: "list[Slow]"

    def __init__(self, rows: Sequence[Tensor]) -> None:
        super().__init__(rows)
        self.arrived = False
        self.was_waited_for = False
        Slow.under_way.append(self)

    @property
    def has_arrived(self) -> bool:
        return self.arrived

    def values(self) -> list[list[float]]:
        self.was_waited_for |= not self.arrived
        return super().values()


def stored(store: RunStore, run_id: str) -> list[tuple[int, float]]:
    """Steps and losses of the rows."""
    return [(row["step"], row["loss"]) for row in store.steps(run_id)]


def test_a_flush_commits_what_has_come_and_waits_for_nothing(store: RunStore, clock: DeviceClock) -> None:
    run_id = make_run(store)
    Slow.under_way = []
    recorder = Recorder(store, run_id, clock, resumed_after=0, transfer=Slow)
    for step in (1, 2):
        recorder.add(record(clock, step, loss=float(step)))
    recorder.flush(trained_seconds=0)
    assert stored(store, run_id) == []
    assert not recorder.all_committed
    recorder.add(record(clock, 3, loss=3.0))
    Slow.under_way[0].arrived = True
    recorder.flush(trained_seconds=0)
    assert stored(store, run_id) == [(1, 1.0), (2, 2.0)]
    assert recorder.recent_loss == 1.5
    recorder.flush(trained_seconds=0)
    assert len(Slow.under_way) == 2
    assert not any(copied.was_waited_for for copied in Slow.under_way)
    recorder.flush(trained_seconds=0, retry=True)
    assert stored(store, run_id) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert recorder.all_committed
    assert [copied.was_waited_for for copied in Slow.under_way] == [False, True]


def test_a_later_copy_that_comes_first_does_not_overtake(store: RunStore, clock: DeviceClock) -> None:
    run_id = make_run(store)
    Slow.under_way = []
    recorder = Recorder(store, run_id, clock, resumed_after=0, transfer=Slow)
    for step in (1, 2):
        recorder.add(record(clock, step, loss=float(step)))
        recorder.flush(trained_seconds=0)
    Slow.under_way[1].arrived = True
    recorder.flush(trained_seconds=0)
    assert stored(store, run_id) == []
    Slow.under_way[0].arrived = True
    recorder.flush(trained_seconds=0)
    assert stored(store, run_id) == [(1, 1.0), (2, 2.0)]


def test_a_bad_figure_that_comes_late_ends_the_run_and_what_came_after_it_is_no_step(
    store: RunStore, clock: DeviceClock
) -> None:
    run_id = make_run(store)
    Slow.under_way = []
    recorder = Recorder(store, run_id, clock, resumed_after=0, transfer=Slow)
    for step, loss in ((1, 1.0), (2, math.nan), (3, 3.0), (4, 4.0)):
        recorder.add(record(clock, step, loss))
        if step in (2, 3):
            recorder.flush(trained_seconds=0)
    Slow.under_way[0].arrived = True
    with pytest.raises(NonFiniteError, match="at step 2"):
        recorder.flush(trained_seconds=0)
    assert stored(store, run_id) == [(1, 1.0), (2, None)]
    assert recorder.all_committed


@pytest.mark.parametrize("is_read_in_time", [True, False])
def test_rows_of_a_ring_are_stored_once_each_and_in_order_however_rarely_it_is_flushed(
    store: RunStore, clock: DeviceClock, is_read_in_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times round the ring between two flushes; the negative control does not read before it comes round."""
    run_id = make_run(store)
    monkeypatch.setattr("trainer.recorder.RING_STEPS", 8 if is_read_in_time else 1000)
    recorder = Recorder(store, run_id, clock, resumed_after=0)
    ring = MetricsRing(len(METRICS), torch.device("cpu"), 8)
    for step in range(1, 33):
        ring.write(torch.full((5,), float(step)))
        span = clock.begin()
        clock.end(span)
        recorder.add(StepRecord(step, 1, ring.latest(), 1e-3, 0.0, span))
    recorder.flush(trained_seconds=0)
    assert (stored(store, run_id) == [(step, float(step)) for step in range(1, 33)]) == is_read_in_time
    assert RING_STEPS >= 512
