"""Tests of what is made of the rows of a benchmark."""

import pytest

from tests.trainer.lab.synthetic import IMAGES, dropped, every, measure, row
from trainer.config import PretrainConfig
from trainer.lab.results import best_of, costs_of, judged, progress, ratios, results_of, seconds_of, turn_seconds


def test_a_result_has_median_spread_and_memory_of_the_rounds_that_count() -> None:
    rows = [
        row(1, 0, warmup_seconds=8.0, t_batch=99.0, device_memory_bytes=11),
        *(
            row(1, k, 10.0 + k, t_batch=k / 10, idle=0.1, host_memory_bytes=k, device_memory_bytes=2 * k, steps=100)
            for k in range(1, 6)
        ),
    ]
    (result,) = results_of(rows)
    batch = result.spreads["t_batch"]
    assert (batch.median, batch.low, batch.high, batch.count) == (0.3, 0.1, 0.5, 5)
    assert (result.warmup_seconds, result.host_memory_bytes, result.steps) == (8.0, 5, 100)
    assert result.device_memory_bytes == 11, "a step that is captured in the warm-up needs the most there"
    assert result.rounds == (1, 2, 3, 4, 5)
    assert result.cost == pytest.approx(13.0 / IMAGES)
    assert result.median("gpu_util") is None


def test_rounds_that_were_dropped_do_not_count_and_are_kept_with_their_reason() -> None:
    rows = [row(1, 1, 10.0), dropped(row(1, 2, 99.0), "throttled"), row(1, 3, 10.0)]
    (result,) = results_of(rows)
    assert result.dropped == ((2, "throttled"),)
    assert result.rounds == (1, 3)
    assert result.spreads["t_epoch_next"].high == 10.0


def test_a_failed_trial_keeps_its_reason_and_is_never_the_best() -> None:
    rows = [row(1, 1, 10.0), row(2, 1, 1.0), row(2, 2, error="out of memory")]
    first, second = results_of(rows)
    assert (first.error, second.error) == (None, "out of memory")
    assert best_of([first, second]) is first


def test_the_best_is_the_quickest_per_image_whatever_its_batches() -> None:
    rows = [row(1, 1, t_epoch_next=5.0, images_per_second=90.0), row(2, 1, t_epoch_next=9.0, images_per_second=200.0)]
    best = best_of(results_of(rows))
    assert best is not None
    assert best.number == 2


def test_of_two_that_are_as_quick_the_first_is_the_best() -> None:
    best = best_of(results_of([row(2, 1, 5.0), row(1, 1, 5.0)]))
    assert best is not None
    assert best.number == 1


def test_the_best_may_be_asked_for_among_those_with_rounds_enough() -> None:
    results = results_of([row(1, 1, 1.0), *(row(2, k, 5.0) for k in range(1, 11))])
    best = best_of(results, fewest=10)
    assert best is not None
    assert best.number == 2
    assert best_of(results, fewest=11) is None


def test_ratios_are_paired_by_round_and_corrected_for_all_pairs() -> None:
    trials = every(num_workers=[0, 4])
    rows = measure(trials, lambda config: {0: 1.3, 2: 1.0, 4: 1.0}[config.num_workers], rounds=10)
    results = results_of(rows)
    found = ratios(results, results[0])
    assert set(found) == {2, 3}
    slower, same = found[2], found[3]
    assert slower is not None
    assert same is not None
    assert 1.2 < slower.low < 1.3 < slower.high < 1.4
    assert same.includes_one
    assert slower.coverage >= 1 - 0.05 / 3


def test_the_costs_alone_are_those_of_the_results_that_can_be_judged() -> None:
    rows = [
        row(1, 1, 9.0),
        dropped(row(1, 2, 99.0), "throttled"),
        row(2, 1, 5.0),
        row(2, 2, error="no"),
        row(3, 0, 1.0),
    ]
    assert costs_of(rows) == {result.number: result.costs for result in judged(results_of(rows))}
    assert set(costs_of(rows)) == {1}


def test_settings_that_a_hand_has_spoilt_are_none() -> None:
    assert [result.settings for result in results_of([row(1, 1, 1.0, settings="{oops"), row(2, 1, settings="[]")])] == [
        {},
        {},
    ]


def test_a_pause_between_two_rows_is_not_taken_for_a_long_turn() -> None:
    at, rows = 0.0, []
    for round_ in range(1, 5):
        for trial, seconds in ((1, 10.0), (2, 20.0)):
            at += seconds + (3600 if (round_, trial) == (2, 1) else 0)
            rows.append(row(trial, round_, 1.0, at=at))
    assert seconds_of(rows) == {1: 10.0, 2: 20.0}


def test_of_two_turns_the_shorter_one_is_believed() -> None:
    """There was a pause before the second turn of the second trial, whose figures tell nothing."""
    ends = {(1, 1): 10.0, (2, 1): 30.0, (1, 2): 40.0, (2, 2): 3660.0}
    assert seconds_of([row(trial, round_, 1.0, at=at) for (trial, round_), at in ends.items()]) == {1: 10.0, 2: 20.0}


def test_a_trial_that_had_no_turn_is_expected_to_take_as_long_as_the_slowest() -> None:
    assert [turn_seconds({1: 10.0, 2: 30.0}, trial) for trial in (1, 2, 3)] == [10.0, 30.0, 30.0]
    assert turn_seconds({}, 1) == 0


def test_progress_says_what_runs_and_when_it_ends() -> None:
    trials = every(num_workers=[0])
    rows = measure(trials, lambda config: 10.0 if config == PretrainConfig() else 20.0, rounds=2)
    last = rows[-1].at
    assert last is not None
    seconds = seconds_of(rows)
    found = progress([row(1, 0), row(2, 0), *rows], [(1, 3), (2, 3)], last + 4)  # warm-ups are no turns
    assert (found.trial, found.round, found.done, found.planned) == (1, 3, 4, 6)
    assert found.seconds_left == pytest.approx(seconds[1] + seconds[2] - 4)


def test_a_turn_that_takes_longer_than_ever_is_never_over_before_it_ends() -> None:
    rows = measure(every(num_workers=[0]), lambda config: 10.0, rounds=2)
    last = rows[-1].at
    assert last is not None
    seconds = seconds_of(rows)
    assert progress(rows, [(1, 3), (2, 3)], last + 1000).seconds_left == pytest.approx(seconds[2])


def test_progress_knows_nothing_before_the_first_turn_and_nothing_is_left_at_the_end() -> None:
    assert progress([], [(1, 1)], 0.0).seconds_left is None
    over = progress(measure(every(), lambda config: 1.0, rounds=1), [], 0.0)
    assert (over.trial, over.seconds_left, over.done, over.planned) == (None, 0.0, 1, 1)


def test_a_turn_takes_no_longer_than_its_figures_can_account_for() -> None:
    figures = {"steps": 10, "t_batch": 0.1, "t_data": 0.2, "t_batch_next": 0.1, "t_data_next": 0.1}
    rows = [
        row(1, 0, warmup_seconds=3.0, at=0.0),
        row(1, 1, 1.0, at=5000.0, **figures),
        row(2, 1, 1.0, at=5007.0, **figures),
        row(3, 1, 1.0, at=5100.0, **figures | {"t_data": None}),
    ]
    assert seconds_of(rows) == {1: 10 + 2 * (5 + 3), 2: 7.0, 3: 93.0}
    assert seconds_of([*rows, row(2, 2, at=5101.0, error="out of memory")]) == seconds_of(rows)


@pytest.mark.parametrize("speed", [None, 0.0, -5.0, float("nan"), float("inf")])
def test_a_speed_that_no_clock_can_have_measured_is_none(speed: float | None) -> None:
    rows = [row(1, 1, 10.0), row(1, 2, 10.0, images_per_second=speed, idle=float("nan"))]
    (result,) = results_of(rows)
    assert set(result.costs) == set(costs_of(rows)[1]) == {1}
    assert "idle" not in result.spreads
