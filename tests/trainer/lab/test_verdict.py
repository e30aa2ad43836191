"""Tests of the verdict against benchmarks whose truth is known."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.lab.synthetic import BASE, dropped, every, measure, row
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.lab import rules
from trainer.lab.fit import Room
from trainer.lab.halving import Dropped, rounds_for
from trainer.lab.measured import COUNTS
from trainer.lab.results import results_of
from trainer.lab.trials import Trial, current, plan
from trainer.lab.vary import MOST_TRIALS
from trainer.lab.verdict import Verdict, verdict
from trainer.settings import fields_of
from trainer.store.records import TrialRow

GIB = 2**30
ROOM = Room(split_bytes=int(2.8 * GIB), device_free_bytes=61 * GIB, host_free_bytes=200 * GIB)
WORKERS = {0: 1.33, 2: 1.0, 3: 1.0, 6: 1.0, 12: 1.34}


def judge(
    trials: list[Trial],
    truth: Callable[[PretrainConfig], float],
    *,
    rounds: int = 13,
    on_cuda: bool = True,
    **options: Any,
) -> Verdict:
    """The verdict about trials whose epochs take so many seconds."""
    columns = options.pop("columns", None)
    rows = measure(trials, truth, rounds=rounds, columns=columns)
    return verdict(results_of(rows), BASE, on_cuda=on_cuda, **options)


def grid(**values: list[Any]) -> list[Trial]:
    """Every combination, with the current settings first."""
    settings = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    changed = [{k: v for k, v in one.items() if getattr(BASE, k) != v} for one in settings]
    wanted = [{}, *(one for one in changed if one)]
    return [Trial(number, json.dumps(one), one) for number, one in enumerate(wanted, start=1)]


def the(found: Verdict, beginning: str) -> str:
    """The one sentence that begins so."""
    (sentence,) = [sentence for sentence in found.sentences if sentence.startswith(beginning)]
    return sentence


def test_the_seed_rule_comes_out_where_it_is_the_truth() -> None:
    columns = {number: {"idle": 0.02, "t_data_next": 0.001} for number in range(1, 10)}
    found = judge(
        every(num_workers=[0, 3, 6, 12], cache=["vram"]),
        lambda c: 60 / 2.25 if c.cache == "vram" else 60 * WORKERS[c.num_workers],
        room=ROOM,
        columns=columns,
    )
    assert found.is_final
    enough = the(found, "2 workers are enough")
    assert enough.startswith("2 workers are enough (3 and 6 no faster, 0 slower by 3")
    assert ", 12 slower by 3" in enough
    assert the(found, "With current").startswith("With current, the device waits for data at most 2 % of the time")
    gain = the(found, "The next gain")
    assert gain.startswith("The next gain is cache=vram, 2.")
    assert gain.endswith(" ×, which needs 2.8 of 61 GiB free and can't change the result.")
    assert (found.apply, found.fork) == ({"cache": "vram"}, {})


def test_where_twelve_workers_are_the_best_the_words_say_so() -> None:
    found = judge(every(num_workers=[0, 6, 12]), lambda c: {0: 90.0, 2: 60.0, 6: 40.0, 12: 30.0}[c.num_workers])
    assert the(found, "12 workers").startswith("12 workers are the fastest number tried (0 ")
    assert "6 slower by 3" in the(found, "12 workers")
    assert found.apply == {"num_workers": 12}
    assert "The next gain is num_workers=12, " in found.text


def test_where_no_workers_are_the_best_the_words_say_so() -> None:
    found = judge(every(num_workers=[0, 4]), lambda c: 60.0 + 5 * c.num_workers)
    assert the(found, "No workers are needed").startswith("No workers are needed (2 slower by ")
    assert found.apply == {"num_workers": 0}


def test_a_noisy_machine_leaves_open_whether_workers_are_enough() -> None:
    trials = every(num_workers=[4])
    rows = measure(trials, lambda c: 60.0, rounds=10)
    swings = itertools.cycle([0.7, 1.5, 0.8, 1.4, 1.1])
    rows = [
        replace(one, images_per_second=next(swings) * (one.images_per_second or 0)) if one.trial == 2 else one
        for one in rows
    ]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert "2 workers are perhaps enough (4: no difference found (0.67–1.42))." in found.sentences
    assert found.apply == {}


def test_what_pinning_does_is_said_for_each_number_of_workers() -> None:
    def truth(c: PretrainConfig) -> float:
        both = c.pin_memory and c.persistent_workers
        return 60.0 * (1.0 if c.num_workers and both else 1.1 if c.num_workers else 1.4)

    settings: list[dict[str, Any]] = [
        {},
        {"pin_memory": False, "persistent_workers": False},
        {"num_workers": 6},
        {"num_workers": 6, "pin_memory": False, "persistent_workers": False},
        {"num_workers": 0},
        {"num_workers": 0, "pin_memory": False},
    ]
    found = judge([Trial(n, str(n), one) for n, one in enumerate(settings, start=1)], truth)
    both = the(found, "With 2 and 6 workers, persistent and pinned")
    assert "is faster by" in both
    assert both.endswith("than neither.")
    assert the(found, "Without workers").startswith(
        "Without workers, pinned against not pinned: no difference found (0.9"
    )


def test_where_pinning_harms_the_words_say_so() -> None:
    found = judge(
        grid(num_workers=[0, 2], pin_memory=[True, False]),
        lambda c: 60.0 * (1.2 if c.pin_memory and c.num_workers else 1.0) * (0.8 if c.pin_memory else 1.0),
    )
    assert "With 2 workers, pinned is slower by" not in found.text
    assert the(found, "Without workers, pinned").endswith("× as fast as not pinned.")
    other = judge(grid(pin_memory=[True, False]), lambda c: 60.0 * (1.2 if c.pin_memory else 1.0))
    assert the(other, "With 2 workers, pinned is slower by").endswith("than not pinned.")
    assert other.apply == {"pin_memory": False}


def test_where_all_are_equal_no_difference_is_found() -> None:
    found = judge(every(num_workers=[0, 4], cache=["none", "vram"]), lambda c: 60.0)
    assert found.sentences[0].startswith(
        "Between the current settings (current) and any of the 4 other trials there is no difference found ("
    )
    assert (found.apply, found.fork) == ({}, {})
    assert "The next gain" not in found.text
    assert "slower" not in found.text


def test_a_starved_loader_is_named() -> None:
    columns = {number: {"idle": 0.6, "t_data_next": 0.11} for number in (1, 2)}
    found = judge(every(num_workers=[4]), lambda c: 60.0, columns=columns)
    assert the(found, "With current, the loader starves the device").endswith(
        "it waits for data 60 % of the time; the host waits 110.0 ms a step for a batch."
    )


def test_a_device_that_waits_for_the_host_is_not_said_to_wait_for_data() -> None:
    found = judge(every(num_workers=[4]), lambda c: 60.0, columns={1: {"idle": 0.4, "t_data_next": 0.0001}})
    assert "the device waits 40 % of the time, but not for data" in the(found, "With current")


def test_a_starved_loader_is_named_on_a_cpu_too() -> None:
    columns = {1: {"t_data_next": 0.09}, 2: {"t_data_next": 0.001}}
    found = judge(every(num_workers=[4]), lambda c: 60.0 / (1 + c.num_workers), columns=columns, on_cuda=False)
    assert "the loader starves the training: it waits for data" in the(found, "With current")
    assert "the training waits for data" in the(found, "With num_workers 4")


def test_before_ten_rounds_there_is_no_verdict() -> None:
    found = judge(every(num_workers=[0, 4]), lambda c: 60.0 * WORKERS.get(c.num_workers, 0.5), rounds=9)
    assert not found.is_final
    assert found.sentences[0].startswith(
        "So far, after 9 of the 10 rounds that a verdict needs, num_workers 4 is ahead: 2."
    )
    assert found.best is not None
    assert found.best.name == "num_workers 4"
    assert (found.apply, found.fork) == ({}, {})


def test_a_round_that_is_under_way_is_waited_for() -> None:
    rows = measure(every(num_workers=[0]), lambda c: 60.0, rounds=10)
    assert not verdict(results_of(rows[:-1]), BASE, on_cuda=True).is_final
    assert verdict(results_of(rows), BASE, on_cuda=True).is_final


def test_many_trials_need_more_rounds() -> None:
    trials = every(num_workers=list(range(17)))
    assert "of the 13 rounds" in judge(trials, lambda c: 60.0, rounds=12).sentences[0]
    assert judge(trials, lambda c: 60.0, rounds=13).is_final


def test_nothing_is_said_of_nothing() -> None:
    assert verdict([], BASE, on_cuda=True).sentences == ("Nothing has been measured yet.",)


def test_where_no_turn_counts_the_reason_is_told() -> None:
    rows = [dropped(one, "throttled") for one in measure(every(num_workers=[0]), lambda c: 60.0, rounds=15)]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert not found.is_final
    assert found.sentences == ("No turn counts so far.", "Turns that are not counted: 30 (throttled).")


def test_a_trial_of_which_no_turn_counts_is_named_and_the_others_are_judged() -> None:
    rows = measure(every(num_workers=[0, 4]), lambda c: 60.0 / (1 + c.num_workers), rounds=13)
    rows = [dropped(one, "throttled") if one.trial == 3 else one for one in rows]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.is_final
    assert "Too few rounds count of num_workers 4 (0 of 10)." in found.sentences
    assert found.best is not None
    assert found.best.number == 1


def test_failed_trials_are_told_with_their_reasons_and_hold_up_nothing() -> None:
    rows = measure(every(num_workers=[0, 12]), lambda c: 60.0)
    failed = row(3, 1, name="12 workers", settings='{"num_workers": 12}', error="--num-workers: /dev/shm is full.")
    rows = [*(one for one in rows if one.trial != 3), failed]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.is_final
    assert found.sentences[-1] == "Not measured: 12 workers (--num-workers: /dev/shm is full)."


def test_rounds_that_are_not_counted_are_told() -> None:
    rows = measure(every(num_workers=[0]), lambda c: 60.0, rounds=14)
    rows = [dropped(one, "the card was throttled") if one.round in (3, 4) else one for one in rows]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.is_final
    assert "Turns that are not counted: 4 (the card was throttled)." in found.sentences


def test_a_trial_with_too_few_rounds_that_count_is_named_and_not_judged() -> None:
    rows = measure(every(num_workers=[0, 4]), lambda c: 60.0 / (1 + c.num_workers), rounds=12)
    rows = [dropped(one, "throttled") if one.trial == 3 and one.round > 9 else one for one in rows]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.is_final
    assert "Too few rounds count of num_workers 4 (9 of 10)." in found.sentences
    assert found.apply == {}


def test_where_the_current_settings_have_too_few_rounds_that_count_nothing_is_applied() -> None:
    rows = measure(every(num_workers=[0, 4]), lambda c: 60.0 + 30 * c.num_workers, rounds=12)
    rows = [dropped(one, "throttled") if one.trial == 1 and one.round > 9 else one for one in rows]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.is_final
    assert "the current settings could not be compared" in found.sentences[0]
    assert found.apply == {}


def test_what_halving_left_out_is_told_and_not_waited_for() -> None:
    rows = measure(every(num_workers=[0, 4, 8]), lambda c: 60.0)
    rows = [one for one in rows if one.trial != 4 or one.round <= 2]
    assert not verdict(results_of(rows), BASE, on_cuda=True).is_final
    gone = [Dropped(4, 2, "1.40 × the time of the current settings after 2 rounds")]
    found = verdict(results_of(rows), BASE, on_cuda=True, dropped=gone)
    assert found.is_final
    assert found.sentences[-1] == (
        "Left out early: num_workers 8 (1.40 × the time of the current settings after 2 rounds)."
    )


def test_what_changes_the_result_is_a_fork_and_what_does_not_is_applied() -> None:
    found = judge(
        every(cache=["vram"], augment=["fused"], precision=["bfloat16"]),
        lambda c: 60.0 * (0.5 if c.augment == "fused" else 0.8 if c.cache == "vram" else 1.0),
        room=ROOM,
    )
    assert (found.apply, found.fork) == ({"cache": "vram"}, {"augment": "fused"})
    assert the(found, "The next gain").endswith("× , which makes it another experiment.".replace("× ,", "×,"))


def test_nothing_is_ever_applied_that_can_change_a_result() -> None:
    results = {field.name for field in fields_of(PretrainConfig) if field.setting.results}
    values: dict[str, list[Any]] = {
        "batch_size": [512],
        "augment": ["fused", "torchvision"],
        "precision": ["float32", "bfloat16"],
        "compile": ["no", "yes"],
        "channels_last": ["no"],
        "deterministic": ["no"],
        "drop_last": [False],
    }
    for name, tried in values.items():
        found = judge(every(**{name: tried}), lambda c: 60.0 if c == BASE else 30.0)
        assert found.apply == {}
        assert found.fork.keys() & results == {name}


def test_batches_of_other_sizes_are_compared_by_the_image() -> None:
    rows = [
        replace(one, t_epoch_next=1.0 if one.trial == 2 else 99.0)
        for one in measure(every(batch_size=[512]), lambda c: 60.0 if c.batch_size == 256 else 80.0)
    ]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert the(found, "Against batch_size=256, 512 is slower by 3")
    assert found.fork == {}


def test_each_other_setting_is_told_against_its_current_value() -> None:
    found = judge(
        every(cache=["none", "vram"], compile=["no", "graph"]),
        lambda c: 60.0 * {"none": 1.1, "ram": 1.0, "vram": 0.4}[c.cache] * (0.8 if c.compile == "graph" else 1.0),
    )
    assert "none is slower by" in the(found, "Against cache=ram, ")
    assert "vram is 2." in the(found, "Against cache=ram, ")
    sentence = the(found, "Against compile=auto, ")
    assert "no difference found with no" in sentence
    assert "graph is 1.2" in sentence


def test_a_line_of_workers_says_what_it_was_measured_beside() -> None:
    found = judge(
        grid(num_workers=[0, 2], augment=["kornia", "fused"]), lambda c: 60.0 if c.augment == "kornia" else 20.0
    )
    assert the(found, "With fused: no workers are needed (2 no faster).")


def test_the_notes_are_compared_with_what_they_decide_for_and_nothing_of_them_is_applied() -> None:
    config = BenchmarkConfig(preset="notes")
    trials = plan(config, on_cuda=True)

    def truth(c: PretrainConfig) -> float:
        return 30.0 if c.augment == "fused" else 45.0 if c.cache == "vram" else 60.0

    found = judge(trials, truth, current=current(config))
    assert found.sentences[0].startswith("The fastest of 17 is ours: 1.9")
    assert "the reference (kornia · 3 workers · persistent · pinned)" in found.sentences[0]
    assert found.apply == {}
    assert found.fork == {"augment": "fused", "cache": "vram"}


def test_what_was_compared_with_other_settings_than_the_runs_is_not_applied_to_it() -> None:
    config = BenchmarkConfig(preset="notes")
    trials = plan(config, on_cuda=True)
    base = replace(BASE, **trials[9].settings)  # 2 workers, where the notes' are 3
    rows = measure(trials, lambda c: 30.0 if c.cache == "vram" and c.augment == "kornia" else 60.0)
    assert verdict(results_of(rows), base, on_cuda=True, current=9).apply == {}
    assert verdict(results_of(rows), base, on_cuda=True, current=10).apply == {"cache": "vram"}


def test_the_page_has_the_thresholds_and_the_numbers_of_rounds() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "laboratory.md").read_text().split())
    assert f"above {1 + COUNTS:.2f} as a whole (`COUNTS`, {100 * COUNTS:.0f} %" in page
    assert f"above {1 + rules.WIDE:.2f} (`WIDE`)" in page
    assert f"below {1 - COUNTS:.2f} as a whole), the fastest" in page
    assert f"idle under {100 * rules.STARVED:.0f} % (`STARVED`)" in page
    assert f"Above {MOST_TRIALS} combinations" in page
    rounds = ", ".join(f"{trials} need {rounds_for(trials)}" for trials in (17, 50))
    assert f"7 trials need {rounds_for(7)}, {rounds}." in page


def test_where_the_current_settings_fail_the_fastest_of_the_others_is_recommended() -> None:
    rows = [one for one in measure(every(num_workers=[0, 4]), lambda c: 60.0 + c.num_workers) if one.trial != 1]
    rows.append(row(1, 1, name="2 workers", error="/dev/shm is full"))
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.sentences[0].endswith("num_workers 0; the current settings could not be compared with it.")
    assert found.apply == {"num_workers": 0}


def test_differences_too_small_to_act_on_do_not_ask_for_more_workers() -> None:
    trials = every(num_workers=[4])
    rows = [
        replace(one, images_per_second=(1000.0 + one.round) * (1.005 if one.trial == 2 else 1.0))
        for one in measure(trials, lambda c: 60.0)
    ]
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert "2 workers are enough (4 no faster)." in found.sentences
    assert (found.apply, found.fork) == ({}, {})
    assert "The next gain" not in found.text


@pytest.mark.parametrize("on_cuda", [True, False])
def test_the_same_rows_give_the_same_words(on_cuda: bool) -> None:
    trials = grid(num_workers=[0, 2, 4], cache=["none", "ram", "vram"])
    rows = measure(trials, lambda c: 60.0 + c.num_workers)
    first = verdict(results_of(rows), BASE, on_cuda=on_cuda, room=ROOM)
    assert verdict(results_of(rows[::-1]), BASE, on_cuda=on_cuda, room=ROOM) == first


def noisy(trials: list[Trial], swings: dict[int, list[float]]) -> list[TrialRow]:
    """Rows whose time is that of the first trial times a swing, by trial; each swing has one value a round."""
    rows = measure(trials, lambda c: 60.0, rounds=10)
    return [replace(one, images_per_second=1000.0 / swings.get(one.trial, [1.0] * 10)[one.round - 1]) for one in rows]


def test_the_fastest_is_one_that_is_faster_without_doubt_though_another_one_may_be_more_so() -> None:
    rows = noisy(every(num_workers=[0, 4]), {2: [0.5] * 9 + [2.0], 3: [0.8] * 10})
    found = verdict(results_of(rows), BASE, on_cuda=True)
    assert found.best is not None
    assert found.best.number == 3
    assert found.sentences[0].startswith("The fastest of 3 is num_workers 4: ")


def test_numbers_of_workers_that_are_faster_are_not_said_to_be_no_faster() -> None:
    """Which one is the quickest is not known, so the smallest is perhaps enough; one is faster than that, though."""
    rows = noisy(every(num_workers=[4, 8]), {2: [0.95] * 10, 3: [0.8] * 9 + [1.3]})
    said = " ".join(verdict(results_of(rows), BASE, on_cuda=True).sentences)
    assert "4 no faster" not in said
    assert "4 faster by 5.26 %" in said


def test_what_a_gain_takes_on_the_device_is_told_where_it_is_more() -> None:
    columns = {1: {"device_memory_bytes": 2 * GIB}, 2: {"device_memory_bytes": 3 * GIB}}
    found = judge(every(compile=["graph"]), lambda c: 60.0 if c == BASE else 30.0, columns=columns)
    assert "which needs 3.0 GiB on the device instead of 2.0 GiB and makes it another" in the(found, "The next gain")


def test_both_switches_are_told_by_trials_that_have_both_and_neither_alone() -> None:
    """And not by one that has the first against one that has the second."""
    settings: list[dict[str, Any]] = [{"pin_memory": False}, {"persistent_workers": False}]
    rows = measure([Trial(n, str(n), one) for n, one in enumerate(settings, 1)], lambda c: 60.0 - 9 * c.pin_memory)
    assert "neither" not in verdict(results_of(rows), BASE, on_cuda=True).text


def test_a_line_does_not_begin_with_no_workers_which_would_mix_what_workers_have() -> None:
    """No workers go with any number of batches that workers load ahead."""
    settings: list[dict[str, Any]] = [{}, {"num_workers": 0}, {"num_workers": 4, "prefetch_factor": 8}]
    trials = [Trial(n, str(n), one) for n, one in enumerate(settings, 1)]
    found = judge(trials, lambda c: {0: 40.0, 2: 60.0, 4: 50.0}[c.num_workers])
    sentence = the(found, "No workers are needed")
    assert sentence.startswith("No workers are needed (4 slower by ")
    assert "2 slower" not in sentence
