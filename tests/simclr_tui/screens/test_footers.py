"""Last lines name what does something, the help begins with what has the keys, and low windows keep theirs."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from simclr_tui.app import DashboardApp
from simclr_tui.screens.benchmark import BenchmarkScreen
from simclr_tui.screens.benchmark_form import BenchmarkForm
from simclr_tui.screens.help import HelpScreen
from simclr_tui.screens.run import RunScreen
from simclr_tui.screens.theme_choice import ThemeScreen
from tests.simclr_tui.bench_store import add_benchmark
from tests.simclr_tui.support import screen_text, wait_for_text, wait_until
from trainer.benchmark_config import BenchmarkConfig
from trainer.paths import log_file, run_dir
from trainer.store.runs import RunStore

SMALL = (80, 24)
LOW = (60, 15)


def last_line(app: DashboardApp) -> str:
    return screen_text(app).splitlines()[-1]


async def open_tab(pilot: Pilot[str], number: str) -> None:
    await wait_until(pilot, lambda: "reading the store" not in screen_text(pilot.app))
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
    await pilot.press(number)


@pytest.mark.screens
async def test_a_run_names_only_keys_that_lead_somewhere_and_always_the_help(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["waiting"])
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_text(pilot, "r resume")
        assert "p pause" not in last_line(app), "nobody works on it, so there is nothing to pause"
        await open_tab(pilot, "4")
        await wait_for_text(pilot, "no checkpoint yet", "r resume")
        assert not {"c check", "m pin", "p pause", "s stop"} & {one.strip() for one in last_line(app).split("  ")}
        for number, empty in (("2", "no epoch has ended yet"), ("6", "there is no log.txt yet")):
            await pilot.press(number)
            await wait_for_text(pilot, empty)
            await wait_until(pilot, lambda: " esc back  ? help  " in last_line(app))
            assert "epoch before" not in last_line(app)
            assert "/ search" not in last_line(app)


@pytest.mark.screens
async def test_the_log_names_the_places_that_were_found_once_there_are_some(
    runs: Path, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["done"]
    run_dir(runs, run_id).mkdir(parents=True, exist_ok=True)
    log_file(runs, run_id).write_text("12:00:00 epoch 1\n12:00:01 epoch 2\n")
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_tab(pilot, "6")
        await wait_until(pilot, lambda: "/ search" in last_line(app))
        assert "found before" not in last_line(app)
        await pilot.press("slash", *"epoch", "enter")
        await wait_until(pilot, lambda: "n found before  N after" in last_line(app) and "forget it" in last_line(app))
        assert "esc back" not in last_line(app), "escape forgets the text first"
        await pilot.press("escape")
        await wait_until(pilot, lambda: "esc back" in last_line(app) and "found before" not in last_line(app))


async def test_a_benchmarks_own_key_works_on_its_screen_too(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_benchmark(store, "bench", BenchmarkConfig(vary="num_workers=0,2", base='{"image_size": 32}'), rounds=2)
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=SMALL) as pilot:
        await open_tab(pilot, "1")
        await wait_for_text(pilot, "a benchmark is no training; b shows its trials", "b benchmark")
        assert not {"f fork", "e evaluate", "v learning", "z full"} & set(last_line(app).split("  "))
        await pilot.press("b")
        await wait_until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))
        await wait_until(pilot, lambda: "esc back  ? help" in last_line(app))
        assert "about" not in last_line(app), "keys that the line of no other screen names"
        await pilot.press("escape", "escape")
        await wait_for_text(pilot, "n new")


async def test_help_begins_with_what_has_the_keys_and_is_there_from_a_field_too(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SMALL) as pilot:
        await open_tab(pilot, "4")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Run, checkpoints", "Read back every checkpoint")
        lines = screen_text(app).splitlines()
        assert "Run, checkpoints" in lines[2]
        await wait_for_text(pilot, "1–19 of 2")
        await pilot.press("pagedown")
        await wait_for_text(pilot, "19–37 of 2")
        await pilot.press("end")
        await wait_for_text(pilot, "opening it finds them again")
        await pilot.press("escape", "escape", "n")
        await wait_for_text(pilot, "F1 help")
        await pilot.press("down", "f1")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_for_text(pilot, "New run", "Launch the run")
        await pilot.press("escape", "escape")
        await wait_for_text(pilot, "n new")


@pytest.mark.screens
@pytest.mark.parametrize(
    ("key", "named"),
    [("e", "↵ evaluate  esc close"), ("f", "↵ fork  esc close"), ("b", "↵ start  esc close")],
)
async def test_a_window_keeps_its_keys_in_sight_where_room_is_short(runs: Path, key: str, named: str) -> None:
    from tests.simclr_tui.learning_store import add_studied_run

    app = DashboardApp(runs, select=add_studied_run(runs))
    async with app.run_test(size=LOW) as pilot:
        await wait_until(pilot, lambda: "reading the store" not in screen_text(app))
        await pilot.press(key)
        await wait_for_text(pilot, named)
        if key == "b":
            assert isinstance(app.screen, BenchmarkForm)
            await pilot.press(*["down"] * 7)
            await wait_for_text(pilot, "made from the settings")
        await pilot.press("escape")


async def test_all_tabs_are_named_where_the_line_is_too_short_for_their_names(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=LOW) as pilot:
        await open_tab(pilot, "4")
        await wait_for_text(pilot, "1 Cha 2 Epo 3 Lea 4 Checkpoints 5 Set 6 Log 7 Sys 8 Ima")
        await pilot.click("#tabs", offset=(46, 0))
        await wait_for_text(pilot, "7 System")


@pytest.mark.screens
async def test_a_window_to_choose_from_has_no_blank_lines_and_its_cursor_is_seen_in_16_colours(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_text(pilot, "no run yet")
        app.theme = "simclr-16"
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: isinstance(app.screen, ThemeScreen))
        await wait_for_text(pilot, "↵ takes")
        await pilot.pause(0.1)
        inside = [line for line in screen_text(app).splitlines() if line.lstrip().startswith("│")]
        assert all(line.strip("│ ▅▇▁▂▃▄▆█") for line in inside)
        assert len(inside) == 19
        chosen = next(strip for strip in app.screen._compositor.render_strips() if "● simclr-16 " in strip.text)
        words = [segment for segment in chosen if "16" in segment.text or "terminal" in segment.text]
        assert words
        assert all(one.style and one.style.color != one.style.bgcolor for one in words)
        assert app.screen.query_one(OptionList).size.height == 17
