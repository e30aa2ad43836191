"""The command `benchmark`: what it prints of one that is there, what it makes, and the winner given to a run."""

import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from simclr_tui.lab.applying import apply
from simclr_tui.lab.bench import Bench
from simclr_tui.lab.offer import offer, refuse_apply
from simclr_tui.lab.reader import read_bench
from simclr_tui.lab.table import MACHINE, NOTES, SPEED, fitted, spread_words
from tests.simclr_tui.bench_store import FAILED, add_benchmark
from tests.slurm_programs import Slurm
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import StoreError, UsageError
from trainer.slurm.job import SlurmJob
from trainer.slurm.submit import submit_run
from trainer.start import new_pretrain_run, start_run
from trainer.state import LIVE_STATES, run_state
from trainer.store.runs import RunStore

TINY = {
    "dataset": "shapes",
    "split": "train",
    "limit_images": 96,
    "image_size": 16,
    "batch_size": 32,
    "backbone": "resnet-narrow",
    "head_width": 16,
    "projection_size": 8,
    "knn_every": 0,
    "validate_every": 0,
    "health_every": 0,
    "evaluate_at_end": False,
    "device": "cpu",
    "threads": 1,
    "num_workers": 0,
    "cache": "none",
}
GRID = "cache=none,ram num_workers=0,1"
"""Four trials; the third one is (ram, no workers)."""


def call(runs: Path, *words: str) -> int:
    return main([*words, "--runs-dir", str(runs)])


def grid(store: RunStore, name: str = "grid", *, rounds: int = 12, base: dict[str, Any] = TINY, **options: Any) -> str:
    config = BenchmarkConfig(base=json.dumps(base), vary=GRID, rounds=rounds, device="cpu")
    return add_benchmark(store, name, config, rounds=rounds, **options)


def bench(store: RunStore, run_id: str) -> Bench:
    return read_bench(store, store.run(run_id))


def notes(store: RunStore, *, scale: float = 0.25) -> Bench:
    config = BenchmarkConfig(preset="notes", scale=scale, device="cpu")
    return bench(store, add_benchmark(store, "notes", config, rounds=3, failed=(7,), lifecycle="paused"))


@pytest.mark.parametrize("width", [40, 60, 78, 118, 200])
@pytest.mark.parametrize("columns", [SPEED, MACHINE, NOTES])
def test_no_line_of_a_table_is_wider_than_the_terminal(store: RunStore, columns: Any, width: int) -> None:
    lines = fitted(columns, notes(store), width)
    assert len(lines) == 18
    assert max(map(len, lines)) <= width


def test_a_wide_table_has_every_column_and_a_narrow_one_keeps_what_matters_most(store: RunStore) -> None:
    found = notes(store)
    wide, narrow = (fitted(SPEED, found, width)[0] for width in (118, 78))
    assert all(column.title in wide for column in SPEED)
    assert "t_batch" not in narrow
    assert "images/s" in narrow
    assert "time / current" in narrow


def test_it_prints_figures_failures_verdict_and_what_to_do(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = grid(store, failed=(4,))
    assert call(runs, "benchmark", "grid") == 0
    said = capsys.readouterr().out
    assert f"{256 / 400 * 1000:.0f} / {250 / 400 * 1000:.0f}" in said, "t_batch of epoch 1 and n, in ms"
    assert f"✗ 4 ram · 1 worker: {FAILED}" in said
    assert "\nverdict\n" in said
    assert f"simclr-tui benchmark {run_id} --apply RUN" in said
    assert "no difference found (" in said, "the second trial is as fast as the first"
    assert "0.50 (0." in said, "the third takes half the time"
    assert "Scale" not in said


def test_show_prints_the_same_of_a_benchmark(store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid(store)
    assert call(runs, "benchmark", "grid") == 0
    tables = capsys.readouterr().out
    assert call(runs, "show", "grid") == 0
    assert capsys.readouterr().out.startswith(tables)


def test_every_table_says_its_scale_and_the_notes_stand_beside_ours(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes(store)
    assert call(runs, "benchmark", "notes") == 0
    said = capsys.readouterr().out
    assert said.count("Scale 0.25: 24 instead of 96 pixels") == 3
    assert "30.8 / 61.4" in said
    assert "216.1 / 207.2" in said
    assert "a sum that was not reset" in said
    assert "too few rounds yet" in said
    assert "\nso far\n" in said
    assert "--apply" not in said, "nothing is recommended before there is a verdict"


def test_json_has_every_figure_with_its_interval(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(store, failed=(4,))
    assert call(runs, "benchmark", "grid", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    first, second, third, fourth = found["trials"]
    assert first["is_current"]
    assert first["time_over_current"] is None
    assert second["time_over_current"]["no_difference_found"]
    assert third["is_best"]
    assert third["time_over_current"]["low"] <= 0.5 <= third["time_over_current"]["high"] < 0.6
    assert third["figures"]["t_epoch_next"]["count"] == 12
    assert fourth["error"] == FAILED
    assert found["verdict"]["is_final"]
    assert found["apply"] == {"cache": "ram"}
    assert found["fork"] == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("grid", "--rounds", "3"), "grid is made already"),
        (("grid", "--num-workers", "3"), "grid is made already"),
        (("plain",), "plain is of kind pretrain"),
        (("--apply", "plain"), "--apply: name the benchmark too"),
        (("--of", "grid"), "--of: grid is of kind benchmark"),
        (("--vary", "num_worker=1"), "--vary"),
        (("--auto",), "--auto"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    grid(store, rounds=1)
    new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    before = len(store.runs())
    assert call(runs, "benchmark", *words, "--no-wait") == 2
    assert sentence in capsys.readouterr().err
    assert len(store.runs()) == before, "nothing was made"


_TRAINER = """
import sys, time
from pathlib import Path
from trainer.process import RunLock, identity
from trainer.store.runs import RunStore
runs, run_id, ended = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
lock, store = RunLock(runs, run_id), RunStore.open(runs)
store.lifecycle(run_id, "started", "started by a test", **identity().columns())
for number in (0, 1):
    for trial in (1, 2):
        row = {"run_id": run_id, "trial": trial, "round": number, "name": f"trial {trial}", "settings": "{}"}
        store.put_trial(row | ({"images_per_second": 100.0 * trial} if number else {"warmup_seconds": 1.0}))
store.lifecycle(run_id, ended, "the images are not there", level="error" if ended == "failed" else "info")
"""


@pytest.mark.parametrize(("ended", "code"), [("finished", 0), ("paused", 75), ("failed", 1), ("stopped", 0)])
def test_it_is_followed_to_its_end(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ended: str, code: int
) -> None:
    def start(store: RunStore, run_id: str, **_: object) -> "subprocess.Popen[bytes]":
        store.lifecycle(run_id, "launched", "launched by a test")
        return subprocess.Popen([sys.executable, "-c", _TRAINER, str(runs), run_id, ended])

    monkeypatch.setattr("simclr_tui.commands.benchmark.start_run", start)
    monkeypatch.setattr("simclr_tui.commands.benchmark._POLL_SECONDS", 0.02)
    words = ["--vary", "cache=none,ram", "--cache", "none", "--augment", "torchvision", "--rounds", "1"]
    assert call(runs, "benchmark", "--name", "own", "--dataset", "shapes", *words) == code
    said = capsys.readouterr()
    assert "runs in the background; `simclr-tui benchmark" in said.out
    assert f"): {ended}" in said.out
    assert ("own failed; the images are not there" in said.err) == (ended == "failed")


@pytest.mark.reliability
def test_it_measures_and_says_what_it_found(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if type(value) is not bool]
    words = ["--vary", "cache=none,ram", "--rounds", "1", "--steps", "2", "--name", "own", *settings]
    assert call(runs, "benchmark", *words) == 0
    said = capfd.readouterr().out
    assert "own (" in said
    assert "runs in the background" in said
    assert "finished · 2 trials, 2 turns" in said
    store = RunStore.open(runs)
    rows = store.trials(store.find("own").id)
    store.close()
    assert [(row.trial, row.round) for row in rows] == [(1, 0), (2, 0), (1, 1), (2, 1)]


def test_why_it_failed_is_said(store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = grid(store, rounds=1, lifecycle=None)
    store.lifecycle(run_id, "failed", "the device cpu is used by another process", level="error")
    assert call(runs, "benchmark", "grid") == 0
    assert "✗ the device cpu is used by another process; `simclr-tui resume" in capsys.readouterr().out


@pytest.mark.parametrize(("scale", "fork"), [(1.0, {"batch_size": 64}), (0.5, {})])
def test_a_batch_that_was_scaled_is_not_recommended(store: RunStore, scale: float, fork: dict[str, int]) -> None:
    base = json.dumps(TINY | {"limit_images": 0})
    config = BenchmarkConfig(base=base, vary="batch_size=32,48,64", rounds=12, scale=scale, device="cpu")
    found = bench(store, add_benchmark(store, "batches", config, rounds=12))
    assert found.verdict.fork, "the third is the fastest"
    assert found.fork == fork
    assert found.apply == {}


def test_a_finished_benchmark_says_the_trainers_verdict_which_knew_the_memory(store: RunStore) -> None:
    ended, resting = grid(store), grid(store, "resting", lifecycle="paused")
    for run_id in (ended, resting):
        store.event(run_id, "verdict", "cache=ram needs 2.8 of 61 GiB free")
    assert bench(store, ended).said == "cache=ram needs 2.8 of 61 GiB free"
    assert bench(store, resting).said == bench(store, resting).verdict.text


def test_what_can_change_a_result_is_never_among_what_is_applied(store: RunStore) -> None:
    found = bench(store, grid(store))
    wrong = replace(found, verdict=replace(found.verdict, apply={"cache": "ram", "precision": "bf16"}))
    assert wrong.apply == {"cache": "ram"}


def test_the_spread_is_half_the_distance_of_the_quartiles(store: RunStore) -> None:
    line = bench(store, grid(store)).lines[0]
    assert line.result is not None
    rates = [1 / cost for cost in line.result.costs.values()]
    lower, median, upper = statistics.quantiles(rates, n=4, method="inclusive")
    assert spread_words(line) == f"± {50 * (upper - lower) / median:.1f}"
    assert max(rates) - min(rates) > 1.5 * (upper - lower), "the extremes are something else"


def test_a_run_that_has_all_that_would_change_its_result_needs_no_fork(store: RunStore) -> None:
    base = json.dumps(TINY)
    config = BenchmarkConfig(base=base, vary="augment=kornia,torchvision num_workers=0,1", rounds=12, device="cpu")
    found = bench(store, add_benchmark(store, "augments", config, rounds=12))
    assert found.fork["augment"] == "torchvision"
    kornia, torchvision = (
        new_pretrain_run(store, PretrainConfig.from_values({**TINY, "augment": one, "num_workers": 2}), name=one)
        for one in ("kornia", "torchvision")
    )
    found = replace(found, verdict=replace(found.verdict, fork={"augment": "torchvision", "num_workers": 0}))
    assert "--augment torchvision" in offer(found, store.run(kornia)).fork
    assert offer(found, store.run(torchvision)).fork == "", "other workers are no experiment"


def test_before_anything_is_measured_there_is_no_table(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create_run(kind="benchmark", name="young", config=BenchmarkConfig(vary=GRID).to_json())
    assert call(runs, "benchmark", "young") == 0
    said = capsys.readouterr().out
    assert "Nothing has been measured yet." in said
    assert "how fast" not in said


def settings_of(store: RunStore, run_id: str) -> PretrainConfig:
    return PretrainConfig.from_json(store.run(run_id).config)


def test_a_finished_run_and_a_job_are_refused(store: RunStore, runs: Path) -> None:
    found = bench(store, grid(store))
    ended = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="ended")
    store.lifecycle(ended, "finished", "finished by a test")
    with pytest.raises(UsageError, match="ended is finished, so there is nothing left to make faster"):
        apply(store, found, store.run(ended))
    assert settings_of(store, ended).cache == "none"
    with pytest.raises(UsageError, match="trains nothing"):
        apply(store, found, store.run(grid(store, "other", rounds=1, lifecycle="paused")))


def test_a_benchmark_without_a_verdict_changes_nothing(store: RunStore) -> None:
    found = bench(store, grid(store, rounds=12, lifecycle="paused"))
    early = bench(store, grid(store, "early", rounds=2, lifecycle="paused"))
    run_id = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    assert found.apply
    with pytest.raises(UsageError, match="no verdict yet"):
        apply(store, early, store.run(run_id))
    assert store.run(run_id).lifecycle == "created"


@pytest.mark.parametrize("lifecycle", ["queued", "started"])
def test_a_run_whose_settings_can_not_be_written_goes_on_as_it_was(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, lifecycle: str
) -> None:
    found = bench(store, grid(store))
    run_id = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    store.lifecycle(run_id, lifecycle, "by a test")
    state = {"queued": "queued", "started": "running"}[lifecycle]
    begun: list[tuple[str, bool]] = []

    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("simclr_tui.lab.applying.run_state", lambda *_: state)
    monkeypatch.setattr("simclr_tui.lab.applying.wait_until_ended", lambda *_: "paused")
    monkeypatch.setattr("simclr_tui.lab.applying.change_settings", refuse)
    monkeypatch.setattr(
        "simclr_tui.lab.applying.start_run", lambda _, one, *, in_line=False: begun.append((one, in_line))
    )
    with pytest.raises(StoreError):
        apply(store, found, store.run(run_id))
    assert begun == [(run_id, lifecycle == "queued")]
    assert settings_of(store, run_id).cache == "none"


def test_a_run_in_line_waits_there_again(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = bench(store, grid(store))
    run_id = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    store.lifecycle(run_id, "queued", "by a test")
    begun: list[bool] = []
    monkeypatch.setattr("simclr_tui.lab.applying.run_state", lambda *_: "queued")
    monkeypatch.setattr("simclr_tui.lab.applying.wait_until_ended", lambda *_: "paused")
    monkeypatch.setattr("simclr_tui.lab.applying.start_run", lambda *_, in_line=False: begun.append(in_line))
    assert apply(store, found, store.run(run_id))[0] == "plain waits in its line again with cache none → ram"
    assert begun == [True]
    assert "apply it again once it has stopped" in str(refuse_apply(store.run(run_id), "stopping"))


def test_a_run_of_a_cluster_is_not_paused_for_what_could_not_be_started_here(
    store: RunStore, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bench(store, grid(store))
    run_id = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    submit_run(store, run_id, SlurmJob(gpus="0", cpus=1))
    slurm.set_state("1234", "RUNNING")
    store.lifecycle(run_id, "started", "by a test", host="node7", phase="training")
    assert run_state(store.run(run_id), store.runs_path) in LIVE_STATES
    with pytest.raises(UsageError, match="plain trains under Slurm; `simclr-tui resume"):
        apply(store, found, store.run(run_id))
    assert store.pending_commands(run_id) == []
    assert settings_of(store, run_id).cache == "none"


def test_what_to_do_names_the_run_as_long_as_it_can_gain(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = new_pretrain_run(store, PretrainConfig.from_values(TINY), name="plain")
    config = BenchmarkConfig(base=json.dumps(TINY), of=of, vary=GRID, rounds=12, device="cpu")
    run_id = add_benchmark(store, "own", config, rounds=12)

    def said() -> str:
        assert call(runs, "benchmark", "own") == 0
        return capsys.readouterr().out

    assert f"simclr-tui benchmark {run_id} --apply {of}\n" in said()
    store.lifecycle(of, "finished", "finished by a test")
    assert f"simclr-tui benchmark {run_id} --apply RUN\n" in said(), "a finished run gains nothing"
    store.lifecycle(of, "paused", "paused by a test")
    store.update_run(of, config=replace(PretrainConfig.from_values(TINY), cache="ram").to_json())
    assert "--apply" not in said(), "it has the winner's settings already"


def losses(store: RunStore, run_id: str) -> list[tuple[int, float, float]]:
    return [(row["step"], row["loss"], row["grad_norm"]) for row in store.steps(run_id)]


def pause_in_the_middle(runs: Path, run_id: str) -> None:
    """Ask a run to pause once it has taken some steps."""
    store = RunStore.open(runs)
    while store.last_step(run_id) < 2:
        time.sleep(0.01)
    store.request(run_id, "pause")
    store.close()


def test_a_run_with_the_winners_settings_stays_on_its_trajectory(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.run import main as train  # it imports torch

    monkeypatch.setattr("trainer.run.HANG_SECONDS", 0)
    monkeypatch.setattr("trainer.control.POLL_SECONDS", 0.0)
    monkeypatch.setattr("simclr_tui.lab.applying.start_run", lambda *_, **__: None)
    config = PretrainConfig.from_values({**TINY, "epochs": 12, "limit_images": 32, "batch_size": 16})
    found = bench(store, grid(store))
    alone, changed = (new_pretrain_run(store, config, name=name) for name in ("alone", "changed"))
    assert train(["--runs-dir", str(runs), "--run", alone]) == 0
    asking = threading.Thread(target=pause_in_the_middle, args=(runs, changed))
    asking.start()
    assert train(["--runs-dir", str(runs), "--run", changed]) == 75, "it was paused before its end"
    asking.join()
    assert apply(store, found, store.run(changed))[0] == "changed was paused and goes on with cache none → ram"
    assert train(["--runs-dir", str(runs), "--run", changed]) == 0
    assert settings_of(store, changed).cache == "ram"
    assert len(losses(store, alone)) == 24
    assert losses(store, changed) == losses(store, alone), "the same losses and gradients, bit for bit"


@pytest.mark.reliability
def test_a_running_run_goes_on_with_the_new_settings_on_the_same_trajectory(store: RunStore, runs: Path) -> None:
    config = PretrainConfig.from_values({**TINY, "epochs": 25, "limit_images": 48, "batch_size": 16})
    found = bench(store, grid(store))
    alone, changed = (new_pretrain_run(store, config, name=name) for name in ("alone", "changed"))
    left_alone, first = start_run(store, alone), start_run(store, changed)
    while store.last_step(changed) < 3:
        time.sleep(0.02)
        assert first.poll() is None
    sentence, second = apply(store, found, store.run(changed))
    assert first.wait(10) == 75, "it was paused, not killed"
    at = store.run(changed).step
    assert at is not None
    assert 3 <= at < 75
    assert sentence == f"changed was paused after step {at:,} and goes on with cache none → ram"
    assert (left_alone.wait(60), second.wait(60)) == (0, 0)
    assert settings_of(store, changed).cache == "ram"
    assert len(losses(store, alone)) == 75
    assert losses(store, changed) == losses(store, alone), "the same losses and gradients, bit for bit"
