"""The window of ways, and what comes of it."""

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.launch.wish import ANSWERS, Wish
from simclr_tui.screens.evaluate import EvaluateScreen
from simclr_tui.screens.main import MainScreen
from tests.simclr_tui.learning_store import put_checkpoint
from tests.simclr_tui.support import AT_EACH_SIZE, add_run, screen_text, toasts, wait_for_text, wait_until
from trainer.evaluate_config import WAYS
from trainer.store.records import Run
from trainer.store.runs import RunStore


@pytest.fixture
def run_id(runs: Path) -> str:
    """A run with three checkpoints, of which the one of step 230 has the best kNN score."""
    store = RunStore.open(runs)
    made = add_run(store, "subject", steps=345, lifecycle="finished")
    for step, knn_top1 in ((115, 0.2), (230, 0.31), (345, 0.29)):
        put_checkpoint(store, made, step, knn_top1)
    store.close()
    return made


def job_of(runs: Path, job_id: str) -> Run:
    store = RunStore.open(runs)
    run = store.run(job_id)
    store.close()
    return run


async def open_window(pilot: Pilot[str]) -> None:
    # The chance level is drawn once the run's curves were read, and its checkpoints with them.
    await wait_for_text(pilot, "▸● subject", "finished · epoch 15/15", "chance 5.54")
    await pilot.press("e")
    await wait_for_text(pilot, "Evaluate subject", "‹ newest")


@AT_EACH_SIZE
async def test_every_way_has_a_line_that_says_what_it_answers(runs: Path, run_id: str, size: tuple[int, int]) -> None:
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "▸● subject", "100%")
        await pilot.pause(0.3)
        await pilot.press("e")
        await wait_for_text(pilot, "Evaluate subject")
        lines = screen_text(app).splitlines()
        for number, way in enumerate(WAYS, start=1):
            answer, time = ANSWERS[way]
            assert any(f"{number} {way}" in line and answer in line and time in line for line in lines), way
        assert any("stl10, cifar10, shapes or folder:PATH" in line for line in lines)
        assert any("‹ newest (step 345) ›" in line for line in lines)


async def test_enter_launches_the_way_that_was_chosen(runs: Path, run_id: str, started: list[str]) -> None:
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press("down", "down", "down", "up", "enter")
        await wait_until(pilot, lambda: "subject-invariance is starting" in toasts(app))
        await wait_for_text(pilot, "■ subject-invariance ─", f"evaluate invariance of run {run_id}")
    (job_id,) = started
    job = job_of(runs, job_id)
    config = json.loads(job.config)
    assert (job.source_run_id, config["run"], config["what"], config["step"]) == (run_id, run_id, "invariance", 0)


async def test_a_number_chooses_and_checkpoint_and_data_set_go_with_it(
    runs: Path, run_id: str, started: list[str]
) -> None:
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press("2", "right")
        await wait_for_text(pilot, "▸ 2 labels", "‹ best (step 230, kNN 31.0 %) ›")
        await pilot.press("tab", *"cifar1")
        await wait_for_text(pilot, "✗ 'cifar1' is not known; choose stl10")
        await pilot.press("enter")
        assert isinstance(app.screen, EvaluateScreen), "what is wrong is not launched"
        await pilot.press("0", "enter")
        await wait_until(pilot, lambda: "subject-labels is starting" in toasts(app))
    config = json.loads(job_of(runs, started[0]).config)
    assert (config["what"], config["step"], config["dataset"]) == ("labels", 230, "cifar10")


async def test_escape_evaluates_nothing(runs: Path, run_id: str, started: list[str]) -> None:
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press("4", "escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
    assert started == []


async def test_a_checkpoint_that_is_gone_by_then_is_told(runs: Path, run_id: str, started: list[str]) -> None:
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press("right")
        await wait_for_text(pilot, "best (step 230")
        store = RunStore.open(runs)
        store.forget_checkpoint(run_id, 230)
        store.close()
        await pilot.press("enter")
        await wait_until(pilot, lambda: "subject has no checkpoint of step 230; it has 115, 345" in toasts(app))
    assert started == []


def test_a_wish_offers_the_newest_the_best_and_every_other_checkpoint(runs: Path, run_id: str) -> None:
    store = RunStore.open(runs)
    wish = Wish(store.checkpoints(run_id))
    store.close()
    assert [step for step, _ in wish.choices] == [0, 230, 230, 115]
    assert wish.values == {"what": "layers"}
    wish.move_checkpoint(-1)
    wish.move(-1)
    assert wish.values == {"what": "map", "step": 115}
    wish.dataset = "  "
    assert wish.values == {"what": "map", "step": 115}
    wish.dataset = "folder:"
    assert "is not known" in wish.error


def test_without_scores_there_is_no_best() -> None:
    assert [words for _, words in Wish([]).choices] == ["newest"]
