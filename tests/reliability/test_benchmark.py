"""Benchmarks in trainers of their own: killed, starved, out of workers, and alone on their device."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.reliability.trainers import Trainer, options, until, workers
from tests.trainer.benchmark.benchmarks import new_benchmark, said, turns
from trainer.store import RunStore
from trainer.store.queue import queue_rows
from trainer.store.records import TrialRow

pytestmark = pytest.mark.reliability


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of locks of this test alone."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def done_turns() -> list[tuple[int, int]]:
    """What an undisturbed benchmark of three trials takes, in its order."""
    return [(trial, round_) for round_ in range(5) for trial in (1, 2, 3)]


def of(rows: list[TrialRow], name: str) -> list[TrialRow]:
    """The rows of a trial that count."""
    return [row for row in rows if row.name == name and row.round]


def test_killed_again_and_again_it_ends_with_the_rows_of_one_that_was_left_alone(
    store: RunStore, runs: Path, done_turns: list[tuple[int, int]]
) -> None:
    run_id = new_benchmark(store, vary="num_workers=0,1,2", rounds=4)
    seen: list[TrialRow] = []
    for count in (2, 5, 9, 12):
        trainer = Trainer(runs, "--run", run_id)
        until(lambda: len(store.trials(run_id)) >= count)  # noqa: B023 - waited for here
        children = workers(trainer.pid)
        trainer.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))  # noqa: B023
        rows = store.trials(run_id)
        assert turns(rows) == done_turns[: len(rows)]
        assert [row for row in rows if row in seen] == sorted(seen, key=lambda row: (row.round, row.trial))
        seen = rows
    last = Trainer(runs, "--run", run_id)
    assert last.wait() == 0, last.said()
    assert turns(store.trials(run_id)) == done_turns
    assert all(row.error is None for row in store.trials(run_id))


def test_a_trial_that_kills_its_trainer_is_left_out_after_the_second_time(store: RunStore, runs: Path) -> None:
    run_id = new_benchmark(store, vary="cache=ram,none,vram", rounds=2)
    for _ in range(2):
        assert Trainer(runs, "--run", run_id, control="dies-without-cache").wait() == -9
    last = Trainer(runs, "--run", run_id, control="dies-without-cache")
    assert last.wait() == 0, last.said()
    rows = store.trials(run_id)
    (failed,) = [row for row in rows if row.error]
    assert (failed.name, failed.round) == ("no cache", 0)
    assert "2 trainers were lost in it" in str(failed.error)
    assert len(rows) == 2 * 3 + 1
    assert len(said(store, run_id, "trial-lost")) == 1


def test_workers_that_die_are_a_row_and_the_next_trial_has_its_own(store: RunStore, runs: Path) -> None:
    run_id = new_benchmark(store, vary="num_workers=0,2", rounds=2)
    trainer = Trainer(runs, "--run", run_id, control="workers-die")
    assert trainer.wait() == 0, trainer.said()
    rows = store.trials(run_id)
    (failed,) = [row for row in rows if row.error]
    assert failed.name == "2 workers"
    assert str(failed.error).startswith("--num-workers: loader worker ")
    assert "was killed by SIGKILL" in str(failed.error)
    assert [row.round for row in of(rows, "no workers")] == [1, 2]


def test_a_starved_loader_is_what_the_verdict_says(store: RunStore, runs: Path) -> None:
    run_id = new_benchmark(store, {"cache": "none"}, vary="cache=none,ram", rounds=10)
    trainer = Trainer(runs, "--run", run_id, control="loads-slowly")
    assert trainer.wait() == 0, trainer.said()
    starved, fed = (of(store.trials(run_id), name) for name in ("no cache", "ram"))
    assert len(starved) == len(fed) == 10
    assert median(row.idle or 0 for row in starved) > 0.5 > median(row.idle or 0 for row in fed)
    (verdict,) = said(store, run_id, "verdict")
    assert "waits for data" in verdict
    assert "ram" in verdict


def test_from_some_steps_an_epoch_is_what_whole_epochs_are(store: RunStore, runs: Path) -> None:
    """Where loading takes a known time that outweighs everything else, so that a busy machine changes little."""
    base = {"cache": "none", "limit_per_class": 16}  # 10 steps
    some, whole = (new_benchmark(store, base, vary="num_workers=0,1", rounds=1, steps=steps) for steps in (4, 0))
    for run_id in (some, whole):
        trainer = Trainer(runs, "--run", run_id, control="loads-slowly")
        assert trainer.wait() == 0, trainer.said()
    for name in ("no workers", "1 worker"):
        short, long = (of(store.trials(run_id), name) for run_id in (some, whole))
        assert [(row.steps, other.steps) for row, other in zip(short, long, strict=True)] == [(4, 10)]
        for first, second in zip(short, long, strict=True):
            assert first.t_epoch_next == pytest.approx(second.t_epoch_next, rel=0.25)


@pytest.fixture
def measuring(store: RunStore, runs: Path) -> Iterator[str]:
    """A benchmark that goes on until it is asked to end."""
    run_id = new_benchmark(store, vary="cache=ram,vram", rounds=1000)
    trainer = Trainer(runs, "--run", run_id)
    until(lambda: len(store.trials(run_id)) >= 3)
    yield run_id
    trainer.kill()


@pytest.mark.usefixtures("measuring")
def test_nobody_trains_beside_a_benchmark(store: RunStore, runs: Path) -> None:
    log = runs.with_name("other.log")
    trainer = Trainer(runs, "--name", "other", *options(epochs="1"), log=log)
    assert trainer.wait() == 75
    assert "is held by a benchmark, benchmark-shapes-resnet-narrow" in trainer.said()


def test_who_queues_gets_the_device_once_it_has_ended(store: RunStore, runs: Path, measuring: str) -> None:
    trainer = Trainer(runs, "--queue", "--name", "other", *options(epochs="1"), log=runs.with_name("other.log"))
    until(lambda: len(queue_rows(store)) == 1)
    store.request(measuring, "pause")
    assert trainer.wait() == 0, trainer.said()
    assert store.run(measuring).lifecycle == "paused"
    assert store.find("other").lifecycle == "finished"


def test_a_benchmark_waits_its_turn_or_says_who_has_the_device(store: RunStore, runs: Path) -> None:
    trainer = Trainer(runs, "--name", "other", *options(epochs="5000", knn_every="0", validate_every="0"))
    until(lambda: any(run.name == "other" and store.last_step(run.id) >= 1 for run in store.runs()))
    other = store.find("other").id
    run_id = new_benchmark(store, vary="cache=ram,vram", rounds=1)
    refused = Trainer(runs, "--run", run_id, log=runs.with_name("refused.log"))
    assert refused.wait() == 75
    assert f"is used by other ({other}); pause it with `simclr-tui pause {other}`" in refused.said()
    waiting = Trainer(runs, "--run", run_id, "--queue", log=runs.with_name("waiting.log"))
    until(lambda: len(queue_rows(store)) == 1)
    assert [row.round for row in store.trials(run_id)] == []
    store.request(other, "pause")
    assert trainer.wait() == 75
    assert waiting.wait() == 0, waiting.said()
    assert len(of(store.trials(run_id), "ram")) == 1
