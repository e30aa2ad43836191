"""The window to choose from."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import OptionList

from simclr_tui.screens import pick
from simclr_tui.screens.pick import Item, PickScreen
from simclr_tui.theme import grounds, run_variables
from simclr_tui.themes import DARK
from tests.simclr_tui.support import screen_text, wait_for_text

ITEMS = [Item("loss", "loss"), Item("lr", "learning rate", "of a step"), Item("knn", "kNN top-1", "of an epoch")]


class PickApp(App[None]):
    CSS_PATH = Path(pick.__file__).parent.parent / "app.tcss"

    def __init__(self, *, many: bool, chosen: list[str], items: Sequence[Item] = ITEMS) -> None:
        super().__init__()
        self.pick = PickScreen("columns", items, chosen, many=many)
        self.answers: list[list[str] | None] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**run_variables(dark=True), **grounds(DARK)}

    def on_mount(self) -> None:
        self.push_screen(self.pick, self.answers.append)


@pytest.mark.parametrize(
    ("keys", "many", "chosen", "answer"),
    [
        (["enter"], False, ["lr"], ["lr"]),
        (["down", "enter"], False, ["loss"], ["lr"]),
        (["k", "n", "n", "space", "t", "enter"], False, ["loss"], ["knn"]),
        (["escape"], False, ["lr"], None),
        (["enter"], True, ["lr", "loss"], ["lr", "loss"]),
        (["down", "down", "space", "enter"], True, ["lr", "loss"], ["lr", "loss", "knn"]),
        (["space", "enter"], True, ["lr", "loss"], ["loss"]),
        (["ctrl+down", "enter"], True, ["lr", "loss"], ["loss", "lr"]),
        (["down", "ctrl+up", "enter"], True, ["lr", "loss"], ["loss", "lr"]),
        (["o", "f", "space", "enter"], True, [], ["lr"]),
        (["space", "escape"], True, ["lr"], None),
    ],
)
async def test_what_was_chosen_comes_back_in_its_order(
    keys: list[str], many: bool, chosen: list[str], answer: list[str] | None
) -> None:
    app = PickApp(many=many, chosen=chosen)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "kNN top-1", "columns")
        await pilot.press(*keys)
        await pilot.pause()
    assert app.answers == [answer]


async def test_a_search_that_matches_nothing_takes_nothing() -> None:
    app = PickApp(many=False, chosen=[])
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "kNN top-1")
        await pilot.press("z", "z", "enter")
        await pilot.pause()
        assert "kNN" not in screen_text(app)
        assert app.answers == []
        await leave(pilot)
    assert app.answers == [None]


async def test_of_very_many_lines_the_first_are_listed_and_the_others_counted_until_they_are_searched() -> None:
    app = PickApp(many=True, chosen=["run-700"], items=[Item(f"run-{n}", f"run {n}") for n in range(1200)])
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, " 1 run 700", "run 0", "1,100 more; type to find them")
        assert app.pick.query_one(OptionList).option_count == 100
        await pilot.press(*"1100", "space")
        await wait_for_text(pilot, " 2 run 1100")
        assert "more; type" not in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
    assert app.answers == [["run-700", "run-1100"]]


async def leave(pilot: Pilot[None]) -> None:
    await pilot.press("escape")
    await pilot.pause()
