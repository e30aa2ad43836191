"""Where seconds go: pauses are left out, sums survive."""

import time

import pytest

from trainer.clock import RunClock


def test_an_epoch_counts_what_earlier_processes_counted_and_not_the_pause() -> None:
    first = RunClock()
    time.sleep(0.03)
    state = first.to_state()
    time.sleep(0.2)
    second = RunClock(**state)
    time.sleep(0.03)
    assert 0.06 <= second.epoch_seconds < 0.15
    assert 0.06 <= second.trained_seconds < 0.15


def test_evaluation_is_part_of_the_epoch_and_not_of_training() -> None:
    clock = RunClock(trained=10, epoch=5, aside=1)
    with clock.aside():
        time.sleep(0.05)
    assert clock.epoch_seconds - clock.train_seconds == pytest.approx(1.05, abs=0.03)
    clock.next_epoch()
    assert clock.epoch_seconds < 0.05
    assert clock.train_seconds == pytest.approx(clock.epoch_seconds, abs=0.01)
    assert clock.trained_seconds > 10


def test_a_checkpoint_that_is_being_written_keeps_its_own_time_aside() -> None:
    clock = RunClock(aside=1)
    with clock.aside():
        time.sleep(0.05)
        state = clock.to_state()
        assert clock.train_seconds == pytest.approx(state["epoch"] - state["aside"], abs=0.01)
    assert 1.05 <= state["aside"] < 1.2
    assert RunClock(**state).train_seconds == pytest.approx(state["epoch"] - state["aside"], abs=0.01)


def give_up_after(seconds: float) -> None:
    """Work that comes to nothing."""
    time.sleep(seconds)
    raise KeyError


def test_time_aside_counts_where_the_work_was_given_up() -> None:
    clock = RunClock(aside=1)
    with pytest.raises(KeyError), clock.aside():
        give_up_after(0.03)
    aside = clock.to_state()["aside"]
    assert aside >= 1.03
    time.sleep(0.02)
    assert clock.to_state()["aside"] == aside, "nothing is aside any more"


def test_what_was_built_before_an_epoch_goes_on_is_no_part_of_it_and_what_it_had_is() -> None:
    clock = RunClock(epoch=5)
    built = time.perf_counter() + 60
    clock.go_on(built)
    assert clock.next_epoch(built + 2).t_epoch == pytest.approx(5 + 2)
    clock.go_on(built + 90)
    assert clock.next_epoch(built + 93).t_epoch == pytest.approx(3), "the epoch before has ended"


def test_an_epoch_ends_at_the_moment_that_is_given_and_the_next_one_begins_there() -> None:
    clock = RunClock(epoch=5, aside=1, parts={"logging": 0.5, "idle_seconds": 0.25})
    at = time.perf_counter() + 60
    clock.go_on(at)
    first = clock.next_epoch(at + 2)
    assert [first.t_epoch, first.t_train] == pytest.approx([7, 6])
    assert first.t_idle == 0.25
    assert {row["part"]: row["seconds"] for row in first.parts}["logging"] == 0.5
    second = clock.next_epoch(at + 9)
    assert [second.t_epoch, second.t_train] == pytest.approx([7, 7])
    assert second.t_idle == 0
    assert {row["part"] for row in second.parts if row["seconds"]} == {"unexplained"}
