"""What a benchmark writes down, on a store that others read meanwhile and that may be full."""

import time
from typing import Any

import pytest

from tests.trainer.benchmark.benchmarks import said
from tests.trainer.lab.synthetic import trial
from trainer import job as job_module
from trainer.benchmark.ledger import Ledger
from trainer.control import Control
from trainer.errors import StoreError
from trainer.job import Job
from trainer.lab.halving import EveryTrial, Halving, Schedule
from trainer.report import make_reporter
from trainer.store import RunStore

TRIALS = [trial(number, f"trial {number}", num_workers=number) for number in range(1, 5)]


@pytest.fixture
def job(store: RunStore) -> Job:
    """A benchmark's job, whose earlier trainers were at work for a minute."""
    run_id = store.create_run(kind="benchmark", name="a", config="{}")
    store.update_run(run_id, trained_seconds=60.0)
    return Job(store.run(run_id), store, store.runs_path, Control(store, run_id), make_reporter(headless=False))


def ledger_of(job: Job, schedule: Schedule) -> Ledger:
    """The ledger of four trials."""
    return Ledger(job, TRIALS, schedule)


def test_seconds_go_on_where_the_trainer_before_left_off_and_are_kept_with_each_row(job: Job) -> None:
    ledger = ledger_of(job, EveryTrial([1, 2, 3, 4], 2))
    assert 60 <= ledger.seconds_used < 90
    time.sleep(0.05)
    ledger.put(TRIALS[0], 0, warmup_seconds=1.0)
    kept = job.store.run(job.run.id).trained_seconds
    assert kept is not None
    assert 60.05 <= kept <= ledger.seconds_used


def test_a_row_has_its_trial_and_a_failure_its_warning(job: Job) -> None:
    ledger = ledger_of(job, EveryTrial([1, 2, 3, 4], 2))
    ledger.put(TRIALS[1], 1, t_batch=0.5, dropped="the device was throttled: power brake")
    ledger.fail(TRIALS[2], 0, "--cache: it can't")
    counted, failed = ledger.rows[1], ledger.rows[0]
    assert (counted.trial, counted.round, counted.name, counted.settings) == (2, 1, "trial 2", '{"num_workers": 2}')
    assert (counted.t_batch, counted.error) == (0.5, None)
    assert (failed.trial, failed.round, failed.error) == (3, 0, "--cache: it can't")
    assert said(job.store, job.run.id, "trial-failed") == ["trial 3 (trial 3) is left out: --cache: it can't"]
    dropped = "round 1 of trial 2 is not counted: the device was throttled: power brake"
    assert said(job.store, job.run.id, "round-dropped") == [dropped]


def test_who_is_left_out_is_told_once_by_whichever_trainer(job: Job) -> None:
    schedule = Halving([1, 2, 3, 4], 10)
    for number in (1, 2, 3, 4):
        ledger_of(job, schedule).put(TRIALS[number - 1], 1, images_per_second=100.0 / number)
    for number in (1, 2, 3):
        ledger_of(job, schedule).put(TRIALS[number - 1], 2, images_per_second=100.0 / number)
    told = "trial 4 is left out from here on: 4.00 × the time of the current settings after 1 round"
    assert said(job.store, job.run.id, "left-out") == [told]


def test_a_full_disk_is_waited_out_and_the_row_is_there(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    put = RunStore.put_trial

    def put_later(store: RunStore, row: dict[str, Any]) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("database or disk is full")
        put(store, row)

    monkeypatch.setattr(job_module, "INSIST_SECONDS", 0.0)
    monkeypatch.setattr(RunStore, "put_trial", put_later)
    ledger = ledger_of(job, EveryTrial([1, 2, 3, 4], 2))
    ledger.put(TRIALS[0], 1, t_batch=0.5)
    assert [row.trial for row in ledger.rows] == [1]
    assert len(tries) == 3


def test_how_far_it_is_counts_the_turns_that_the_seconds_used_leave_time_for(job: Job) -> None:
    """Turns of ten seconds, four of them taken, though a minute was used; a round more ends after 80 seconds."""
    rows = [(number, round_) for round_ in (1, 2) for number in (1, 2)]
    for place, (number, round_) in enumerate(rows):
        row = {"run_id": job.run.id, "trial": number, "round": round_, "name": "", "settings": "{}"}
        job.store.put_trial(row | {"at": 1000.0 + 10 * place})

    def shown(budget: float) -> tuple[int | None, int | None]:
        ledger_of(job, EveryTrial([1, 2], 3, budget)).show("trial 1, round 3 of 3")
        run = job.store.run(job.run.id)
        return run.step, run.total_steps

    assert shown(0) == (4, 6)
    assert shown(90) == (4, 6)
    assert shown(70) == (4, 4)


def test_a_store_that_refuses_stops_no_benchmark_where_only_progress_is_lost(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of(job, EveryTrial([1, 2, 3, 4], 2))

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("database or disk is full")

    monkeypatch.setattr(RunStore, "update_run", refuse)
    ledger.show("trial 1, warm-up")
    ledger.put(TRIALS[0], 0, warmup_seconds=1.0)
    assert len(ledger.rows) == 1
