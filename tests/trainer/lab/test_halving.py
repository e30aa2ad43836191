"""Tests of which trial is taken next, on a clock that is made up."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.trainer.lab.synthetic import dropped, row, trial
from trainer.benchmark_config import BenchmarkConfig
from trainer.lab.halving import (
    FINALISTS,
    EveryTrial,
    Halving,
    Schedule,
    rounds_for,
    schedule,
    seconds_for_a_verdict,
)
from trainer.store.records import TrialRow

TRUTH = {1: 10.0, **{number: 7.0 + number for number in range(2, 17)}}
"""Seconds of a turn of 16 trials: the second is the fastest, and the first is the current one."""
ROUNDS = rounds_for(16)


def play(
    plan: Schedule,
    truth: Mapping[int, float] = TRUTH,
    *,
    rows: list[TrialRow] | None = None,
    turns: int = 10_000,
    spoil: Callable[[TrialRow], TrialRow] = lambda row: row,
    pause: Mapping[int, float] | None = None,
) -> list[TrialRow]:
    """The rows of a benchmark that is played to its end.

    Args:
        plan: says what is taken.
        truth: seconds of a turn, by trial, which gets 1 % noise.
        rows: what has been taken already.
        turns: after which it is interrupted.
        spoil: changes a row before it is stored.
        pause: seconds of no turn before the turn of that number.
    """
    rows = list(rows or [])
    clock = max((one.at for one in rows if one.at is not None), default=100.0)
    used = sum(truth[one.trial] for one in rows)
    for _ in range(turns):
        found = plan.next(rows, used)
        if found is None:
            break
        number, round_ = found
        noise = random.Random(f"{number} {round_}").uniform(0.99, 1.01)
        clock += truth[number] + (pause or {}).get(len(rows), 0.0)
        used += truth[number]
        rows.append(spoil(row(number, round_, truth[number] * noise, at=clock)))
    return rows


def order(rows: list[TrialRow]) -> list[tuple[int, int]]:
    """(trial, round) of rows."""
    return [(one.trial, one.round) for one in rows]


def test_trials_are_taken_in_turns() -> None:
    assert order(play(EveryTrial([1, 2, 3], 2))) == [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]


@pytest.mark.parametrize("after", [0, 1, 4, 5])
def test_an_interrupted_benchmark_goes_on_where_its_rows_end(after: int) -> None:
    begun = play(EveryTrial([1, 2, 3], 2), turns=after)
    assert order(play(EveryTrial([1, 2, 3], 2), rows=begun)) == order(play(EveryTrial([1, 2, 3], 2)))


def test_warm_ups_are_no_turns() -> None:
    assert EveryTrial([1, 2], 2).next([row(1, 0), row(2, 0)]) == (1, 1)


def test_a_trial_that_failed_is_not_taken_again_and_the_others_are() -> None:
    def failing(one: TrialRow) -> TrialRow:
        return replace(one, error="out of memory") if (one.trial, one.round) == (2, 2) else one

    taken = Counter(one.trial for one in play(EveryTrial([1, 2, 3], 5), spoil=failing))
    assert taken == {1: 5, 2: 2, 3: 5}


def test_a_trial_that_failed_in_its_warm_up_is_never_taken() -> None:
    rows = [row(1, 0), row(2, 0, error="too many workers")]
    assert {one.trial for one in play(EveryTrial([1, 2, 3], 2), rows=rows)[2:]} == {1, 3}


def test_where_all_fail_it_is_over() -> None:
    assert len(play(EveryTrial([1, 2], 5), spoil=lambda one: replace(one, error="no"))) == 2


def test_rounds_that_do_not_count_are_made_up_for() -> None:
    def throttled(one: TrialRow) -> TrialRow:
        return dropped(one, "throttled") if one.round in (2, 3) else one

    rows = play(EveryTrial([1, 2], 10), spoil=throttled)
    assert Counter(one.trial for one in rows if not one.dropped) == {1: 10, 2: 10}


def test_rounds_that_do_not_count_of_one_trial_or_another_leave_rounds_enough_that_all_have() -> None:
    def throttled(one: TrialRow) -> TrialRow:
        return dropped(one, "throttled") if one.round == one.trial else one

    rows = play(EveryTrial([1, 2, 3], 10), spoil=throttled)
    whole = [round_ for round_, count in Counter(one.round for one in rows if not one.dropped).items() if count == 3]
    assert len(whole) == 10
    assert max(one.round for one in rows) == 13


def test_a_card_that_always_throttles_ends_the_benchmark_all_the_same() -> None:
    rows = play(EveryTrial([1, 2], 10), spoil=lambda one: dropped(one, "throttled"))
    assert max(one.round for one in rows) == 15


def test_no_round_begins_that_would_end_after_the_budget() -> None:
    truth = {1: 10.0, 2: 20.0}
    assert Counter(one.trial for one in play(EveryTrial([1, 2], 10, 100), truth)) == {1: 3, 2: 3}
    assert Counter(one.trial for one in play(EveryTrial([1, 2], 10, 89), truth)) == {1: 2, 2: 2}


def test_a_round_that_has_begun_is_taken_to_its_end() -> None:
    truth = {1: 10.0, 2: 20.0}
    begun = play(EveryTrial([1, 2], 10), truth, turns=5)
    assert EveryTrial([1, 2], 10, 70).next(begun, 70.0) == (2, 3)


def test_rows_are_believed_where_they_tell_of_more_seconds_than_were_counted() -> None:
    """A minute is used, and a round takes half of one."""
    begun = play(EveryTrial([1, 2], 10), {1: 10.0, 2: 20.0}, turns=4)
    assert EveryTrial([1, 2], 10, 89).next(begun, 1.0) is None
    assert EveryTrial([1, 2], 10, 90).next(begun, 1.0) == (1, 3)


def test_the_rest_is_what_is_then_taken() -> None:
    for plan in (EveryTrial([1, 2, 3], 4), EveryTrial([1, 2, 3], 40, 500)):
        begun = play(plan, turns=4)
        rest = plan.rest(begun, sum(TRUTH[one.trial] for one in begun))
        assert rest == order(play(plan, rows=begun))[4:]
        assert rest


def test_the_rounds_are_those_that_a_verdict_needs_unless_a_person_says_otherwise() -> None:
    trials = [trial(number, str(number)) for number in range(1, 18)]
    assert schedule(BenchmarkConfig(), trials).rounds == 13
    assert schedule(BenchmarkConfig(), trials[:3]).rounds == 10
    assert schedule(BenchmarkConfig(rounds=4), trials).rounds == 4


def test_trials_that_cannot_be_run_are_never_taken() -> None:
    trials = [trial(1, "a"), replace(trial(2, "b"), error="no"), trial(3, "c")]
    assert {one.trial for one in play(schedule(BenchmarkConfig(), trials))} == {1, 3}


@pytest.mark.parametrize("auto", [True, False])
def test_a_benchmark_that_was_short_of_time_says_how_much_it_would_have_taken(auto: bool) -> None:
    trials = [trial(number, str(number)) for number in TRUTH]
    config = BenchmarkConfig(auto=auto, budget_minutes=6)
    rows = play(schedule(config, trials))
    used = sum(TRUTH[one.trial] for one in rows)
    assert 0 < used <= 360
    assert min(Counter(one.trial for one in rows).values()) < ROUNDS
    minutes = (used + seconds_for_a_verdict(config, trials, rows)) / 60
    found = play(schedule(replace(config, budget_minutes=minutes), trials))
    assert Counter(one.trial for one in found)[2] == ROUNDS
    assert seconds_for_a_verdict(config, trials, found) == pytest.approx(0, abs=0.2 * 60 * minutes)


def test_a_verdict_takes_the_rounds_that_it_needs_though_a_person_asked_for_fewer() -> None:
    trials = [trial(number, str(number)) for number in TRUTH]
    rows = play(EveryTrial(list(TRUTH), 3))
    needed, fewer, more = (
        seconds_for_a_verdict(BenchmarkConfig(rounds=rounds), trials, rows) for rounds in (0, 4, ROUNDS + 1)
    )
    assert fewer == needed == pytest.approx((ROUNDS - 3) * sum(TRUTH.values()))
    assert more > needed


def test_auto_never_leaves_out_the_settings_that_it_is_told_to_compare_with() -> None:
    trials = [trial(number, str(number)) for number in TRUTH]
    rows = play(schedule(BenchmarkConfig(auto=True, budget_minutes=60), trials, current=16))
    assert Counter(one.trial for one in rows)[16] == ROUNDS


def test_auto_halves_within_its_budget() -> None:
    trials = [trial(number, str(number)) for number in TRUTH]
    plan = schedule(BenchmarkConfig(auto=True, budget_minutes=20), trials)
    assert isinstance(plan, Halving)
    assert sum(TRUTH[one.trial] for one in play(plan)) <= 20 * 60


@pytest.mark.parametrize("minutes", [12, 15, 20, 40, 90])
def test_halving_ends_with_the_best_and_the_current_one_and_rounds_for_a_verdict(minutes: float) -> None:
    plan = Halving(list(TRUTH), ROUNDS, 60 * minutes)
    rows = play(plan)
    rounds = Counter(one.trial for one in rows)
    finalists = {number for number, count in rounds.items() if count == ROUNDS}
    assert {1, 2} <= finalists
    assert len(finalists) == FINALISTS + 1
    assert len(plan.dropped(rows)) == len(TRUTH) - len(finalists)


@pytest.mark.parametrize("minutes", [1, 3, 6, 20])
def test_halving_never_outlasts_its_budget_but_for_its_first_round(minutes: float) -> None:
    used = sum(TRUTH[one.trial] for one in play(Halving(list(TRUTH), ROUNDS, 60 * minutes)))
    assert used <= max(60 * minutes, sum(TRUTH.values()))


def test_each_rung_has_half_the_trials_and_twice_the_rounds() -> None:
    rows = play(Halving(list(TRUTH), ROUNDS))
    sizes = [len({one.trial for one in rows if one.round == round_}) for round_ in range(1, ROUNDS + 1)]
    assert sizes == [16] + [9] * 2 + [5] * 4 + [3] * (ROUNDS - 7)


def test_more_time_makes_the_rungs_longer_and_no_more_than_that() -> None:
    counts = [len(play(Halving(list(TRUTH), ROUNDS, 60 * minutes))) for minutes in (12, 20, 1000)]
    assert counts == sorted(counts)
    assert counts[0] < len(play(EveryTrial(list(TRUTH), ROUNDS))) / 2


def test_halving_goes_on_after_an_interruption_as_if_there_had_been_none() -> None:
    whole = play(Halving(list(TRUTH), ROUNDS, 1200))
    for after in (7, 16, 40):
        begun = play(Halving(list(TRUTH), ROUNDS, 1200), turns=after)
        assert order(play(Halving(list(TRUTH), ROUNDS, 1200), rows=begun)) == order(whole)


def test_what_is_measured_later_changes_no_decision() -> None:
    """Turns are so noisy that who was ahead after a round often is not in the end."""

    def noisy(one: TrialRow) -> TrialRow:
        swing = random.Random(f"swing {one.trial} {one.round}").uniform(0.5, 2)
        return replace(one, images_per_second=swing * (one.images_per_second or 0.0))

    plan = Halving(list(TRUTH), ROUNDS)
    rows = play(plan, spoil=noisy)
    gone = plan.dropped(rows)
    for after in range(0, len(rows), 5):
        found = plan.dropped(rows[:after])
        assert found == gone[: len(found)]


def test_a_pause_changes_no_decision() -> None:
    paused = play(Halving(list(TRUTH), ROUNDS, 1200), pause={25: 3600.0})
    assert order(paused) == order(play(Halving(list(TRUTH), ROUNDS, 1200)))


def test_the_current_settings_stay_though_they_are_the_slowest() -> None:
    truth = TRUTH | {1: 100.0}
    rows = play(Halving(list(truth), ROUNDS), truth)
    assert Counter(one.trial for one in rows)[1] == ROUNDS


def test_halving_says_who_went_when_and_why() -> None:
    plan = Halving(list(TRUTH), ROUNDS)
    rows = play(plan)
    gone = plan.dropped(rows)
    assert [one.after_round for one in gone] == sorted(one.after_round for one in gone)
    assert gone[0].trial == 16
    assert gone[0].after_round == 1
    assert gone[0].reason.endswith("× the time of the current settings after 1 round")
    assert float(gone[0].reason.split()[0]) == pytest.approx(2.3, abs=0.05)
    assert plan.dropped(rows[:15]) == []


def test_where_the_time_is_short_more_go_at_once_and_are_told_why() -> None:
    plan = Halving(list(TRUTH), ROUNDS, 600)
    rows = play(plan)
    assert len({one.trial for one in rows if one.round == 2}) == FINALISTS + 1
    assert all(one.reason.endswith("and the time is short") for one in plan.dropped(rows))


@pytest.mark.parametrize(("spare", "sizes"), [(0, [6, 4] + [3] * 8), (-1, [6] + [3] * 9)])
def test_more_than_the_finalists_go_on_while_the_budget_has_a_second_left_for_them(
    spare: int, sizes: list[int]
) -> None:
    """Six trials of ten seconds: a round of all of them, one of four, and eight of the finalists."""
    truth = dict.fromkeys(range(1, 7), 10.0)
    rows = play(Halving(list(truth), 10, 60 + 40 + 8 * 30 + spare), truth)
    assert [len({one.trial for one in rows if one.round == round_}) for round_ in range(1, 11)] == sizes


def test_a_trial_without_a_round_that_counts_is_not_left_out_for_it() -> None:
    def throttled(one: TrialRow) -> TrialRow:
        return dropped(one, "throttled") if (one.trial, one.round) == (2, 1) else one

    rows = play(Halving(list(TRUTH), ROUNDS), spoil=throttled)
    assert Counter(one.trial for one in rows)[2] >= ROUNDS


def test_where_the_current_settings_fail_the_others_are_compared_with_the_fastest() -> None:
    def failing(one: TrialRow) -> TrialRow:
        return replace(one, error="out of memory", images_per_second=None) if one.trial == 1 else one

    plan = Halving(list(TRUTH), ROUNDS)
    rows = play(plan, spoil=failing)
    assert Counter(one.trial for one in rows)[2] == ROUNDS
    assert "the time of the fastest" in plan.dropped(rows)[0].reason


def test_the_fastest_that_stands_for_settings_that_failed_is_one_of_those_with_the_most_rounds() -> None:
    truth = {1: 10.0, 2: 10.0, 3: 11.0, 4: 12.0, 5: 13.0, 6: 14.0, 7: 20.0}

    def spoilt(one: TrialRow) -> TrialRow:
        if one.trial == 1:
            return replace(one, error="out of memory", images_per_second=None)
        return dropped(one, "throttled") if (one.trial, one.round) == (7, 1) else one

    plan = Halving(list(truth), 10)
    last = plan.dropped(play(plan, truth, spoil=spoilt))[-1]
    assert last.trial == 7
    assert float(last.reason.split()[0]) == pytest.approx(2.0, abs=0.05)


def test_a_trial_that_was_measured_late_is_not_sent_home_for_a_machine_that_gets_slower() -> None:
    truth = dict.fromkeys(range(1, 9), 10.0) | {8: 9.0}

    def drifting(one: TrialRow) -> TrialRow:
        assert one.images_per_second is not None
        slower = replace(one, images_per_second=one.images_per_second / (1 + 0.5 * one.round))
        return dropped(slower, "throttled") if (one.trial, one.round) == (8, 1) else slower

    assert Counter(one.trial for one in play(Halving(list(truth), 10), truth, spoil=drifting))[8] >= 10


def test_the_rest_of_a_search_ends_as_the_search_does() -> None:
    plan = Halving(list(TRUTH), ROUNDS, 1200)
    rows = play(plan)
    begun = rows[:20]
    rest = plan.rest(begun, sum(TRUTH[one.trial] for one in begun))
    assert len(rest) == len(rows) - 20
    assert rest[0] == order(rows)[20]


@pytest.mark.parametrize("kind", [EveryTrial, Halving])
def test_a_pause_in_the_first_round_uses_up_no_budget(kind: type[EveryTrial]) -> None:
    """Each trial has one turn by then, so that nothing but its figures tells how long it took."""

    def with_figures(one: TrialRow) -> TrialRow:
        step = TRUTH[one.trial] / 40
        return replace(one, steps=10, t_batch=step, t_data=step, t_batch_next=step, t_data_next=step)

    calm, paused = (
        play(kind(list(TRUTH), ROUNDS, 1800), spoil=with_figures, pause=pause) for pause in ({}, {5: 7200.0})
    )
    assert Counter(one.trial for one in calm)[2] > 5
    assert len(paused) >= 0.9 * len(calm)
    assert Counter(one.trial for one in paused)[2] == Counter(one.trial for one in calm)[2]
