"""What a whole epoch takes, from some of its steps: against an epoch of the same pace that is played to its end."""

from collections.abc import Sequence

import pytest

from trainer.benchmark.epoch import EpochFigures, Steps, whole_epoch


def played(count: int, *, workers: int, load: float, step: float, start: float, ahead: int) -> Steps:
    """The first steps of an epoch of a machine whose workers take turns, played moment by moment.

    Args:
        count: steps.
        workers: each loads every so manieth batch, up to `ahead` batches before the one that is trained on.
        load: seconds in which a worker loads a batch.
        step: seconds of a step.
        start: seconds in which the workers start.
        ahead: batches that may be loaded or under way.
    """
    now, free = 0.0, [start] * workers
    taken: list[float] = []
    waits, begins, ends = [], [], []
    for k in range(count):
        worker = k % workers
        asked = taken[k - ahead] if k >= ahead else 0.0
        free[worker] = max(free[worker], asked) + load
        waits.append(max(0.0, free[worker] - now))
        begins.append(max(now, free[worker]))
        taken.append(begins[-1])
        now = begins[-1] + step
        ends.append(now)
    return Steps(start=waits[0], waits=waits, gaps=waits[1:], begins=begins, ends=ends, wall=now, drain=0.0)


def scaled(steps: Steps, total: int, stock: int, workers: int = 0) -> EpochFigures:
    """What is made of them."""
    return whole_epoch(steps, total=total, stock=stock, workers=workers)


MACHINES = [
    {"workers": 2, "load": 0.05, "step": 0.10, "start": 1.0, "ahead": 4},
    {"workers": 2, "load": 0.50, "step": 0.10, "start": 1.0, "ahead": 4},
    {"workers": 12, "load": 0.90, "step": 0.05, "start": 4.0, "ahead": 24},
]
"""The device is what is waited for, the workers are, and many workers are that begin with a stock."""


@pytest.mark.parametrize("machine", MACHINES)
def test_from_some_steps_the_whole_epoch_is_known(machine: dict[str, float]) -> None:
    whole, some = played(600, **machine), played(60, **machine)  # type: ignore[arg-type]
    stock = int(machine["ahead"])
    exact = scaled(whole, 600, stock)
    assert exact.t_epoch == pytest.approx(whole.wall)
    found = scaled(some, 600, stock)
    assert found.t_epoch == pytest.approx(exact.t_epoch, rel=0.03)
    assert found.idle == pytest.approx(exact.idle, abs=0.03)
    assert found.t_data == pytest.approx(exact.t_data, rel=0.05)
    assert exact.t_data == pytest.approx(sum(whole.waits) / 600)
    assert (found.steps, exact.steps) == (60, 600)


def test_the_start_scaled_like_a_step_would_be_far_off() -> None:
    """The negative control: an epoch of ten times the steps does not take ten times as long."""
    machine = MACHINES[2]
    whole, some = played(600, **machine), played(60, **machine)  # type: ignore[arg-type]
    assert some.wall * 10 > 1.5 * whole.wall


def test_what_comes_from_the_stock_does_not_set_the_pace() -> None:
    machine = MACHINES[2]
    whole, some = played(600, **machine), played(60, **machine)  # type: ignore[arg-type]
    assert scaled(some, 600, 0).t_epoch < 0.95 * whole.wall
    assert scaled(some, 600, 24).t_epoch == pytest.approx(whole.wall, rel=0.03)


def steps(begins: Sequence[float], ends: Sequence[float], waits: Sequence[float]) -> Steps:
    """Some steps of an epoch that ends with the last one and 0.5 s in which its workers end."""
    gaps = [begin - end for end, begin in zip(ends, begins[1:], strict=False)]
    return Steps(start=waits[0], waits=waits, gaps=gaps, begins=begins, ends=ends, wall=ends[-1], drain=0.5)


def test_medians_are_of_the_steps_and_the_end_of_the_workers_belongs_to_the_epoch() -> None:
    figures = scaled(steps([2.0, 3.5, 5.0], [3.0, 4.5, 6.5], [2.0, 0.1, 0.2]), total=3, stock=0)
    assert figures.t_batch == 1.0
    assert figures.t_data == pytest.approx(2.3 / 3)
    assert figures.t_epoch == 7.0
    assert figures.idle == pytest.approx((2.0 + 0.5 + 0.5 + 0.5) / 7.0)


def test_two_steps_are_enough() -> None:
    figures = scaled(steps([2.0, 3.5], [3.0, 4.5], [2.0, 0.5]), total=10, stock=8)
    assert figures.t_epoch == pytest.approx(4.5 + 8 * 1.5 + 0.5)
    assert figures.t_data == pytest.approx((2.0 + 9 * 0.5) / 10)


def test_an_epoch_of_one_step_is_one_step() -> None:
    figures = scaled(steps([2.0], [3.0], [2.0]), total=1, stock=4)
    assert (figures.t_epoch, figures.t_batch, figures.t_data) == (3.5, 1.0, 2.0)


def test_workers_that_give_batches_in_bursts_are_waited_for_though_most_steps_wait_for_nothing() -> None:
    some = played(60, **MACHINES[2])  # type: ignore[arg-type]
    figures = scaled(some, 60, 24, 12)
    assert sorted(some.waits)[30] == 0
    assert figures.t_data > 0.02
    assert figures.t_data * 60 / figures.t_epoch == pytest.approx(figures.idle)


@pytest.mark.parametrize("count", [60, 65, 71, 100])
def test_wherever_a_burst_is_cut_the_pace_is_that_of_whole_bursts(count: int) -> None:
    machine = MACHINES[2]
    whole, some = played(6000, **machine), played(count, **machine)  # type: ignore[arg-type]
    assert scaled(some, 6000, 24, 12).t_epoch == pytest.approx(whole.wall, rel=0.005)


def test_a_burst_that_is_cut_would_set_another_pace() -> None:
    """The negative control."""
    machine = MACHINES[2]
    whole, some = played(6000, **machine), played(65, **machine)  # type: ignore[arg-type]
    assert scaled(some, 6000, 24).t_epoch > 1.02 * whole.wall


def test_too_few_steps_for_a_batch_of_each_worker_are_taken_as_they_are() -> None:
    some = played(10, **MACHINES[2])  # type: ignore[arg-type]
    assert scaled(some, 600, 24, 12) == scaled(some, 600, 24)
