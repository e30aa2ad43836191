"""What a rank's steps take, added up by several threads."""

import threading
import time

import pytest

from trainer.pace import Pace, Passed


def test_steps_with_their_waits_for_data_and_collectives_are_added_up() -> None:
    pace = Pace()
    assert pace.passed() == Passed(0, 0.0, 0.0)
    pace.add_wait_for_data(0.5)
    pace.add_step(1.0)
    pace.add_collective(0.25)
    assert pace.passed() == Passed(1, 1.5, 0.0), "a collective counts once its step is done"
    pace.add_step(1.0)
    assert pace.passed() == Passed(2, 2.5, 0.25)
    with pace.collective():
        time.sleep(0.02)
    pace.add_step(1.0)
    assert 0.27 <= pace.passed().collective_seconds < 5


def test_a_collective_that_fails_is_counted_until_then() -> None:
    pace = Pace()
    with pytest.raises(RuntimeError), pace.collective():
        raise RuntimeError
    pace.add_step(1.0)
    assert pace.passed().collective_seconds > 0


def test_no_thread_loses_what_another_one_adds() -> None:
    pace = Pace()

    def add() -> None:
        for _ in range(20_000):
            pace.add_collective(1.0)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pace.add_step(1.0)
    assert pace.passed().collective_seconds == 80_000
