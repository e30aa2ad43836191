"""The grid of charts by itself: which cells there are, which of them are made anew, and what a click says."""

from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot

import simclr_tui
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.model import Curves
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample
from simclr_tui.theme import grounds, run_variables
from simclr_tui.themes import DARK
from simclr_tui.widgets import chart_grid
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.chart_grid import ChartGrid
from tests.simclr_tui.row_support import row_of
from tests.simclr_tui.support import screen_text, wait_for_text, wait_until

NAMES = ("loss", "metrics.a b", "metrics.a-b", "step-time", "knn", "evaluation", "metrics.名", "device")


class GridApp(App[None]):
    CSS_PATH = Path(simclr_tui.__file__).parent / "app.tcss"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**run_variables(dark=True), **grounds(DARK)}

    def compose(self) -> ComposeResult:
        yield ChartGrid(id="charts")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the charts that were made, each as often as it was."""
    names: list[str] = []

    def chart_of(name: str, _drawn: object, view: View) -> ChartData:
        names.append(name)
        line = Line(samples=[Sample.at(x, x) for x in range(11)], ink="run-0", sign="●", name=name)
        return ChartData(title=f"<{name}>", lines=[line], x_range=view.window or (0.0, 10.0), y_range=(0.0, 10.0))

    monkeypatch.setattr(chart_grid, "chart_of", chart_of)
    return names


async def shown(pilot: Pilot[None], charts: tuple[str, ...], **look: object) -> ChartGrid:
    grid = pilot.app.query_one(ChartGrid)
    grid.show((), replace(View(charts=charts), **look))  # type: ignore[arg-type]  # by name
    await pilot.pause()
    return grid


def titles(grid: ChartGrid) -> list[str]:
    return [Content.from_markup(cell.border_title or "").plain for cell in grid.query(".cell").results()]


async def test_charts_come_in_their_order_whatever_their_names_are(made: list[str]) -> None:
    async with GridApp().run_test(size=(200, 40)) as pilot:
        grid = await shown(pilot, NAMES)
        await wait_for_text(pilot, *(f"<{name}>" for name in NAMES if name != "evaluation"), "test accuracy, %")
        assert titles(grid) == ["test accuracy, %" if name == "evaluation" else f"<{name}>" for name in NAMES]
        grid = await shown(pilot, ("knn", "loss", "metrics.a b"))
        assert titles(grid) == ["<knn>", "<loss>", "<metrics.a b>"]
        await wait_until(pilot, lambda: "metrics.名" not in screen_text(pilot.app))


async def test_a_cell_outlives_another_choice_and_is_made_anew_only_if_it_was_gone(made: list[str]) -> None:
    async with GridApp().run_test(size=(120, 40)) as pilot:
        grid = await shown(pilot, ("loss", "knn"))
        loss = grid.query_one("#loss")
        grid = await shown(pilot, ("device", "loss", "knn"))
        assert grid.query_one("#loss") is loss
        assert made.count("loss") == 1, "another chart beside it changes nothing of it"
        await shown(pilot, ("device",))
        await shown(pilot, ("device", "loss"))
        assert grid.query_one("#loss") is not loss
        assert made.count("device") == 1


async def test_only_what_is_visible_is_made_and_only_if_something_has_changed(made: list[str]) -> None:
    async with GridApp().run_test(size=(80, 16)) as pilot:
        grid = await shown(pilot, ("loss", "knn", "device"))
        assert made == ["loss"]
        grid.turn(1)
        grid.turn(-1)
        assert made == ["loss", "knn"]
        await shown(pilot, ("loss", "knn", "device"), cursor=3.0)
        assert made == ["loss", "knn"], "the cursor is laid over"
        await shown(pilot, ("loss", "knn", "device"), window=(2.0, 4.0))
        assert made == ["loss", "knn", "loss"]
        grid.turn(1)
        assert made == ["loss", "knn", "loss", "knn"], "what was not visible is made once it is"
        await pilot.resize_terminal(120, 40)
        await pilot.pause(0.1)
        assert made == ["loss", "knn", "loss", "knn", "device"], "a new size is drawn and not made"


async def test_what_was_read_anew_is_made_anew(made: list[str]) -> None:
    async with GridApp().run_test(size=(80, 16)) as pilot:
        grid = await shown(pilot, ("loss",))
        row, curves = row_of("a"), Curves(run_id="a")
        for drawn, times in (
            (Drawn(row, curves), 2),
            (Drawn(row_of("a"), curves), 2),
            (Drawn(row, Curves(run_id="a")), 3),
            (Drawn(row_of("a", state="failed"), curves), 4),
        ):
            grid.show([drawn], View(charts=("loss",)))
            assert made.count("loss") == times


async def test_the_cursor_is_drawn_in_every_chart_with_its_value_below(made: list[str]) -> None:
    async with GridApp().run_test(size=(120, 40)) as pilot:
        grid = await shown(pilot, ("loss", "knn"))
        grid.point(View(cursor=4.2, charts=("loss", "knn")))
        await wait_for_text(pilot, " 4.20 ", "● 4.000")
        assert screen_text(pilot.app).count(" 4.20 ") == 2
        assert made == ["loss", "knn"]


async def test_a_click_on_a_chart_says_where_and_a_pull_by_how_much(made: list[str]) -> None:
    heard: list[object] = []

    class Listening(GridApp):
        def on_chart_pointed(self, event: Chart.Pointed) -> None:
            heard.append(event.x)

        def on_chart_dragged(self, event: Chart.Dragged) -> None:
            heard.append(round(event.part, 2))

    async with Listening().run_test(size=(60, 16)) as pilot:
        await shown(pilot, ("loss",))
        chart = pilot.app.query_one("#loss", Chart)
        row = chart._picture[2]
        assert row is not None
        await pilot.click("#loss", offset=(1 + row.gutter + row.columns // 2, 4))
        await pilot.mouse_down("#loss", offset=(20, 4))
        await pilot.hover("#loss", offset=(31, 4))
        await pilot.mouse_up("#loss", offset=(31, 4))
        await wait_until(pilot, lambda: len(heard) == 2)
        assert heard == [pytest.approx(5.0, abs=0.15), round(11 / row.columns, 2)]
