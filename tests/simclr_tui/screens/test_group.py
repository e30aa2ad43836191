"""Keys that ask the same of every marked run."""

from pathlib import Path

from simclr_tui.app import DashboardApp
from simclr_tui.screens.confirm import ConfirmScreen
from simclr_tui.verbs import named
from tests.simclr_tui.support import Holder, toasts, wait_for_text, wait_until
from trainer.store.reader import StoreReader

SIZE = (120, 36)


def commands_of(runs: Path, run_id: str) -> list[str]:
    """What a run was asked to do."""
    reader = StoreReader.open(runs)
    rows = reader.connection.execute("SELECT command FROM commands WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
    reader.close()
    return [row[0] for row in rows]


async def test_without_a_mark_nothing_is_asked_of_any_run(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("P")
        await wait_until(pilot, lambda: "cursor's run, and then P pauses all that are" in toasts(app))
        assert not isinstance(app.screen, ConfirmScreen)


async def test_one_question_names_the_runs_and_says_which_are_left_alone(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"], obeys=True), Holder(runs, some_runs["waiting"], obeys=True):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "resting", "waiting", "running")
            app.main_screen.board.marked = {some_runs[name] for name in ("resting", "waiting", "done")}  # type: ignore[union-attr]
            for answer in ("enter", "n", "escape"):
                await pilot.press("P")
                await wait_for_text(pilot, "Pause 2 runs?", "resting", "waiting", "Left alone: done is finished")
                await pilot.press(answer)
                await wait_until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
            assert [commands_of(runs, run_id) for run_id in some_runs.values()] == [[], [], [], []]
            await pilot.press("P")
            await wait_for_text(pilot, "Pause 2 runs?")
            await pilot.press("y")
            await wait_until(pilot, lambda: "2 runs asked to pause" in toasts(app))
    asked = {name: commands_of(runs, run_id) for name, run_id in some_runs.items()}
    assert asked == {"resting": ["pause"], "waiting": ["pause"], "done": [], "broken": []}


async def test_where_it_can_be_done_to_none_the_reasons_are_said(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        app.main_screen.board.marked = {some_runs["done"]}  # type: ignore[union-attr]
        await pilot.press("S")
        await wait_until(pilot, lambda: "done is finished, so there is nothing to stop" in toasts(app))
        assert not isinstance(app.screen, ConfirmScreen)


async def test_a_run_that_ended_meanwhile_keeps_no_other_from_it(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        with Holder(runs, some_runs["resting"]):
            app.actions.group("stop", (some_runs["done"], some_runs["resting"]))
            await wait_until(pilot, lambda: "1 run asked to stop; done is finished" in toasts(app))
    assert commands_of(runs, some_runs["resting"]) == ["stop"]


def test_many_names_are_counted() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named([str(n) for n in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
