"""The frame at three sizes and the dashboard's way with an empty folder, a lock and a store that it can't use."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.app import DashboardApp
from simclr_tui.messages import Polled, PollFailed
from simclr_tui.screens.main import MainScreen
from simclr_tui.widgets.header import Header
from simclr_tui.widgets.run_table import RunTable
from tests.simclr_tui.support import Holder, add_run, screen_text, toasts, wait_for_text, wait_until
from tests.simclr_tui.test_feed import LOCK_ALL
from trainer.paths import store_file
from trainer.store.runs import RunStore


def lines_of(app: DashboardApp) -> list[str]:
    return screen_text(app).splitlines()


def board_screen(app: DashboardApp) -> MainScreen:
    assert app.main_screen is not None
    return app.main_screen


async def test_the_frame_at_120_by_36_shows_runs_the_cursors_run_its_charts_and_events(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "chance 5.54", "raw pixels")
        text, lines = screen_text(app), lines_of(app)
        assert len(lines) == 36
        assert all(len(line) == 120 for line in lines)
        for state in ("1 queued", "1 paused", "1 failed"):
            assert state in lines[0], "the header counts the states"
        assert "device idle" in lines[0]
        for name in some_runs:
            assert name in text
        assert "finished · epoch 15/15" in text
        assert "loss 1." in text
        for title in ("loss", "contrastive accuracy, %", "kNN top-1, %", "a step, ms", "device, %", "test accuracy, %"):
            assert f" {title} " in text
        assert "⣿ raw  ● smoothed" in text
        assert "▸33.4   ▸35.3" in text, "the best of each column has a sign"
        assert "no sample of the device" in text, "what is empty says why"
        assert "failed by a test" in text
        assert "n new" in lines[-1]
        assert "q quit" in lines[-1]
        assert "p pause" not in lines[-1], "a finished run can't be paused"


async def test_what_is_read_while_the_app_goes_is_dropped(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll may end when the screen is half taken apart."""
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)):
        header = board_screen(app).query_one(Header)
        monkeypatch.setattr(app, "_running", False)  # as it is from the beginning of the end on
        await header.remove()
        app.on_polled(Polled(at=0.0, rows=None, events=(), device=None, curves=()))
        app.on_poll_failed(PollFailed("locked"))


async def test_the_frame_at_80_by_24_shows_one_pane_and_one_chart_at_a_time(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "resting", "100%")
        lines = lines_of(app)
        assert len(lines) == 24
        assert all(len(line) == 80 for line in lines)
        assert "1 paused" in lines[0]
        assert "device idle" in lines[0]
        assert "chance" not in screen_text(app)
        await pilot.press("tab")
        await wait_for_text(pilot, "chance 5.54", "┏━ loss ")
        assert "resting" not in screen_text(app)
        seen = []
        for _ in range(6):
            titles = ("loss", "contrastive accuracy", "kNN top-1", "a step, ms", "device, %", "test accuracy")
            seen.append([title for title in titles if f"┏━ {title}" in screen_text(app)])
            await pilot.press("right_square_bracket")
            await pilot.pause(0.05)
        assert [title for (title,) in seen] == list(titles)
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "raw pixels")
        await pilot.press("tab")
        await wait_for_text(pilot, "resting")


async def test_the_frame_at_200_by_50_has_three_columns_of_charts_and_events_beside(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(200, 50)) as pilot:
        await wait_for_text(pilot, "chance 5.54")
        lines = lines_of(app)
        assert all(len(line) == 200 for line in lines)
        (row,) = [line for line in lines if "┏━ loss " in line]
        assert "contrastive accuracy" in row
        assert "kNN top-1" in row
        assert any(line.startswith("╭─ events ") for line in lines)
        assert any("finished by a test" in line and "│││" not in line for line in lines)


async def test_an_empty_folder_names_the_key_that_makes_a_run(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "no run yet; n makes the first one", "nothing has happened yet")
        for key in ("p", "s", "r", "e", "space", "enter", "down"):
            await pilot.press(key)
        await wait_until(pilot, lambda: "there is no run to pause; n makes one" in toasts(app))
        await pilot.press("h")
        await wait_until(pilot, lambda: "there is no run to wait; n makes one" in toasts(app))
    assert not runs.exists()


async def test_a_hundred_runs_are_listed_and_the_cursor_reaches_the_last(runs: Path) -> None:
    store = RunStore.open(runs)
    for number in range(100):
        add_run(store, f"sweep-{number:03d}", steps=23, lifecycle="finished")
    store.close()
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "runs  100", "sweep-099")
        assert "sweep-000" not in screen_text(app)
        await pilot.press("end")
        await wait_for_text(pilot, "▸● sweep-000")
        await pilot.press("pageup", "home")
        await wait_for_text(pilot, "sweep-099")
        table = board_screen(app).query_one(RunTable)
        assert not table.show_horizontal_scrollbar
        row = next(line for line in lines_of(app) if "▸" in line and "sweep-099" in line)
        assert "16.0" in row, "the scroll bar hides no figure"


async def test_a_thousand_runs_are_counted_with_their_thousands_apart(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        first = add_run(store, "sweep-0", steps=1, lifecycle="finished")
        with store._write() as connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(runs)") if row[1] not in ("id", "name")]
            others = ", ".join(names)
            connection.executemany(
                f"INSERT INTO runs (id, name, {others}) SELECT ?, ?, {others} FROM runs WHERE id = ?",
                [(f"copy{number:06}", f"sweep-{number}", first) for number in range(1, 1200)],
            )
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "runs  1,200")
        await pilot.press("slash", *"sweep", "minus", "1", "enter")
        await wait_for_text(pilot, "runs  311 of 1,200")


async def test_a_killed_run_is_shown_as_interrupted_within_3_seconds_with_the_key_that_resumes_it(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"]) as holder:
        async with app.run_test(size=(120, 36)) as pilot:
            await wait_for_text(pilot, "▶ 1 running", "▸■ resting")
            holder.kill()
            await wait_for_text(pilot, "! 1 interrupted", "interrupted · r resumes it", seconds=3.0)


async def test_a_store_that_is_locked_shows_a_stale_clock_and_then_recovers(
    runs: Path, some_runs: dict[str, str]
) -> None:
    words = [sys.executable, "-c", LOCK_ALL, str(store_file(runs)), "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        app = DashboardApp(runs)
        async with app.run_test(size=(120, 36)) as pilot:
            await wait_for_text(pilot, "stale")
            await pilot.press("question_mark")  # the screen still answers
            await wait_for_text(pilot, "esc closes")
            await pilot.press("escape")
            await wait_for_text(pilot, "resting")
            await wait_until(pilot, lambda: "stale" not in screen_text(app))


async def test_a_store_that_can_not_be_used_ends_the_dashboard_with_its_sentence(runs: Path) -> None:
    runs.mkdir()
    store_file(runs).write_bytes(b"not a database" * 1000)
    app = DashboardApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 1
    assert app.return_value is not None
    assert "cannot be used as a run store" in app.return_value


@pytest.mark.parametrize("theme", ["simclr-light", "ansi-dark", pytest.param("dracula", marks=pytest.mark.screens)])
async def test_any_theme_will_do(theme: str, runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "chance 5.54")
        before = screen_text(app).splitlines()[1:]
        app.theme = theme
        await pilot.pause(0.1)
        assert screen_text(app).splitlines()[1:] == before


async def test_without_colour_the_screen_says_the_same(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "chance 5.54", "▸● done", "⣿ raw  ● smoothed", "finished")


async def test_the_dashboard_grows_and_shrinks_with_its_terminal(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "chance 5.54")
        for size in ((80, 24), (200, 50), (40, 12), (120, 36)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            lines = lines_of(app)
            assert (len(lines[0]), len(lines)) == size
        await wait_for_text(pilot, "chance 5.54")


async def test_brackets_and_dollars_in_names_and_messages_are_text_and_not_markup(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "[red]$x[/] \\[b]", steps=30, lifecycle="paused")
    add_run(store, "other [/x]", steps=3, lifecycle="paused")
    store.event(run_id, "note", "[bold]a message[/bold] with $primary in it", level="warning")
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await wait_for_text(pilot, "[red]$x[/]", "[bold]a message[/bold] with $primary")
        await pilot.press("c")
        await wait_for_text(pilot, "Compare [red]$x[/] \\[b] with", "other [/x]")
        await pilot.press("escape", "space", "p")
        await wait_for_text(pilot, "[red]$x[/] \\[b] is paused, so there")
        await pilot.press("n", "escape", "question_mark", "escape", "enter")
        await wait_for_text(pilot, "[red]$x[/]", "differs from preset demo: nothing")
