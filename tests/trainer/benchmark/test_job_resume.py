"""A benchmark that ended early goes on where its rows end, and ends with the rows of one that was left alone."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.benchmark.benchmarks import new_benchmark, said, turns
from trainer import control
from trainer.benchmark import job
from trainer.benchmark.measure import measure
from trainer.paths import under_way_file
from trainer.run import main
from trainer.store import RunStore

WHOLE = [(trial, round_) for round_ in range(3) for trial in (1, 2, 3)]
VARY = "cache=ram,vram,none"


def interrupted_at(
    turn: tuple[int, int], how: str, store: RunStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> int:
    """The exit code of a trainer that was asked to end while it took a turn."""
    trial = VARY.partition("=")[2].split(",")[turn[0] - 1]

    def ask_and_measure(arm: Any, job_: Any, clock: Any, sampler: Any, number: int, **more: Any) -> Any:
        if (arm.config.cache, number) == (trial, 3 * (turn[1] - 1) + turn[0]):
            if how == "SIGTERM":
                signal.raise_signal(signal.SIGTERM)
            else:
                store.request(run_id, how)
        return measure(arm, job_, clock, sampler, number, **more)

    with monkeypatch.context() as patch:
        patch.setattr(control, "POLL_SECONDS", 0.0)
        patch.setattr(job, "measure", ask_and_measure)
        return main(["--runs-dir", str(store.runs_path), "--run", run_id])


@pytest.mark.parametrize(
    ("how", "code", "lifecycle"),
    [
        ("pause", 75, "paused"),
        pytest.param("stop", 0, "stopped", marks=pytest.mark.reliability),
        pytest.param("SIGTERM", 143, "interrupted", marks=pytest.mark.reliability),
    ],
)
def test_the_turn_under_way_is_taken_anew_and_the_rows_before_it_stay(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, how: str, code: int, lifecycle: str
) -> None:
    run_id = new_benchmark(store, vary=VARY)
    assert interrupted_at((2, 1), how, store, run_id, monkeypatch) == code
    row = store.run(run_id)
    assert (row.lifecycle, row.step, row.total_steps) == (lifecycle, 1, 6)
    before = store.trials(run_id)
    assert turns(before) == WHOLE[:4]
    assert main(["--runs-dir", str(store.runs_path), "--run", run_id]) == 0
    after = store.trials(run_id)
    assert turns(after) == WHOLE
    assert [one for one in after if (one.trial, one.round) in WHOLE[:4]] == before
    assert said(store, run_id, "trial-lost") == []
    assert store.run(run_id).trained_seconds > (row.trained_seconds or 0)  # type: ignore[operator]


def lost_in(store: RunStore, run_id: str, turn: tuple[int, int], losses: int) -> None:
    """Leave what trainers leave that were killed in a turn, one after the other."""
    path: Path = under_way_file(store.runs_path, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"trial": turn[0], "round": turn[1], "losses": losses - 1}))


@pytest.mark.reliability
def test_a_trial_that_a_trainer_was_lost_in_once_is_taken_again(store: RunStore) -> None:
    run_id = new_benchmark(store, vary=VARY, rounds=1)
    lost_in(store, run_id, (2, 0), 1)
    assert main(["--runs-dir", str(store.runs_path), "--run", run_id]) == 0
    assert [row.error for row in store.trials(run_id)] == [None] * 6
    (told,) = said(store, run_id, "trial-lost")
    assert told.startswith("the last trainer was lost in trial 2 (")


def test_one_that_two_were_lost_in_is_left_out_and_the_others_go_on(store: RunStore) -> None:
    run_id = new_benchmark(store, vary=VARY, rounds=1)
    lost_in(store, run_id, (2, 0), 2)
    assert main(["--runs-dir", str(store.runs_path), "--run", run_id]) == 0
    rows = {(row.trial, row.round): row.error for row in store.trials(run_id)}
    assert rows.keys() == {(1, 0), (2, 0), (3, 0), (1, 1), (3, 1)}
    assert str(rows[2, 0]).startswith("2 trainers were lost in it, one after the other")
    assert sum(error is not None for error in rows.values()) == 1
    assert not under_way_file(store.runs_path, run_id).exists()
