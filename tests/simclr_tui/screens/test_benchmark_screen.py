"""The laboratory on the screen: the form, the trials, the verdict, and the winner given to a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from simclr_tui.actions import Actions
from simclr_tui.app import DashboardApp
from simclr_tui.lab.form import BenchForm
from simclr_tui.messages import ActionDone, ActionFailed
from simclr_tui.screens.apply_benchmark import ApplyScreen
from simclr_tui.screens.benchmark import BenchmarkScreen
from simclr_tui.screens.benchmark_form import BenchmarkForm
from simclr_tui.screens.main import MainScreen
from tests.simclr_tui.bench_store import FAILED, add_benchmark
from tests.simclr_tui.support import AT_EACH_SIZE, Holder, add_run, screen_text, toasts, wait_for_text, wait_until
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.store.records import TrialRow
from trainer.store.runs import RunStore


@pytest.fixture
def resting(store: RunStore) -> str:
    """A paused run with a cache that is not the winner's."""
    return add_run(store, "resting", steps=50, lifecycle="paused", cache="none", num_workers=0)


@pytest.fixture
def grid(store: RunStore, resting: str) -> str:
    """A benchmark of that run with a verdict: (ram, no workers) is twice as fast."""
    base = PretrainConfig.from_json(store.run(resting).config)
    shared = {"dataset": "shapes", "cache": base.cache, "num_workers": base.num_workers}
    config = BenchmarkConfig(base=json.dumps(shared), of=resting, vary="cache=none,ram num_workers=0,1", rounds=12)
    return add_benchmark(store, "grid", config, rounds=12, failed=(4,))


@pytest.fixture
def notes(store: RunStore) -> str:
    """The notes' rows after 3 rounds, paused."""
    config = BenchmarkConfig(preset="notes", scale=0.25)
    return add_benchmark(store, "notes", config, rounds=3, failed=(7,), lifecycle="paused")


async def open_benchmark(pilot: Pilot[str], name: str) -> None:
    await wait_for_text(pilot, name)
    await wait_until(pilot, lambda: pilot.app.screen.board.cursor is not None)  # type: ignore[attr-defined]
    await pilot.press("b")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, BenchmarkScreen))
    await wait_for_text(pilot, "images/s", "fastest")


@AT_EACH_SIZE
async def test_trials_failures_and_the_verdict_are_on_one_screen(runs: Path, grid: str, size: tuple[int, int]) -> None:
    app = DashboardApp(runs, select=grid)
    async with app.run_test(size=size) as pilot:
        await open_benchmark(pilot, "grid")
        await wait_for_text(pilot, "benchmark  grid", "finished", "4 trials, 36 turns", "╭─ verdict")
        lines = screen_text(app).splitlines()
        row = {
            number: next(line for line in lines if f" {number} " in line[:9] and "│" in line[:2]) for number in "1234"
        }
        assert row["3"].startswith("│★")
        assert row["1"].startswith("│○")
        assert row["4"].startswith("│✗")
        assert FAILED[:20] in row["4"]
        assert "800" in row["3"]
        assert row["3"].count("█") >= 2 * row["1"].count("█") - 1, "its bar is twice as long"
        assert "░" in row["2"], "the interval is marked"
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("down", "down")
        await wait_for_text(pilot, "3 ram · no workers  fastest", "time / current 0.50 (0.")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))


@AT_EACH_SIZE
async def test_seventeen_trials_can_be_looked_at_one_after_the_other(
    runs: Path, notes: str, size: tuple[int, int]
) -> None:
    app = DashboardApp(runs, select=notes)
    async with app.run_test(size=size) as pilot:
        await open_benchmark(pilot, "notes")
        await wait_for_text(pilot, "paused", "next trial 1 of 17", "╭─ so far")
        await pilot.press("down")
        if size[1] > 30:
            await wait_for_text(pilot, "17 ours", "t_batch 0.0296 n 0.0593 s (mostly launching) · t_epoch 244.0")
            await wait_for_text(pilot, "Scale 0.25: 24 instead of 96 pixels")
        else:
            await wait_for_text(pilot, "trials  1–10 of 17")
        await pilot.press("end")
        await wait_for_text(pilot, "│    17 ours")
        assert ("8–17 of 17" in screen_text(app)) == (size[1] < 30), "where not all are seen it says which"
        await pilot.press("down")
        await wait_for_text(pilot, "17 ours  ")
        await pilot.press("home")
        await wait_for_text(pilot, "1 cached · 4 workers · persistent · pinned")


async def test_what_is_measured_meanwhile_appears_by_itself(runs: Path, store: RunStore, notes: str) -> None:
    app = DashboardApp(runs, select=notes)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "notes")
        await wait_for_text(pilot, "turn 49 of")
        rows = [row for row in store.trials(notes) if row.trial == 1 and row.round == 3]
        _again(store, rows[0], round=4, images_per_second=12_345.0)
        await wait_for_text(pilot, "next trial 2 of 17", "turn 50 of")


def _again(store: RunStore, row: TrialRow, **changes: Any) -> None:
    names = ("run_id", "trial", "round", "name", "settings", "t_batch", "t_epoch", "images_per_second", "steps", "at")
    store.put_trial({name: getattr(row, name) for name in names} | changes)


@AT_EACH_SIZE
async def test_beside_the_list_stands_the_verdict_instead_of_empty_charts(
    runs: Path, grid: str, resting: str, size: tuple[int, int]
) -> None:
    app = DashboardApp(runs, select=grid)
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "grid")
        if size[0] < 100:
            await pilot.press("tab")
        await wait_for_text(pilot, "╭─ trials", "╭─ verdict", "b opens it")
        if size[0] < 100:
            return
        assert "kNN top-1, %" not in screen_text(app)
        assert "evaluate" not in screen_text(app), "keys that make no sense are not named"
        await pilot.press("down")
        await wait_for_text(pilot, "kNN top-1, %")
        assert "╭─ verdict" not in screen_text(app)
        await pilot.press("up", "v")
        await wait_until(pilot, lambda: "is a benchmark, which learns nothing" in toasts(app))


async def test_the_winner_is_given_to_a_run_after_one_question(
    runs: Path, store: RunStore, grid: str, resting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(store, "over", steps=3, lifecycle="finished")
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(Actions, "apply", lambda _self, *ids: asked.append(ids))
    app = DashboardApp(runs, select=grid)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_benchmark(pilot, "grid")
        await pilot.press("a")
        await wait_for_text(pilot, "Apply the winner to a run", "▸ resting", "cache none → ram")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))
        assert not asked
        await pilot.press("a")
        await wait_until(pilot, lambda: isinstance(app.screen, ApplyScreen))
        await pilot.press("down", "enter")
        await wait_for_text(pilot, "✗ over is finished, so there is nothing left to make faster")
        assert not asked
        assert isinstance(app.screen, ApplyScreen), "what can't be done is not done"
        await pilot.press("up", "enter")
        await wait_until(pilot, lambda: asked == [(grid, resting)])


def test_a_paused_run_gets_the_winner_and_starts(
    runs: Path, store: RunStore, grid: str, resting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr("simclr_tui.lab.applying.start_run", lambda _store, run_id, **_: begun.append(run_id))
    said: list[Any] = []
    Actions(runs, said.append).apply(grid, resting)
    assert said[0].sentence == "resting was paused and goes on with cache none → ram"
    assert begun == [resting]
    config = PretrainConfig.from_json(store.run(resting).config)
    assert (config.cache, config.num_workers) == ("ram", 0)
    assert store.events(run_id=resting)[-1].message == "settings changed: cache none → ram"
    Actions(runs, said.append).apply(grid, resting)
    assert isinstance(said[1], ActionFailed)
    assert "has the settings that grid recommends already" in said[1].sentence


def test_a_live_run_is_paused_first(
    runs: Path, store: RunStore, grid: str, resting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_tui.lab.applying.start_run", lambda *_, **__: None)
    said: list[Any] = []
    with Holder(runs, resting, obeys=True) as holder:
        Actions(runs, said.append).apply(grid, resting)
        assert holder.process.wait(10) == 0
    assert isinstance(said[0], ActionDone)
    assert said[0].sentence == "resting was paused after step 50 and goes on with cache none → ram"


async def test_before_there_is_a_verdict_nothing_is_recommended(runs: Path, notes: str, resting: str) -> None:
    app = DashboardApp(runs, select=notes)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "notes")
        assert " a apply" not in screen_text(app)
        await pilot.press("a")
        await wait_until(pilot, lambda: "there is no verdict yet" in toasts(app))
        assert isinstance(app.screen, BenchmarkScreen)


async def test_pause_resume_and_stop_are_keys_of_it(runs: Path, notes: str, grid: str, started: list[str]) -> None:
    app = DashboardApp(runs, select=notes)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "notes")
        await pilot.press("p")
        await wait_until(pilot, lambda: "notes is paused, so there is nothing to pause" in toasts(app))
        await pilot.press("r")
        await wait_until(pilot, lambda: started == [notes])
    app = DashboardApp(runs, select=grid)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "grid")
        await pilot.press("r")
        await wait_until(pilot, lambda: "benchmark shows what it found" in toasts(app))


async def test_a_live_benchmark_is_asked_to_pause_and_stopped_after_a_question(
    runs: Path, store: RunStore, notes: str
) -> None:
    with Holder(runs, notes):
        app = DashboardApp(runs, select=notes)
        async with app.run_test(size=(120, 36)) as pilot:
            await open_benchmark(pilot, "notes")
            await wait_for_text(pilot, "running", "p pause")
            await pilot.press("s")
            await wait_for_text(pilot, "Stop notes?", "what was measured stays")
            await pilot.press("n", "p")
            await wait_until(pilot, lambda: [c.command for c in store.pending_commands(notes)] == ["pause"])


async def test_another_runs_settings_are_benchmarked_with_one_more_key(
    runs: Path, store: RunStore, resting: str, started: list[str]
) -> None:
    app = DashboardApp(runs, select=resting)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "resting")
        await wait_until(pilot, lambda: app.screen.board.cursor is not None)  # type: ignore[attr-defined]
        await pilot.press("b")
        await wait_for_text(pilot, "Benchmark the settings of resting", "trials × 10 rounds")
        await pilot.press(*"cash=")
        await wait_for_text(pilot, "✗", "did you mean cache=?")
        await pilot.press("enter")
        assert isinstance(app.screen, BenchmarkForm), "what is wrong is not started"
        app.screen.query_one("#row-vary Input", Input).value = "cache=none,ra"
        await pilot.press("end", "m", "enter")
        await wait_until(pilot, lambda: len(started) == 1)
        made = store.run(started[0])
        config = BenchmarkConfig.from_json(made.config)
        assert (made.kind, config.of, config.vary) == ("benchmark", resting, "cache=none,ram")
        assert config.base_config == PretrainConfig.from_json(store.run(resting).config)
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))


async def test_without_a_run_the_defaults_are_benchmarked(runs: Path, started: list[str]) -> None:
    RunStore.open(runs).close()
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "no run yet")
        await pilot.press("b")
        await wait_for_text(pilot, "Benchmark the settings of the defaults", "Scale 0.25")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        assert not started


async def test_of_an_evaluation_the_run_that_it_looks_at_is_benchmarked(
    runs: Path, store: RunStore, resting: str
) -> None:
    job = store.create_run(kind="evaluate", name="job", config=json.dumps({"run": resting}), source_run_id=resting)
    app = DashboardApp(runs, select=job)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "job")
        await wait_until(pilot, lambda: app.screen.board.cursor is not None)  # type: ignore[attr-defined]
        await pilot.press("b")
        await wait_for_text(pilot, "Benchmark the settings of resting")


def test_a_small_machine_gets_a_benchmark_that_it_can_finish(store: RunStore, resting: str) -> None:
    store.update_run(resting, step_seconds=2.0)
    run = store.run(resting)
    slow, gpu, large = BenchForm(run, has_gpu=False), BenchForm(run, has_gpu=True), BenchForm(None, has_gpu=False)
    assert slow.usual["steps"] < 10, "half an hour of steps of two seconds"
    assert "about" in slow.told
    assert (gpu.usual["steps"], gpu.usual["scale"]) == (100, 1.0)
    assert large.usual["scale"] == 0.25
    assert "resnet18" not in large.told
    assert not any(slow.error + gpu.error + large.error)


async def test_no_colour_is_needed_to_read_it(runs: Path, grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = DashboardApp(runs, select=grid)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "grid")
        await wait_for_text(pilot, "★", "○", "✗", "█", "░", "╭─ verdict")


def test_starting_a_benchmark_that_makes_no_sense_makes_nothing(runs: Path, store: RunStore) -> None:
    said: list[Any] = []
    Actions(runs, said.append).benchmark("", {"vary": "temperature=1,2"})
    assert isinstance(said[0], ActionFailed)
    assert store.runs() == []


@pytest.fixture
def other_images(store: RunStore, resting: str) -> str:
    """A benchmark whose fastest trial would change the result: augmentation in the workers."""
    config = BenchmarkConfig(
        base=json.dumps({"dataset": "shapes", "cache": "none", "num_workers": 0}),
        of=resting,
        vary="augment=kornia,torchvision num_workers=0,1",
        rounds=12,
    )
    return add_benchmark(store, "augments", config, rounds=12)


async def test_what_would_change_the_result_is_offered_as_a_fork_alone(
    runs: Path, store: RunStore, other_images: str, resting: str
) -> None:
    app = DashboardApp(runs, select=other_images)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_benchmark(pilot, "augments")
        await wait_for_text(pilot, "f fork")
        assert " a apply" not in screen_text(app)
        await pilot.press("a")
        await wait_until(pilot, lambda: "nothing faster was found that can be applied" in toasts(app))
        await pilot.press("f")
        await wait_for_text(pilot, "Fork a run with the winner", "augment kornia → torchvision")
        await pilot.press("enter")
        await wait_for_text(pilot, "Fork resting", "augment=torchvision")
    assert PretrainConfig.from_json(store.run(resting).config).augment == "kornia"


def test_a_setting_that_changes_the_result_is_never_applied(
    runs: Path, store: RunStore, other_images: str, resting: str
) -> None:
    said: list[Any] = []
    Actions(runs, said.append).apply(other_images, resting)
    assert isinstance(said[0], ActionFailed)
    assert f"simclr-tui fork {resting} --augment torchvision" in said[0].sentence
    assert store.run(resting).lifecycle == "paused"


@pytest.mark.parametrize("owner", [BenchmarkScreen, BenchmarkForm, ApplyScreen])
def test_every_key_has_an_id_and_a_tooltip(owner: Any) -> None:
    assert all(one.id and one.tooltip for one in owner.BINDINGS)
    assert len({one.id for one in owner.BINDINGS}) == len(owner.BINDINGS)
