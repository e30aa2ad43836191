"""The list of runs on the screen: sorted, grouped, filtered, with other columns, and the same the next time."""

from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.pick import PickScreen
from simclr_tui.widgets.run_table import RunTable
from tests.simclr_tui.support import add_run, screen_text, toasts, wait_for_text, wait_until
from trainer.store.labels import write_labels
from trainer.store.records import Labels
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (120, 36)
NARROW = (80, 24)


@pytest.fixture
def labelled(runs: Path, some_runs: dict[str, str]) -> dict[str, str]:
    """The same runs: resting is tagged, done is archived, broken is pinned."""
    with closing(RunStore.open(runs)) as store:
        write_labels(store, some_runs["resting"], Labels(tags=("baseline",)))
        write_labels(store, some_runs["done"], Labels(is_archived=True))
        write_labels(store, some_runs["broken"], Labels(is_pinned=True))
    return some_runs


def listed(app: DashboardApp) -> list[str]:
    """Names of the runs in the list, from the top."""
    assert isinstance(app.main_screen, MainScreen)
    return [row.run.name for row in app.main_screen.board.visible]


def left_of(app: DashboardApp) -> list[str]:
    """The lines of the list's pane."""
    width = 45 if app.size.width >= 100 else 80
    return [line[:width] for line in screen_text(app).splitlines()]


async def pick(pilot: Pilot[str], key: str, text: str) -> None:
    """Press a key and take the line that a text finds."""
    await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))
    await type_text(pilot, text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: not isinstance(pilot.app.screen, PickScreen))


async def type_text(pilot: Pilot[str], text: str) -> None:
    await pilot.press(*({" ": "space", ":": "colon", ">": "greater_than_sign"}.get(one, one) for one in text))


async def test_sorting_asks_for_a_column_shows_it_and_turns_round(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("O")
        await wait_until(pilot, lambda: "o sorts by a column" in toasts(app))
        await pick(pilot, "o", "mean loss")
        await wait_for_text(pilot, "mean loss▲", "▸■ resting")
        await wait_until(pilot, lambda: listed(app)[:3] == ["done", "resting", "broken"])
        assert listed(app)[3] == "waiting", "what has no loss comes last"
        await pilot.press("O")
        await wait_for_text(pilot, "mean loss▼")
        assert listed(app) == ["broken", "resting", "done", "waiting"]
        await pick(pilot, "o", "as usual")
        await wait_until(pilot, lambda: listed(app) == ["waiting", "broken", "resting", "done"])
        assert "mean loss" not in "".join(left_of(app))


async def test_a_heading_is_clicked_to_sort_to_turn_round_and_to_leave_it(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸◆ waiting")
        heading = left_of(app)[2]
        spot = (heading.index("kNN") - 1, 0)
        await pilot.click("#runs", offset=spot)
        await wait_for_text(pilot, "kNN▼")
        assert listed(app) == ["done", "resting", "waiting", "broken"]
        await pilot.click("#runs", offset=spot)
        await wait_for_text(pilot, "kNN▲")
        assert listed(app) == ["resting", "done", "waiting", "broken"]
        await pilot.click("#runs", offset=spot)
        await wait_until(pilot, lambda: "kNN▲" not in screen_text(app))
        await pilot.click("#runs", offset=(4, 0))
        await wait_for_text(pilot, "run▲")
        assert listed(app) == ["broken", "done", "resting", "waiting"]


async def test_columns_are_chosen_in_an_order_and_those_that_do_not_fit_are_counted(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("C")
        await wait_for_text(pilot, "columns", "1 state", "5 loss")
        await type_text(pilot, "temperature")
        await pilot.press("space")
        for _ in range(5):
            await pilot.press("ctrl+up")
        await wait_for_text(pilot, "1 temperature")
        await pilot.press("enter")
        await wait_for_text(pilot, "temperature state", "+4 columns")
        assert "0.5 paused" in next(line for line in left_of(app) if "resting" in line)
        await pilot.resize_terminal(80, 24)
        await wait_for_text(pilot, "temperature state       done")
        assert all(len(line) == 80 for line in screen_text(app).splitlines())
        await wait_until(pilot, lambda: "columns ─" not in screen_text(app))


async def test_groups_have_headings_and_the_cursor_goes_from_run_to_run(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pick(pilot, "g", "temperature")
        await wait_for_text(
            pilot, "─ temperature 0.2 · 3 runs · best kNN 30.0%", "─ temperature 0.5 · 1 run · best kNN 23.0%"
        )
        assert listed(app) == ["waiting", "broken", "done", "resting"]
        await pilot.press("up")
        await wait_for_text(pilot, "▸● done")
        await pilot.press("down")
        await wait_for_text(pilot, "▸■ resting")
        await pilot.click("#runs", offset=(5, 1))  # a heading is no run
        await pilot.pause()
        assert "▸■ resting" in screen_text(app)
        await pick(pilot, "g", "no groups")
        await wait_until(pilot, lambda: "─ temperature" not in screen_text(app))


async def test_a_mistake_in_the_filter_is_told_below_it_and_the_list_stays(
    runs: Path, labelled: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "runs  3 of 4", "1 put away", "*broken")
        await pilot.press("slash")
        await type_text(pilot, "tag:base")
        await wait_for_text(pilot, "runs  1 of 4  filter: tag:base")
        await type_text(pilot, " lr>")
        await wait_for_text(pilot, "lr> needs a number behind it")
        assert listed(app) == ["resting"]
        await pilot.press("enter")  # what means nothing is not left
        await type_text(pilot, "1e-4")
        await wait_until(pilot, lambda: "needs a number" not in screen_text(app))
        await pilot.press("enter", "escape")
        await wait_until(pilot, lambda: len(listed(app)) == 3)


async def test_what_was_put_away_is_faint_has_a_word_and_is_shown_when_asked_for(
    runs: Path, labelled: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=NARROW) as pilot:
        await wait_for_text(pilot, "resting #baseline", "▸▲*broken")
        assert "done" not in listed(app)
        await pilot.press("slash")
        await type_text(pilot, "is:all")
        await wait_for_text(pilot, "runs  4 of 4  filter: is:all", "done archived")
        assert listed(app)[0] == "broken", "pinned runs come first"
        await pilot.press("enter")
        with closing(RunStore.open(runs)) as store:
            write_labels(store, labelled["done"], Labels(trashed_at=1.0))
        await wait_for_text(pilot, "done trashed")


async def test_all_runs_of_the_list_are_marked_and_the_newest_of_them_drawn(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with closing(RunStore.open(runs)) as store:
        for number in range(20):
            add_run(store, f"more-{number}", steps=3, lifecycle="paused")
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("M")
        await wait_for_text(pilot, "24 marked")
        assert isinstance(app.main_screen, MainScreen)
        drawn = [one.row.run.name for one in app.main_screen.board.drawn]
        assert drawn == ["resting", *(f"more-{number}" for number in range(9, 20))]
        await pilot.press("M")
        await wait_until(pilot, lambda: "marked ·" not in screen_text(app) and "24 marked ─" not in screen_text(app))
        assert not app.main_screen.board.marked


async def test_the_next_time_the_list_is_as_it_was_and_says_that_it_is_filtered(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=NARROW) as pilot:
        await wait_for_text(pilot, "▸◆ waiting")
        await pick(pilot, "o", "mean loss")
        await pick(pilot, "g", "state")
        await pilot.press("slash")
        await type_text(pilot, "preset:demo -waiting")
        await pilot.press("enter", "home", "down")
        await wait_for_text(pilot, "filter: preset:demo -waiting")
        chosen = app.main_screen.board.cursor_id if app.main_screen else None
    again = DashboardApp(runs)
    async with again.run_test(size=NARROW) as pilot:
        await wait_for_text(pilot, "runs  3 of 4  filter: preset:demo -waiting", "mean loss▲", "─ state paused")
        assert isinstance(again.main_screen, MainScreen)
        await wait_until(pilot, lambda: again.main_screen is not None and again.main_screen.board.cursor_id == chosen)
        assert "filtered as the last time" in toasts(again)
        await pilot.press("escape")
        await wait_until(pilot, lambda: len(listed(again)) == 4)
    asked_for = DashboardApp(runs, select=some_runs["waiting"])
    async with asked_for.run_test(size=NARROW) as pilot:
        await wait_for_text(pilot, "▸◆ waiting")


async def test_a_cursor_whose_run_leaves_the_list_goes_to_its_neighbour(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["broken"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸▲ broken")
        with closing(RunStore.open(runs)) as store:
            write_labels(store, some_runs["broken"], Labels(is_archived=True))
        await wait_for_text(pilot, "▸■ resting", "1 put away")


async def test_a_list_that_has_not_changed_is_not_drawn_again(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await wait_until(pilot, lambda: bool(app.main_screen and app.main_screen.board.rows[0].figures))
        await pilot.pause(1.2)
        table, drawn = app.screen.query_one(RunTable), []
        table.refresh = lambda *_, **__: drawn.append(1)  # type: ignore[assignment,method-assign]
        assert isinstance(app.main_screen, MainScreen)
        app.main_screen.show_board()
        assert drawn == []
        app.main_screen.action_move(1)
        assert drawn


async def test_a_setting_that_no_longer_differs_stays_a_column_when_columns_are_chosen_anew(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        assert app.main_screen is not None
        app.main_screen._look(columns=("setting:batch_size", "state"))
        await pilot.press("C")
        await wait_for_text(pilot, "1 batch-size", "2 state")
        await pilot.press("enter")
        await wait_until(pilot, lambda: not isinstance(app.screen, PickScreen))
        assert app.main_screen.board.listed.columns == ("setting:batch_size", "state")


async def test_marking_where_there_is_nothing_to_mark_is_answered_and_takes_no_mark_away(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("space", "slash", *"zzz", "enter")
        await wait_for_text(pilot, "no run matches")
        assert "r resumes it" not in screen_text(app), "it is said of the cursor's run, and there is none"
        await pilot.press("M", "space")
        await wait_until(pilot, lambda: "the list shows no run to mark" in toasts(app))
        assert "there is no run to mark" in toasts(app)
        assert app.main_screen is not None
        assert app.main_screen.board.marked == {some_runs["resting"]}


async def test_a_note_of_several_lines_takes_one_line_of_the_list(runs: Path, some_runs: dict[str, str]) -> None:
    with closing(RunStore.open(runs)) as store:
        write_labels(store, some_runs["resting"], Labels(note="first line\nsecond\nthird"))
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        assert app.main_screen is not None
        app.main_screen._look(columns=("note",))
        await wait_for_text(pilot, "first line second")
        assert len(screen_text(app).splitlines()) == SIZE[1]
