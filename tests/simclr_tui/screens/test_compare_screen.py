"""Runs side by side on the screen: each key at two sizes, live, with twelve runs, and what is refused."""

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from simclr_tui.app import DashboardApp
from simclr_tui.compare.layout import Layout, plain
from simclr_tui.compare.saving import ENDINGS
from simclr_tui.screens.compare import CompareScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.pick import PickScreen
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.compare_charts import CompareCharts, small_multiples
from simclr_tui.widgets.compare_table import CompareTable
from tests.simclr_tui.learning_store import layer_rows, put_checkpoint
from tests.simclr_tui.support import AT_EACH_SIZE, add_run, screen_text, step_row, toasts, wait_for_text, wait_until
from tests.trainer.test_totals import put
from trainer.benchmark_config import BenchmarkConfig
from trainer.start import new_benchmark_run
from trainer.store.labels import write_labels
from trainer.store.records import Labels
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens


@pytest.fixture
def three(store: RunStore) -> dict[str, str]:
    """Three runs of different lengths; ids by name."""
    ids = {
        "base": add_run(store, "base", steps=345, lifecycle="finished"),
        "warm": add_run(store, "warm", steps=184, lifecycle="paused", temperature=0.5),
        "seeded": add_run(store, "seeded", steps=115, lifecycle="stopped", seed=7),
    }
    store.put_evaluations(ids["base"], layer_rows())
    return ids


async def open_comparison(pilot: Pilot[str], run_ids: Sequence[str]) -> CompareScreen:
    """Mark all runs but the first, put the cursor on that, and press the key."""
    app = pilot.app
    assert isinstance(app, DashboardApp)
    await wait_until(pilot, lambda: app.main_screen is not None and bool(app.main_screen.board.rows))
    assert app.main_screen is not None
    board = app.main_screen.board
    board.cursor_id, board.marked = run_ids[0], set(run_ids[1:])
    await pilot.press("c")
    await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    await wait_until(pilot, lambda: screen.comparison is not None)
    await wait_for_text(pilot, "settings that differ")
    return screen


def names(screen: CompareScreen) -> list[str]:
    assert screen.comparison is not None
    return [one.name for one in screen.comparison.headings]


@AT_EACH_SIZE
async def test_each_key_of_the_comparison_does_what_it_says(
    runs: Path, three: dict[str, str], size: tuple[int, int]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=size) as pilot:
        screen = await open_comparison(pilot, list(three.values()))
        await wait_for_text(
            pilot, "▸● base", "■ warm", "▲ seeded", "temperature", "settings are equal", "2 runs against ● base"
        )
        assert all(len(line) <= size[0] for line in screen_text(app).splitlines())
        is_narrow = size[0] < 100
        assert (len([chart for chart in screen.query(Chart) if chart.size.height]) == 2) is not is_narrow
        await pilot.press("right")
        await wait_for_text(pilot, "▸■ warm")
        await pilot.press("left", "left")
        await wait_for_text(pilot, "▸● base")
        await pilot.press("r")
        await wait_until(pilot, lambda: "reference already" in toasts(app))
        await pilot.press("right", "right", "1")
        await wait_for_text(pilot, "2 runs against ▲ seeded", "▸▲ seeded")
        assert names(screen) == ["seeded", "base", "warm"]
        assert app.main_screen is not None
        assert app.main_screen.board.compared[0] == three["seeded"]
        await pilot.press("u")
        await wait_for_text(pilot, "equal settings", "dataset")
        await pilot.press("end")
        await wait_for_text(pilot, "not comparable: ")
        await pilot.press("home", "u")
        await wait_for_text(pilot, "settings are equal")
        await pilot.press("pagedown", "up", "down", "j", "k")
        await wait_until(pilot, lambda: "settings that differ" not in screen_text(app))
        await pilot.press("tab")
        await wait_for_text(pilot, "kNN top-1, %", "chance 5.54")
        await wait_until(pilot, lambda: "side by side" not in screen_text(app))
        await pilot.press("m")
        await wait_for_text(pilot, "─ ● base ─", "─ ■ warm ─", "─ ▲ seeded ─")
        await wait_until(pilot, lambda: screen_text(app).count("╭─") == 3)
        await pilot.press("m")
        await wait_for_text(pilot, "settings against results", "temperature", "kNN, best, % ↑", "▲0.2", "■0.5")
        await wait_until(pilot, lambda: screen_text(app).count("╭─") == 1)
        await pilot.press("m")
        await wait_for_text(pilot, "kNN top-1, %", "chance 5.54")
        await wait_until(pilot, lambda: screen_text(app).count("╭─") == 2)
        await pilot.press("tab")
        await wait_for_text(pilot, "side by side")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        assert app.main_screen.board.compared == ()
        assert app.main_screen.board.watched(100).compared_ids == ()


async def test_the_comparison_is_saved_by_the_ending_of_its_file(
    runs: Path, three: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_comparison(pilot, list(three.values()))
        await pilot.press("S")
        field = app.screen.query_one("#save", Input)
        await wait_until(pilot, lambda: field.has_focus and field.value == "comparison-base-warm-seeded.md")
        await wait_for_text(pilot, "↵ writes it")
        field.value = "x.doc"
        await wait_for_text(pilot, "its ending says what is written")
        await pilot.press("enter")
        assert field.has_focus, "nothing is written under a name that says nothing"
        for ending in set(ENDINGS) - {".svg"}:  # the command that draws both is tested with it
            field.value = f"out{ending}"
            await pilot.press("enter")
            await wait_until(pilot, lambda ending=ending: f"the comparison is in {tmp_path}/out{ending}" in toasts(app))  # type: ignore[misc]
            await pilot.press("S")
        field.value = "out.png"
        await wait_for_text(pilot, "is there already, ↵ replaces it")
        await pilot.press("escape")
        await wait_until(pilot, lambda: not field.has_focus)
        assert isinstance(app.screen, CompareScreen), "escape leaves the field first"
    assert next(csv.reader(io.StringIO((tmp_path / "out.csv").read_text())))[3:6] == ["base", "warm", "seeded"]
    assert len(json.loads((tmp_path / "out.json").read_text())["runs"]) == 3
    assert "| temperature" in (tmp_path / "out.md").read_text()
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


async def test_a_file_that_can_not_be_written_is_said(runs: Path, three: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out.md.tmp").mkdir()
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_comparison(pilot, list(three.values()))
        await pilot.press("S")
        app.screen.query_one("#save", Input).value = f"{tmp_path}/out.md"
        await pilot.press("enter")
        await wait_until(pilot, lambda: f"{tmp_path}/out.md: Is a directory; give another name" in toasts(app))


async def test_the_table_is_copied_as_markdown(runs: Path, three: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_comparison(pilot, list(three.values()))
        await pilot.press("y")
        await wait_until(pilot, lambda: "in the clipboard, as Markdown" in toasts(app))
        assert app.clipboard.startswith("# base · warm · seeded")
        assert "| temperature | 0.2" in app.clipboard


async def test_what_is_new_is_shown_while_the_comparison_is_open(
    runs: Path, store: RunStore, three: dict[str, str]
) -> None:
    import random

    app = DashboardApp(runs)
    async with app.run_test(size=(120, 60)) as pilot:
        screen = await open_comparison(pilot, [three["base"], three["seeded"]])
        await wait_for_text(pilot, "at epoch 5, the last that all have closed")
        store.append(
            three["seeded"],
            [step_row(116, random.Random(1))],
            trained_seconds=77.0,
            total_steps=345,
            steps_per_epoch=23,
            device="CPU",
        )
        store.put_epoch(three["seeded"], 6, {"loss": 2.0, "acc_top1": 0.5, "t_epoch": 3.5, "knn_top1": 0.99})
        await wait_for_text(pilot, "at epoch 6, the last that all have closed", "99.0@6 ★")
        put(store, three["seeded"], [(1.0, 0.0, 5 << 30, 1 << 30)])
        await pilot.press("end")
        await wait_for_text(pilot, "peak memory, card", "5 GiB")
        put_checkpoint(store, three["seeded"], 115)
        await wait_until(pilot, lambda: screen.comparison is not None and "1 B" in str(screen.comparison.groups))


@AT_EACH_SIZE
async def test_twelve_runs_are_paged_with_the_first_one_always_there(
    runs: Path, store: RunStore, size: tuple[int, int]
) -> None:
    ids = [add_run(store, f"run-{n:02}", steps=46 + n, lifecycle="paused", seed=n) for n in range(12)]
    app = DashboardApp(runs)
    async with app.run_test(size=size) as pilot:
        screen = await open_comparison(pilot, ids)
        seen = set()
        for place in range(12):
            await wait_until(pilot, lambda place=place: f"▸{sign(screen, place)} run-{place:02}" in screen_text(app))  # type: ignore[misc]
            assert f"{sign(screen, 0)} run-00" in screen_text(app)
            assert all(len(line) <= size[0] for line in screen_text(app).splitlines())
            seen.add(place)
            await pilot.press("right")
        assert "runs 1 and" in screen_text(app)
        assert "of 12" in screen_text(app)
        await pilot.press("m", *(["tab"] if size[0] < 100 else []))
        await wait_for_text(pilot, *(f"run-{n:02} ─" for n in range(12)))
        await wait_until(pilot, lambda: screen_text(app).count("epoch│") >= 12)


def sign(screen: CompareScreen, place: int) -> str:
    assert screen.comparison is not None
    return screen.comparison.headings[place].sign


async def test_with_one_run_the_others_are_chosen_from_a_list(runs: Path, three: dict[str, str]) -> None:
    app = DashboardApp(runs, select=three["base"])
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(
            pilot, lambda: app.main_screen is not None and app.main_screen.board.cursor_id == three["base"]
        )
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await wait_for_text(pilot, "Compare base with …", "warm", "seeded")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "1 run was chosen, and a comparison needs 2 to 12" in toasts(app))
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"warm", "space", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await wait_for_text(pilot, "warm against ● base", "temperature")
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))


async def test_the_key_is_answered_where_there_is_nothing_to_compare(runs: Path, store: RunStore) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "no run yet")
        await pilot.press("c")
        await wait_until(pilot, lambda: "there is no run to compare; n makes one" in toasts(app))
        new_benchmark_run(store, BenchmarkConfig(), name="bench")
        await wait_for_text(pilot, "▸● bench")
        await pilot.press("c")
        await wait_until(pilot, lambda: "bench is a benchmark" in toasts(app))
        add_run(store, "alone")
        await wait_until(pilot, lambda: len(app.main_screen.board.rows) == 2)  # type: ignore[union-attr]
        board = app.main_screen.board  # type: ignore[union-attr]
        board.cursor_id = next(row.run.id for row in board.rows if row.run.name == "alone")
        await pilot.press("c")
        await wait_until(pilot, lambda: "alone is the only run that trains" in toasts(app))
        for number in range(12):
            add_run(store, f"more-{number}")
        await wait_until(pilot, lambda: len(board.rows) == 14)
        board.marked = {row.run.id for row in board.rows}
        await pilot.press("c")
        await wait_until(pilot, lambda: "13 runs are too many for a table" in toasts(app))
        assert isinstance(app.screen, MainScreen)
        board.marked = {row.run.id for row in board.rows if row.run.name in ("bench", "alone", "more-1")}
        await pilot.press("c")
        await wait_until(pilot, lambda: "left out, since it trains nothing of its own: bench" in toasts(app))
        await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_a_comparison_whose_runs_are_gone_says_so(runs: Path, store: RunStore, three: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await open_comparison(pilot, [three["base"], three["seeded"]])
        store.connection.execute("DELETE FROM runs WHERE id = ?", (three["seeded"],))
        store.connection.commit()
        await wait_for_text(pilot, "only one of these runs is left; esc goes back")
        for key in ("y", "S"):
            await pilot.press(key)
        assert not screen.has_class("-saving")
        assert toasts(app).count("only one of these runs is left") >= 1


@pytest.mark.parametrize(("width", "is_beside"), [(200, True), (120, False)])
async def test_charts_stand_beside_the_table_where_it_leaves_them_room(
    runs: Path, three: dict[str, str], width: int, is_beside: bool
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(width, 50)) as pilot:
        screen = await open_comparison(pilot, list(three.values()))
        table, charts = screen.query_one(CompareTable), screen.query_one(CompareCharts)
        await wait_until(pilot, lambda: (charts.region.x >= table.region.right) is is_beside)
        await wait_until(pilot, lambda: (charts.region.bottom <= table.region.y) is not is_beside)
        assert screen.region.contains_region(charts.region), "nothing is cut off"
        names = [one.name for one in screen.comparison.headings] if screen.comparison else []
        assert all(name in str(screen.query_one("#compare-names").render()) for name in names), "no run is paged away"
        await pilot.press("tab")
        await wait_until(pilot, lambda: charts.region.width == width)
        await pilot.press("tab")
        await wait_until(pilot, lambda: (charts.region.x >= table.region.right) is is_beside)


async def test_the_table_is_laid_out_for_the_width_that_charts_beside_it_leave(
    runs: Path, three: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await open_comparison(pilot, list(three.values())[:2])
        table = screen.query_one(CompareTable)
        await pilot.resize_terminal(200, 60)
        await wait_until(pilot, lambda: table.region.width < 200)

        def is_laid_out() -> bool:
            """Whether no word is cut by the edge."""
            assert screen.comparison is not None
            rows = screen.query_one("#compare-rows")
            wanted = Layout(comparison=screen.comparison, width=rows.size.width - 1, cursor=0)
            lines = [line.rstrip() for line in str(rows.render()).splitlines()]
            return lines == [plain(row) for row in wanted.body()]

        await wait_until(pilot, is_laid_out)


async def test_small_charts_have_the_same_axes(runs: Path, three: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await open_comparison(pilot, list(three.values()))
        assert app.main_screen is not None
        drawn = [side.drawn for side in screen.sides]
        charts = small_multiples(drawn, app.main_screen.board.view)
        assert len({(data.x_range, data.y_range) for data in charts}) == 1
        assert charts[0].x_range[1] >= 15, "the longest run's"
        assert [data.title for data in charts] == ["● base", "■ warm", "▲ seeded"]


def test_every_binding_has_an_id_of_its_own_and_a_tooltip() -> None:
    ids = [binding.id for binding in CompareScreen.BINDINGS]  # type: ignore[union-attr]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert all(binding.tooltip and len(binding.tooltip) <= 60 for binding in CompareScreen.BINDINGS)  # type: ignore[union-attr]


async def test_a_comparison_of_which_nothing_is_left_says_so(
    runs: Path, store: RunStore, three: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_comparison(pilot, [three["base"], three["seeded"]])
        store.connection.execute("DELETE FROM runs")
        store.connection.commit()
        await wait_for_text(pilot, "none of these runs is left; esc goes back")


async def test_a_files_name_that_can_not_be_one_is_said_as_it_is_typed(runs: Path, three: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await open_comparison(pilot, [three["base"], three["seeded"]])
        await pilot.press("S")
        screen.query_one("#save", Input).value = "~nobody-of-that-name/x.md"
        await wait_for_text(pilot, "there is no folder")
        screen.query_one("#save", Input).value = f"{'x' * 300}.md"
        await wait_for_text(pilot, "it can't be the name of a file (File name too long)")


async def test_of_very_many_marked_runs_the_key_says_at_once_that_they_are_too_many(
    runs: Path, three: dict[str, str]
) -> None:
    """What is quadratic takes seconds here."""
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "base")
        assert app.main_screen is not None
        board = app.main_screen.board
        row = board.rows[0]
        board.take_rows([replace(row, run=replace(row.run, id=f"{n:010}"), place=n) for n in range(3000)])
        board.mark_all()
        began = time.thread_time()
        app.main_screen.action_compare()
        assert time.thread_time() - began < 0.5
        await wait_until(pilot, lambda: "3000 runs are too many for a table" in toasts(app))


async def test_runs_that_were_put_away_are_not_offered(runs: Path, store: RunStore, three: dict[str, str]) -> None:
    write_labels(store, three["warm"], Labels(is_archived=True))
    app = DashboardApp(runs, select=three["base"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "▸● base", "1 put away")
        await pilot.press("c")
        await wait_for_text(pilot, "Compare base with", "seeded  stopped")
        assert "warm  paused" not in screen_text(app)
