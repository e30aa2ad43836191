"""Keys on another person's run: asked first, with whose it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.screens.confirm import ConfirmScreen
from tests.simclr_tui.support import Holder, screen_text, wait_for_text, wait_until
from trainer.store.labels import labels_of
from trainer.store.runs import RunStore

ANNAS = {"owner": "anna", "owner_uid": 70001}


def app_on(runs: Path, run_id: str, **people: object) -> DashboardApp:
    """A dashboard with the cursor on a run that is anna's."""
    store = RunStore.open(runs)
    store.update_run(run_id, **ANNAS | people)
    store.close()
    return DashboardApp(runs, select=run_id)


async def asked(pilot: Pilot[str], key: str, question: str) -> None:
    """Press a key and wait for the question."""
    await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    await wait_for_text(pilot, question)


def look(runs: Path, what: Callable[[RunStore], object]) -> object:
    """Something of the store."""
    store = RunStore.open(runs)
    try:
        return what(store)
    finally:
        store.close()


async def test_a_key_on_another_persons_run_asks_and_names_the_person(
    runs: Path, some_runs: dict[str, str], started: list[str]
) -> None:
    run_id = some_runs["resting"]
    app = app_on(runs, run_id)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await wait_for_text(pilot, "resting")
        for key, question in {
            "r": "Resume anna's run resting?",
            "a": "Archive anna's run resting?",
            "d": "Trash anna's run resting?",
        }.items():
            await asked(pilot, key, question)
            await pilot.press("n")
            await wait_until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
        assert started == []
        labels = look(runs, lambda store: labels_of(store, run_id))
        assert labels.trashed_at is None  # type: ignore[attr-defined]
        assert not labels.is_archived  # type: ignore[attr-defined]
        await asked(pilot, "r", "Resume anna's run resting?")
        await pilot.press("y")
        await wait_until(pilot, lambda: started == [run_id])


@pytest.mark.parametrize("is_mine", [True, False])
async def test_pausing_is_asked_unless_it_is_ones_own_process(
    runs: Path, some_runs: dict[str, str], is_mine: bool
) -> None:
    run_id = some_runs["resting"]
    with Holder(runs, run_id):
        app = app_on(runs, run_id, **({} if is_mine else {"runner": "anna", "runner_uid": 70001}))
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await wait_for_text(pilot, "running")
            await pilot.press("p")
            if not is_mine:
                await wait_for_text(pilot, "Pause anna's run resting?", "pause (y)", "leave it (n)")
                await pilot.press("y")
            await wait_until(pilot, lambda: bool(look(runs, lambda store: store.pending_commands(run_id))))


async def test_the_list_and_the_facts_name_owners_where_there_are_several(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = app_on(runs, some_runs["resting"], runner="lars", runner_uid=70002)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "owner", "anna")
        await pilot.press("enter")
        await wait_for_text(pilot, "anna, run by lars")


async def test_ones_own_runs_name_nobody_and_ask_nothing(
    runs: Path, some_runs: dict[str, str], started: list[str]
) -> None:
    """The control."""
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "resting")
        assert "owner" not in screen_text(app)
        await pilot.press("r")
        await wait_until(pilot, lambda: started == [some_runs["resting"]])
