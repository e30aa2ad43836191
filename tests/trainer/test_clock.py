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


def test_time_aside_counts_where_the_work_was_given_up() -> None:
    clock = RunClock()
    with pytest.raises(KeyError), clock.aside():
        raise KeyError
    assert clock.train_seconds <= clock.epoch_seconds
