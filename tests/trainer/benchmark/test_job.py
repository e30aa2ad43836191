"""A benchmark from its settings to its rows: what runs is measured in turns, what fails is a row with its reason."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.trainer.benchmark.benchmarks import new_benchmark, said, turns
from tests.trainer.benchmark.test_watch import Given
from trainer.benchmark import evidence
from trainer.benchmark.arm import ShortLoader
from trainer.data.shapes import DrawnImages
from trainer.data.split import Indices, TensorImages
from trainer.lab.fit import Room
from trainer.loader import _Batches, _Request
from trainer.paths import under_way_file
from trainer.run import main
from trainer.store import RunStore
from trainer.store.records import TrialRow

VARY = "cache=ram,vram,none augment=kornia,torchvision"
REFUSED, FAILING = "vram · torchvision", "no cache · torchvision"


class Done(NamedTuple):
    """A benchmark that has ended."""

    store: RunStore
    run_id: str
    code: int

    @property
    def rows(self) -> list[TrialRow]:
        """All that it wrote."""
        return self.store.trials(self.run_id)

    def of(self, *words: str) -> list[TrialRow]:
        """The rows of the trial that has these settings, in the order of rounds."""
        return [row for row in self.rows if sorted((row.name or "").split(" · ")) == sorted(words)]


def run(runs: Path, store: RunStore, run_id: str) -> Done:
    """Do a benchmark in this process."""
    return Done(store, run_id, main(["--runs-dir", str(runs), "--run", run_id]))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A benchmark of six trials, of which one is refused and one has too little memory in its second round."""
    runs = tmp_path_factory.mktemp("benchmark") / "runs"
    runs.mkdir()
    store = RunStore.open(runs)
    run_id = new_benchmark(store, vary=VARY)
    asked: list[int] = []

    def answer(self: _Batches, request: _Request) -> Tensor:
        """Too little memory in the second round, where nothing is cached and the views are made beside it."""
        if request.uniforms is not None and not isinstance(self._images, TensorImages):
            asked.append(1)
            if len(asked) > 2 + 1 + 4 + 2:  # the warm-up, a step before each round, and the steps of a round
                raise MemoryError
        return original(self, request)

    original = _Batches.__getitem__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Batches, "__getitem__", answer)
        yield run(runs, store, run_id)
    store.close()


def test_the_sweep_ends_in_order_and_leaves_nothing_behind(done: Done) -> None:
    assert done.code == 0
    row = done.store.run(done.run_id)
    assert (row.lifecycle, row.kind, row.name) == ("finished", "benchmark", "benchmark-shapes-resnet-narrow")
    assert row.step == row.total_steps == 2 * 4 + 1
    assert row.trained_seconds is not None
    assert row.trained_seconds > 0
    assert not under_way_file(done.store.runs_path, done.run_id).exists()
    # This process goes on, and others may train on the device again; who has a lock is seen from elsewhere only.
    ask = "from trainer.device_lock import user_of; print(user_of('cpu'))"
    seen = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert seen.stdout == "None\n"


def test_trials_take_turns_after_a_warm_up_of_each(done: Done) -> None:
    able = [row.trial for row in done.rows if row.round == 0 and row.error is None]
    order = turns([row for row in done.rows if row.error is None])
    failed = done.of(*FAILING.split(" · "))[0].trial
    second = [trial for trial in able if trial != failed]
    assert order == [*((t, 0) for t in able), *((t, 1) for t in able), *((t, 2) for t in second)]


def test_each_round_has_every_figure_and_the_warm_up_none(done: Done) -> None:
    for row in done.rows:
        if row.error is not None:
            continue
        times = (row.t_batch, row.t_batch_next, row.t_data, row.t_data_next, row.t_epoch, row.t_epoch_next)
        figures = (*times, row.images_per_second, row.idle, row.gpu_util, row.host_memory_bytes)
        if row.round == 0:
            assert row.warmup_seconds is not None
            assert set(figures) == {None}
            continue
        assert all(figure is not None and figure >= 0 for figure in figures)
        assert (row.steps, row.warmup_seconds, row.device_memory_bytes, row.dropped) == (2, None, None, None)
        assert row.images_per_second == pytest.approx(80 / row.t_epoch_next)  # type: ignore[operator]
        assert row.t_epoch_next > 2 * row.t_batch_next  # type: ignore[operator]
        assert 0 <= row.idle <= 1  # type: ignore[operator]


def test_what_settings_refuse_is_a_row_that_took_no_time(done: Done) -> None:
    (row,) = done.of(*REFUSED.split(" · "))
    assert row.round == 0
    assert row.error is not None
    assert row.error.startswith("--cache: vram needs ")
    assert (row.warmup_seconds, row.t_epoch) == (None, None)


def test_what_ran_out_of_memory_is_a_row_and_the_sweep_goes_on(done: Done) -> None:
    rows = done.of(*FAILING.split(" · "))
    assert [row.round for row in rows] == [0, 1, 2]
    assert [row.error is None for row in rows] == [True, True, False]
    assert "--batch-size: a step needs more memory than there is (peak " in str(rows[2].error)
    failures = said(done.store, done.run_id, "trial-failed")
    assert len(failures) == 2
    assert f"({rows[2].name}) is left out: {rows[2].error}" in failures[1]


def test_the_machine_and_the_verdict_are_told(done: Done) -> None:
    (machine,) = said(done.store, done.run_id, "benchmark-machine")
    for words in (f"torch {torch.__version__}", "1 threads", "malloc keeps", "resnet-narrow at 16 px, 80 images"):
        assert words in machine
    (verdict,) = said(done.store, done.run_id, "verdict")
    assert "2 of the 10 rounds" in verdict


def test_settings_are_kept_as_they_differ_from_the_base(done: Done) -> None:
    assert json.loads(done.of("no cache", "kornia")[0].settings) == {"cache": "none"}


def test_a_finished_one_is_not_taken_up_again(done: Done) -> None:
    before = done.rows
    assert run(done.store.runs_path, done.store, done.run_id).code == 0
    assert done.rows == before


def test_a_starved_device_is_seen(store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that take their time, where each batch reads them and where they wait in memory."""
    take = DrawnImages.take

    def slowly(self: DrawnImages, indices: Indices) -> Tensor:
        time.sleep(0.1)
        return take(self, indices)

    monkeypatch.setattr(DrawnImages, "take", slowly)
    done = run(runs, store, new_benchmark(store, vary="cache=ram,none", rounds=1))
    fed, starved = done.of("ram")[1], done.of("no cache")[1]
    for row in (fed, starved):
        assert row.t_data_next is not None
        assert row.idle is not None
        assert row.t_epoch_next is not None
    assert starved.t_data_next >= 0.1  # type: ignore[operator]
    assert starved.t_epoch_next >= 5 * 0.1  # type: ignore[operator]
    assert starved.idle * starved.t_epoch_next >= 5 * 0.1  # type: ignore[operator]
    assert fed.idle < starved.idle  # type: ignore[operator]
    assert fed.t_data_next < starved.t_data_next  # type: ignore[operator]


def test_an_error_of_a_trial_is_a_row_with_its_traceback_in_the_log(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: Any) -> Tensor:
        raise ValueError("no such picture\nat all")

    monkeypatch.setattr("trainer.loader.augment_with_torchvision", break_down)
    done = run(runs, store, new_benchmark(store, vary="augment=kornia,torchvision", rounds=1))
    assert done.code == 0
    (failed,) = done.of("torchvision")
    assert failed.error == "ValueError: no such picture; the traceback is in the run's log"
    assert "in break_down" in capsys.readouterr().err
    assert [row.error for row in done.of("kornia")] == [None, None]


def test_what_cannot_fit_is_not_tried(store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = evidence.room

    def little_room(*arguments: Any) -> Room:
        return dataclasses.replace(room(*arguments), shm_free_bytes=1000)

    monkeypatch.setattr(evidence, "room", little_room)
    made: list[int] = []
    monkeypatch.setattr(ShortLoader, "close", lambda self: made.append(self.stock))
    done = run(runs, store, new_benchmark(store, vary="num_workers=0,1", rounds=1))
    (refused,) = done.of("1 worker")
    assert refused.round == 0
    assert "of /dev/shm, where " in str(refused.error)
    assert [row.round for row in done.of("no workers")] == [0, 1]
    assert set(made) == {0}


def test_rounds_of_a_throttled_device_are_told_and_made_up_for(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = Given({"gpu_util": 50.0, "throttle_reasons": "power cap, thermal (hardware)"})
    monkeypatch.setattr("trainer.benchmark.job.make_sampler", lambda *_: hot)
    done = run(runs, store, new_benchmark(store, vary="cache=ram", rounds=2))
    assert [row.dropped for row in done.rows] == [None, *["the device was throttled: thermal (hardware)"] * 3]
    assert [row.gpu_util for row in done.rows] == [None, *[pytest.approx(50)] * 3]
    (first, *_) = said(store, done.run_id, "round-dropped")
    assert first == f"round 1 of {done.rows[0].name} is not counted: the device was throttled: thermal (hardware)"


def test_a_budget_that_was_too_small_is_told_with_one_that_is_not(store: RunStore, runs: Path) -> None:
    done = run(runs, store, new_benchmark(store, vary="cache=ram", rounds=0, budget_minutes=0.0001))
    (verdict,) = said(store, done.run_id, "verdict")
    assert [row.round for row in done.rows] == [0]
    left = "--budget-minutes 0.0001 left no time for a round after the warm-ups; give more."
    assert verdict == f"Nothing has been measured yet. {left}"


def test_rounds_that_are_too_few_for_a_verdict_are_told_with_what_takes_enough(store: RunStore, runs: Path) -> None:
    done = run(runs, store, new_benchmark(store, vary="cache=ram", rounds=1))
    (verdict,) = said(store, done.run_id, "verdict")
    assert verdict.startswith("So far, after 1 of the 10 rounds that a verdict needs, ")
    assert verdict.endswith(". --rounds 1 is too few for a verdict; 0 takes as many as it needs.")


def test_figures_of_two_devices_are_not_put_side_by_side(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = new_benchmark(store, vary="cache=ram,none")
    store.update_run(run_id, device="Titan RTX")
    assert run(runs, store, run_id).code == 2
    assert "was measured on Titan RTX, and this is CPU" in capsys.readouterr().err
    assert store.trials(run_id) == []


def test_a_benchmark_that_ran_out_of_time_says_how_much_a_verdict_takes(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rounds of six seconds, of which one was taken by a trainer before this one."""
    run_id = new_benchmark(store, vary="cache=ram", rounds=0, budget_minutes=0.1)
    begun = time.time() - 6
    for round_, at in ((0, begun), (1, begun + 6)):
        speed = {"images_per_second": 9.0} if round_ else {}
        store.put_trial(
            {"run_id": run_id, "trial": 1, "round": round_, "name": "a", "settings": "{}", "at": at, **speed}
        )
    store.update_run(run_id, trained_seconds=6.0)
    done = run(runs, store, run_id)
    (verdict,) = said(store, done.run_id, "verdict")
    assert len(done.rows) == 2
    assert verdict.startswith("So far, after 1 of the 10 rounds that a verdict needs, ")
    assert verdict.endswith(". --budget-minutes 0.1 left too little time for a verdict; 2 should do.")
