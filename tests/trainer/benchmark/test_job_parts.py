"""What a benchmark does around its turns: what it gives them, what it makes of a failure, and what it keeps."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from tests.trainer.benchmark.benchmarks import new_benchmark, said
from tests.trainer.benchmark.test_watch import Given
from trainer.benchmark import arm as arm_module
from trainer.benchmark import job as job_module
from trainer.benchmark.arm import Arm
from trainer.benchmark.job import _Benchmark
from trainer.benchmark.measure import measure, settle
from trainer.benchmark.under_way import Lost
from trainer.benchmark_config import BenchmarkConfig
from trainer.control import Control, EndRequested, Intent
from trainer.device import prepare
from trainer.job import Job
from trainer.lab.fit import Room
from trainer.lab.halving import Dropped
from trainer.report import make_reporter
from trainer.run import main
from trainer.store import RunStore
from trainer.store.records import TrialRow

CACHE_BYTES = 80 * 3 * 16 * 16


class Turn(NamedTuple):
    """What a turn was given."""

    cache: str
    is_made_anew: bool
    workers: int
    """That were there before it."""
    host_beside: int


class Taken(NamedTuple):
    """A benchmark of two trials with a worker each, whose steps are kept as captured ones are."""

    turns: list[Turn]
    rows: list[TrialRow]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """One step was asked for of the two that an epoch has, so that a warm-up takes all of it."""
    runs = tmp_path_factory.mktemp("turns") / "runs"
    runs.mkdir()
    store, turns, anew = RunStore.open(runs), list[Turn](), list[bool]()

    def settle_and_note(arm: Arm, job: Job, *, is_made_anew: bool) -> None:
        anew.append(is_made_anew)
        settle(arm, job, is_made_anew=is_made_anew)

    def measure_and_note(arm: Arm, *arguments: Any, host_beside: int, **more: Any) -> dict[str, Any]:
        workers = len(multiprocessing.active_children())
        turns.append(Turn(arm.config.cache, anew[-1], workers, host_beside))
        return measure(arm, *arguments, host_beside=host_beside, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arm_module, "_has_own_network", lambda *_: True)
        patch.setattr(job_module, "settle", settle_and_note)
        patch.setattr(job_module, "measure", measure_and_note)
        run_id = new_benchmark(store, {"num_workers": 1, "batch_size": 40}, vary="cache=ram,none", rounds=1, steps=1)
        assert main(["--runs-dir", str(runs), "--run", run_id]) == 0
        rows = store.trials(run_id)
    store.close()
    return Taken(turns, rows)


def test_a_turn_is_told_what_is_in_memory_for_other_trials(taken: Taken) -> None:
    assert {turn.cache: turn.host_beside for turn in taken.turns} == {"ram": 0, "none": CACHE_BYTES}


def test_no_worker_of_a_warm_up_is_there_when_a_turn_begins_though_its_step_was_kept(taken: Taken) -> None:
    assert [(turn.workers, turn.is_made_anew) for turn in taken.turns] == [(0, False)] * 2


def test_two_steps_are_the_fewest_since_of_one_nobody_knows_what_the_next_adds(taken: Taken) -> None:
    assert [row.steps for row in taken.rows if row.round] == [2, 2]


MakeBenchmark = Callable[..., _Benchmark]


@pytest.fixture
def make(store: RunStore) -> MakeBenchmark:
    """Makes benchmarks of seconds that have not begun."""

    def make_one(**asked: Any) -> _Benchmark:
        run = store.run(new_benchmark(store, **asked))
        job = Job(run, store, store.runs_path, Control(store, run.id), make_reporter(headless=False))
        machine = prepare(device="cpu", threads=1)
        return _Benchmark(job, BenchmarkConfig.from_json(run.config), machine, Given({}))

    return make_one


@pytest.mark.parametrize("holds_more", [True, False])
def test_where_memory_is_short_a_turn_is_taken_again_if_something_was_kept_that_it_has_no_use_for(
    make: MakeBenchmark, monkeypatch: pytest.MonkeyPatch, holds_more: bool
) -> None:
    benchmark, calls = make(vary="cache=ram,none"), list[str]()

    def work() -> dict[str, Any]:
        calls.append("work")
        if calls == ["work"]:
            raise MemoryError
        return {"t_batch": 0.5}

    monkeypatch.setattr(benchmark._arms, "holds_more_than", lambda _: holds_more)
    monkeypatch.setattr(benchmark._arms, "drop", lambda _: calls.append("drop"))
    benchmark._attempt(benchmark._trials[1], 1, work)
    (row,) = benchmark._ledger.rows
    assert calls == (["work", "drop", "work"] if holds_more else ["work", "drop"])
    assert row.t_batch == (0.5 if holds_more else None)
    assert (row.error is None) is holds_more


def test_a_trial_that_has_had_a_turn_is_forgiven_the_trainer_that_was_lost_in_it(make: MakeBenchmark) -> None:
    benchmark = make(vary="cache=ram,none")
    mark, marked = benchmark._under_way, list[int]()

    def work() -> dict[str, Any]:
        found = mark._read()
        assert found is not None
        marked.append(found.losses - 1)
        return {"t_batch": 0.5}

    mark.lost = Lost(trial=2, round=0, losses=1)
    for number, round_ in ((1, 0), (2, 0), (1, 1), (2, 1)):
        benchmark._attempt(benchmark._trials[number], round_, work)
        assert mark._read() is None
    assert marked == [0, 1, 0, 0]


def test_seconds_of_a_turn_that_was_broken_off_are_kept(make: MakeBenchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = make(vary="cache=ram,none")

    def break_off(*_: Any) -> None:
        time.sleep(0.1)
        raise EndRequested(Intent.PAUSE)

    monkeypatch.setattr(benchmark, "_begin", lambda _: None)
    monkeypatch.setattr(benchmark, "_take", break_off)
    with pytest.raises(EndRequested):
        benchmark.run()
    kept = benchmark._job.store.run(benchmark._job.run.id).trained_seconds
    assert kept is not None
    assert kept >= 0.1


def test_memory_of_a_step_is_known_from_trials_that_differ_in_their_batch_and_how_they_load(
    make: MakeBenchmark,
) -> None:
    """The most of all their rounds; not of one whose split is on the device, of one that failed or of another step."""
    benchmark = make(vary="batch_size=16,32 cache=none,vram augment=kornia,torchvision drop_last=no,yes")
    names = {number: trial.config(benchmark._base) for number, trial in benchmark._trials.items() if not trial.error}

    def number_of(**settings: Any) -> int:
        wanted = replace(benchmark._base, **settings)
        return next(number for number, config in names.items() if config == wanted)

    small: dict[str, Any] = {"cache": "none", "augment": "kornia", "drop_last": False, "batch_size": 16}
    large = small | {"batch_size": 32}
    for settings, round_, needed, error in (
        (small, 0, 700, None),
        (small, 1, 500, None),
        (large | {"drop_last": True}, 1, 900, None),
        (large | {"cache": "vram"}, 1, 9000, None),
        (large, 1, 8000, "it failed"),
        (small | {"augment": "torchvision"}, 1, 6000, None),
    ):
        benchmark._ledger.put(benchmark._trials[number_of(**settings)], round_, device_memory_bytes=needed, error=error)
    asked = replace(benchmark._base, **large | {"cache": "vram", "batch_size": 64})
    assert benchmark._steps_like(asked) == {16: 700, 32: 900}


def test_the_verdict_names_who_was_left_out_early(make: MakeBenchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = make(vary="cache=ram,none")
    for number in (1, 2):
        benchmark._ledger.put(benchmark._trials[number], 1, images_per_second=100.0 / number)
    monkeypatch.setattr(benchmark._schedule, "dropped", lambda _: [Dropped(2, 1, "2.00 × the time")])
    benchmark._room = Room()
    benchmark._conclude()
    (verdict,) = said(benchmark._job.store, benchmark._job.run.id, "verdict")
    assert f"Left out early: {benchmark._trials[2].name} (2.00 × the time)." in verdict
