"""The keys of the charts, on the main screen and where one chart has the whole screen."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.events import MouseScrollUp
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.board import Board
from simclr_tui.screens.chart_controls import ChartControls
from simclr_tui.screens.chart_full import ChartFullScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.pick import PickScreen
from simclr_tui.screens.run import RunScreen
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.chart_grid import ChartGrid
from tests.simclr_tui.support import STEPS_PER_EPOCH, screen_text, step_row, toasts, wait_for_text, wait_until
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (120, 36)


def board_of(app: DashboardApp) -> Board:
    assert isinstance(app.main_screen, MainScreen)
    return app.main_screen.board


def grid_of(app: DashboardApp) -> ChartGrid:
    return app.screen.query_one(ChartGrid)


async def opened(pilot: Pilot[str], name: str) -> None:
    await wait_for_text(pilot, f"● {name}" if name == "done" else f"■ {name}", "smoothed")


async def test_one_cursor_reads_the_value_of_every_run_in_every_chart(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("space", "up")
        await wait_for_text(pilot, "■ resting   ● done")
        await pilot.press("left")
        await wait_for_text(pilot, "read at epoch 15.00", " 15.00 ")
        main = app.main_screen
        assert main is not None
        main.read_at(5.0)
        await wait_for_text(pilot, "read at epoch 5.00", "■ 20.00  ● 20.00")
        wanted = {run: stored(runs, some_runs[run], 5 * STEPS_PER_EPOCH) for run in ("resting", "done")}
        await pilot.press("plus", "plus", "plus", "plus")  # so close that each step is a point
        await wait_for_text(pilot, f"■ {wanted['resting']:.3f}  ● {wanted['done']:.3f}")
        main.read_at(12.0)
        await wait_for_text(pilot, "read at epoch 12.00, which is out of sight", "■ smoothed")
        await pilot.press("0")
        main.read_at(12.0)
        await wait_for_text(pilot, "■ (23.00)  ● 27.00")
        await pilot.press("escape")
        await wait_until(pilot, lambda: "read at" not in screen_text(app))
        assert board_of(app).view.cursor is None


def stored(runs: Path, run_id: str, step: int) -> float:
    store = RunStore.open(runs)
    value = store.connection.execute("SELECT loss FROM steps WHERE run_id = ? AND step = ?", (run_id, step)).fetchone()
    store.close()
    return float(value[0])


async def test_moving_the_cursor_makes_no_chart_anew(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("left")
        await wait_for_text(pilot, "read at")

        def fail(*_: object) -> None:
            pytest.fail("a chart was made anew")

        monkeypatch.setattr("simclr_tui.widgets.chart_grid.chart_of", fail)
        monkeypatch.setattr("simclr_tui.widgets.chart.draw", fail)
        for _ in range(5):
            await pilot.press("left")
        await wait_until(pilot, lambda: " 15.00 " not in screen_text(app))


async def test_zoom_pan_and_back_to_all_of_it(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("plus")
        await wait_for_text(pilot, "epoch 7.50–15.00 of 15.00, following")
        await pilot.press("equals_sign", "shift+left")
        await wait_for_text(pilot, "epoch 10.31–14.06 of 15.00")
        assert "following" not in screen_text(app)
        await pilot.press("shift+right")
        await wait_for_text(pilot, "epoch 11.25–15.00 of 15.00, following")
        await pilot.press("shift+right")
        await wait_until(pilot, lambda: "this is the newest end" in toasts(app))
        await pilot.press("minus")
        await wait_for_text(pilot, "epoch 7.50–15.00")
        await pilot.press("0")
        await wait_until(pilot, lambda: "of 15.00" not in screen_text(app))
        assert board_of(app).view.window is None


async def test_a_window_at_the_newest_end_moves_along_with_new_steps(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    store = RunStore.open(runs)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "resting")
        await pilot.press("x", "plus")
        await wait_for_text(pilot, "step 100–200 of 200, following")
        add_steps(store, some_runs["resting"], 201, 230)
        await wait_for_text(pilot, "step 130–230 of 230, following")
        await pilot.press("shift+left")
        await wait_for_text(pilot, "step 105–205 of 230")
        add_steps(store, some_runs["resting"], 231, 260)
        await wait_for_text(pilot, "step 105–205 of 260")
        # Another run reaches further: that is no step that has come.
        await pilot.press("shift+right", "shift+right", "shift+right")
        await wait_for_text(pilot, "step 160–260 of 260, following")
        await pilot.press("down")
        await wait_for_text(pilot, "step 160–260 of 345")
    store.close()


def add_steps(store: RunStore, run_id: str, first: int, last: int) -> None:
    store.append(run_id, [step_row(step, random.Random(step)) for step in range(first, last + 1)])


async def test_another_axis_forgets_window_and_cursor_which_were_places_on_the_one_before(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("plus", "left", "x")
        await wait_for_text(pilot, "step│")
        view = board_of(app).view
        assert (view.axis, view.window, view.cursor) == ("step", None, None)
        await pilot.press("x", "left")
        await wait_for_text(pilot, "after the start")
        await pilot.press("x", "left")
        await wait_until(pilot, lambda: board_of(app).view.axis == "trained")
        await wait_for_text(pilot, "s trained")


async def test_w_goes_through_the_smoothings_and_says_which(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        for words in ("smoothed over 5 %", "smoothed over 15 %", "not smoothed", "smoothed over 0.5 %"):
            await pilot.press("w")
            await wait_for_text(pilot, words)


async def test_charts_are_chosen_ordered_and_remembered(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("V")
        await wait_for_text(pilot, "charts that are shown", "every step")
        await pilot.press("space", *"gradient")
        await wait_until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.highlighted is not None)
        await pilot.press("space", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        charts = board_of(app).view.charts
        assert charts[0] == "accuracy", "the loss was taken away"
        assert len(charts) == 6
        assert charts[-1].startswith("steps.")
        await wait_until(pilot, lambda: "gradient" in screen_text(app).lower())
        await pilot.press("l", "w", "x")
        await wait_until(pilot, lambda: app.remembered.get("charts.axis") == "step")
    again = DashboardApp(runs, select=some_runs["done"])
    async with again.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "step│", "smoothed over 5 %")
        assert "a step, ms, log ─" in screen_text(again)
        assert "contrastive accuracy, % " in screen_text(again), "it has no logarithmic axis"
        view = board_of(again).view
        assert (view.charts, view.log, view.axis, view.smoothing) == (charts, True, "step", 0.05)
        assert not again.screen.query("#loss")


async def test_where_there_are_more_charts_than_room_they_come_in_pages(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        board = board_of(app)
        names = ("loss", "accuracy", "steps.lr", "device", "knn", "step-time", "steps.grad_norm", "evaluation")
        board.view = replace(board.view, charts=names)
        assert app.main_screen is not None
        app.main_screen.show_board()
        await wait_for_text(pilot, "charts 1–6 of 8")
        assert len(app.screen.query(".cell")) == 7, "what is on no page yet is not made"
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "charts 7–8 of 8", "test accuracy, %")
        assert grid_of(app).current == "evaluation"
        assert not app.screen.query_one("#loss").display
        await pilot.press("right_square_bracket")
        await wait_for_text(pilot, "charts 1–6 of 8", "chance 5.54")
        shown = [chart for chart in app.screen.query(Chart) if chart.display]
        places = {(chart.region.y, chart.region.x): grid_of(app).id_of(chart) for chart in shown}
        assert tuple(places[place] for place in sorted(places)) == names[:6], "in their order"


async def test_a_narrow_screen_shows_one_chart_and_answers_where_none_is_in_sight(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "▸● done")
        await pilot.press("left")
        await wait_until(pilot, lambda: "no chart is in sight; z shows one" in toasts(app))
        await pilot.press("enter")
        await wait_for_text(pilot, "chart 1 of 6", "chance 5.54")
        await pilot.press("right_square_bracket")
        await wait_for_text(pilot, "chart 2 of 6", "contrastive accuracy")
        await pilot.press("left")
        await wait_for_text(pilot, "read at epoch 15.00")
        await pilot.press("escape")
        await wait_until(pilot, lambda: "read at" not in screen_text(app))
        assert isinstance(app.screen, RunScreen), "the first escape takes the cursor alone"
        await pilot.press("escape")
        await wait_for_text(pilot, "▸● done")


async def test_z_gives_a_chart_the_screen_with_figures_and_marks_in_words(
    runs: Path, some_runs: dict[str, str]
) -> None:
    store = RunStore.open(runs)
    store.event(some_runs["done"], "resumed-from", "resumed from step 115", step=115)
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.press("space", "up", "right_square_bracket", "z")
        await wait_until(pilot, lambda: isinstance(app.screen, ChartFullScreen))
        await wait_for_text(pilot, "■ resting  ● done", "contrastive accuracy", "curve", "top-1", "top-5")
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "loss", "chance 5.54", "resumed at epoch 5.00")
        await pilot.press("left", "plus")
        await wait_for_text(pilot, "at epoch 15.00", "epoch 7.50–15.00")
        add_steps(store, some_runs["done"], 346, 368)
        await wait_for_text(pilot, "epoch 8.50–16.00 of 16.00, following")
        await pilot.press("escape")
        await wait_until(pilot, lambda: board_of(app).view.cursor is None)
        await pilot.press("right_square_bracket", "right_square_bracket", "z")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        assert grid_of(app).current == "knn", "it goes on with the chart that was shown last"
        await wait_for_text(pilot, "epoch 8.50–16.00")
    store.close()


async def test_on_a_benchmark_the_keys_say_why_they_do_nothing(runs: Path, some_runs: dict[str, str]) -> None:
    store = RunStore.open(runs)
    run_id = store.create_run(kind="benchmark", name="loader-test", config="{}")
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "loader-test")
        before = board_of(app).view
        keys = [key for one in ChartControls.KEYS if isinstance(one, Binding) for key in one.key.split(",")]
        for key in keys:
            app.clear_notifications()
            await pilot.press(key)
            assert "a benchmark has no curves; b shows its trials" in toasts(app), key
        assert board_of(app).view == before
        assert isinstance(app.screen, MainScreen)


async def test_a_history_names_what_happened_as_the_marks_of_the_charts_do(
    runs: Path, some_runs: dict[str, str]
) -> None:
    store = RunStore.open(runs)
    run_id = some_runs["resting"]
    store.event(run_id, "settings-accepted", "workers 2 → 4", step=50)
    store.event(run_id, "checkpoint-failed", "名 is not written", level="error", step=99)
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "resting")
        await pilot.press("enter")
        await wait_for_text(pilot, "┆ settings", "┇ checkpoint failed", "名 is not written")
        data = app.screen.query_one("#loss", Chart).data
        assert data is not None
        shown = screen_text(app).partition("─ events")[2]
        words = {mark.word for mark in data.marks}
        assert words == {"settings", "checkpoint failed", "paused"}
        assert all(f"┆ {word}" in shown or f"┇ {word}" in shown for word in words)


async def test_the_mouse_reads_zooms_and_pulls(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "done")
        await pilot.click("#knn", offset=(20, 3))
        await wait_for_text(pilot, "read at epoch")
        assert grid_of(app).current == "knn"
        chart = app.screen.query_one("#knn", Chart)
        x, y = chart.region.x + 20, chart.region.y + 3
        event = MouseScrollUp(chart, 20, 3, 0, 0, 0, False, False, False, screen_x=x, screen_y=y)
        chart.post_message(event)
        await wait_until(pilot, lambda: board_of(app).view.window is not None)
        before = board_of(app).view.window
        assert before is not None
        await pilot.mouse_down("#knn", offset=(10, 3))
        await pilot.hover("#knn", offset=(14, 3))
        await pilot.mouse_up("#knn", offset=(14, 3))
        await wait_until(pilot, lambda: (board_of(app).view.window or before)[0] < before[0])
