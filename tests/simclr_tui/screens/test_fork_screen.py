"""The window of a fork, what comes of it, and how parent and child are shown."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.launch.branch import Branch
from simclr_tui.screens.fork import ForkScreen
from simclr_tui.screens.main import MainScreen
from tests.simclr_tui.support import (
    AT_EACH_SIZE,
    STEPS_PER_EPOCH,
    add_run,
    screen_text,
    step_row,
    toasts,
    wait_for_text,
    wait_until,
)
from tests.trainer.checkpoint_files import write_checkpoint
from trainer.config import PretrainConfig
from trainer.fork import new_fork_run
from trainer.store.records import Run
from trainer.store.runs import RunStore


@pytest.fixture
def parent(store: RunStore) -> Run:
    """A paused run at step 115 of 345 with checkpoints of 46 and 115."""
    run_id = add_run(store, "first", steps=115, lifecycle="paused")
    for step in (46, 115):
        write_checkpoint(store, run_id, step, steps_per_epoch=STEPS_PER_EPOCH)
    return store.run(run_id)


@pytest.fixture
def child(store: RunStore, parent: Run) -> Run:
    """A fork at step 46 that went on to step 138."""
    import random

    run_id = new_fork_run(store, parent, {"temperature": 0.5}, step=46, name="warmer")
    rng = random.Random(1)
    store.append(
        run_id,
        [step_row(step, rng) for step in range(47, 139)],
        total_steps=345,
        steps_per_epoch=STEPS_PER_EPOCH,
    )
    store.event(run_id, "forked-from", "going on after step 46", step=46)
    store.lifecycle(run_id, "paused", "paused")
    return store.run(run_id)


async def open_window(pilot: Pilot[str]) -> None:
    await wait_for_text(pilot, "▸● first", "chance 5.54")
    await pilot.press("f")
    await wait_for_text(pilot, "Fork first", "newest (step 115)")


@AT_EACH_SIZE
async def test_it_says_what_the_fork_would_be_before_it_is_made(runs: Path, parent: Run, size: tuple[int, int]) -> None:
    app = DashboardApp(runs, select=parent.id)
    async with app.run_test(size=size) as pilot:
        if size[0] < 100:
            await wait_for_text(pilot, "▸● first")
            await pilot.pause(0.5)
            await pilot.press("f")
            await wait_for_text(pilot, "Fork first", "newest (step 115)")
        else:
            await open_window(pilot)
        await wait_for_text(pilot, "no setting that matters to the result is changed")
        await pilot.press(*"temperature=0.3")
        await wait_for_text(pilot, "step 115", "temperature 0.2 → 0.3")
        await pilot.press("down")
        await wait_for_text(pilot, "step 46 (epoch", "2 of 2")
        lines = screen_text(app).splitlines()
        assert all(any(key in line for line in lines) for key in ("↵ fork", "↓ checkpoint", "esc close"))
        assert max(map(len, lines)) <= size[0]


async def test_enter_makes_the_child_and_starts_it(
    store: RunStore, runs: Path, parent: Run, started: list[str]
) -> None:
    app = DashboardApp(runs, select=parent.id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press("down", *"temperature=0.3 num-workers=0", "tab", *"warm", "enter")
        await wait_until(pilot, lambda: "warm is starting, a fork of first" in toasts(app))
        await wait_for_text(pilot, "└ warm")
    (run_id,) = started
    made = store.run(run_id)
    assert (made.name, made.parent_run_id, made.parent_step) == ("warm", parent.id, 46)
    config = PretrainConfig.from_json(made.config)
    assert (config.temperature, config.num_workers) == (0.3, 0)


async def test_an_error_stands_below_its_field_and_nothing_is_made(
    store: RunStore, runs: Path, parent: Run, started: list[str]
) -> None:
    app = DashboardApp(runs, select=parent.id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_window(pilot)
        await pilot.press(*"optimizer=sgd", "enter")
        await wait_for_text(pilot, "✗ optimizer: the checkpoint was made with adamw", "fresh-optimizer to begin")
        assert isinstance(app.screen, ForkScreen)
        await pilot.press(*" fresh-optimizer")
        await wait_for_text(pilot, "with a new optimiser")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
    assert not started
    assert len(store.runs()) == 1


@pytest.mark.parametrize("name", ["waiting", "done"])
async def test_a_run_without_a_checkpoint_is_refused_at_once(runs: Path, some_runs: dict[str, str], name: str) -> None:
    app = DashboardApp(runs, select=some_runs[name])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, f"▸{'●' if name == 'done' else '◆'} {name}")
        await wait_until(pilot, lambda: app.main_screen is not None and some_runs[name] in app.main_screen.board.curves)
        await pilot.press("f")
        await wait_until(pilot, lambda: f"{name} has no checkpoint to fork from" in toasts(app))
        assert isinstance(app.screen, MainScreen)


@AT_EACH_SIZE
async def test_a_child_stands_below_its_parent_and_continues_its_curve(
    runs: Path, parent: Run, child: Run, size: tuple[int, int]
) -> None:
    app = DashboardApp(runs, select=child.id)
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "▸■ └ warmer")
        lines = screen_text(app).splitlines()
        above = next(number for number, line in enumerate(lines) if " first " in line and "paused" in line)
        assert "└ warmer" in lines[above + 1]
        assert max(map(len, lines)) <= size[0]
        await pilot.press("tab")
        await wait_for_text(pilot, "┆ forked", "└ first, step 46")
        if size[0] >= 100:
            await wait_for_text(pilot, f"forked from first ({parent.id})")
        await pilot.press("escape", "up")
        await pilot.press("tab")
        await wait_for_text(pilot, "● first", "┆ fork")


def test_words_are_settings_with_values_or_a_sentence_says_which_is_not(parent: Run) -> None:
    branch = Branch(parent, ())
    for words, error in (
        ("temperature=0.3  --learning-rate=1e-4", ""),
        ("temperature_=0.2", "temperature-: no such setting; did you mean temperature?"),
        ("qqqq", "qqqq: no such setting; name=value, such as epochs=800"),
        ("epochs=", "epochs: its value is missing; write epochs=1 to 100000 epochs"),
        ("epochs=many", "epochs: 'many' is not a whole number; give 1 to 100000 epochs"),
        ("fresh-optimizer", ""),
    ):
        branch.words = words
        assert branch.error == error
    branch.words = "temperature=0.3 learning-rate=1e-4 fresh-optimizer"
    assert branch.parsed() == ({"temperature": 0.3, "learning_rate": 1e-4}, True)
