"""The learning screen as a person sees it, at both sizes, while it grows and when things are wrong."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.learning.sections import SECTIONS
from simclr_tui.screens.evaluate import EvaluateScreen
from simclr_tui.screens.learning import LearningScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.widgets.map_plot import MapPlot
from tests.simclr_tui.learning_store import add_studied_run, label_rows, layer_rows, put_health, put_map
from tests.simclr_tui.support import AT_EACH_SIZE, add_run, screen_text, toasts, wait_for_text, wait_until
from trainer.evaluate_config import EvaluateConfig
from trainer.store.runs import RunStore

LARGE, SMALL = (120, 36), (80, 24)
TITLES = ("1 health", "2 layers", "3 labels", "4 invariance", "5 map", "6 files")


async def open_learning(pilot: Pilot[str], name: str = "studied") -> None:
    await wait_for_text(pilot, f" {name} ")
    await pilot.press("v")
    await wait_for_text(pilot, f"learning  {name}", *TITLES)
    await wait_until(pilot, lambda: "reading the store" not in screen_text(pilot.app))


async def test_at_120_by_36_the_sections_say_what_they_found_beside_the_one_that_is_open(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await wait_for_text(pilot, "✓ learned normally", "rule: normal", "h 78.9, z 64.0, untrained 45.0 %")
        lines = screen_text(app).splitlines()
        assert len(lines) == 36
        assert all(len(line) == 120 for line in lines)
        assert lines[1].startswith("╭────")
        assert "╭─ health ─" in lines[1]
        assert lines[2].startswith("│ ▸ 1 health")
        rank = next(line for line in lines if "rank of z" in line)
        assert "94 of" in rank
        assert "▁" in rank
        for words in ("z tells clearly less than h about 7", "60 images, t-SNE; 67 %", "2 files, 1 picture"):
            assert any(words in line[:44] for line in lines), words
        for key in ("] next section", "e evaluate", "s checkpoint", "esc back", "q quit"):
            assert key in lines[-1]


@AT_EACH_SIZE
async def test_every_section_is_one_key_away(runs: Path, size: tuple[int, int]) -> None:
    run_id = add_studied_run(runs)
    shown = {
        "2": ("╭─ layers ", "▸78.9", "h is 14.9 points above z"),
        "3": ("╭─ accuracy over labels per class, % ", "60.0±5.0"),
        "4": ("╭─ invariance ", "z tells clearly less than h about 7 of 8 augmentations", "hue "),
        "5": ("╭─ map of h · shapes, step 345 · t-SNE ", "c cat", "nearest in train: cat 0.97"),
        "6": ("╭─ files ", "labels.svg", "preview --run"),
        "1": ("╭─ health ", "rule: normal", "rank of z"),
    }
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await open_learning(pilot)
        for key, texts in shown.items():
            await pilot.press(key)
            await wait_for_text(pilot, *texts)
            lines = screen_text(app).splitlines()
            assert (len(lines), {len(line) for line in lines}) == (size[1], {size[0]})
            assert not any(widget.show_horizontal_scrollbar for widget in app.screen.query("*"))


async def test_at_80_by_24_the_sections_are_a_line_of_tabs(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=SMALL) as pilot:
        await open_learning(pilot)
        lines = screen_text(app).splitlines()
        assert lines[1].split("  ")[:6] == [f"{' ' * (n == 0)}{title}" for n, title in enumerate(TITLES)]
        seen = []
        for _ in SECTIONS:
            await pilot.press("right_square_bracket")
            await pilot.pause(0.05)
            seen.append(screen_text(app).splitlines()[2].split()[1])
        assert seen == ["layers", "accuracy", "invariance", "map", "files", "health"]
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "╭─ files")
        await pilot.click("#menu", offset=(13, 0))
        await wait_for_text(pilot, "╭─ layers")


async def test_what_is_found_while_it_is_open_appears(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "young", steps=46)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot, "young")
        await wait_for_text(pilot, "not scored yet", "not made yet")
        await pilot.press("2")
        await wait_for_text(pilot, "no accuracy of the layers yet; e makes it, or", f"{run_id} --what layers")
        store.put_evaluations(run_id, layer_rows(step=46))
        await wait_for_text(pilot, "h 78.9, z 64.0", "▸78.9")
        await pilot.press("5")
        await wait_for_text(pilot, "no map of the representation yet")
        put_map(store, run_id)
        await wait_for_text(pilot, "nearest in train")
        put_health(store, run_id, "sick", "collapsed: z has rank 1.2 of 32; lower --learning-rate", "collapse-z")
        await wait_for_text(pilot, "✖ collapsed: z has rank 1.2 of 32;")
    store.close()


async def test_the_crosshair_goes_from_image_to_image(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await pilot.press("5")
        await wait_for_text(pilot, "cat · image 100 of test", "┄")
        plot = app.screen.query_one(MapPlot)
        about = app.screen.query_one("#about")
        assert about.region.width == app.screen.query_one("#atlas").region.width, "nobody else's window"
        for _ in range(9):
            await pilot.press("right")
        await wait_for_text(pilot, "car · image", "nearest in train: car 0.97, car 0.90, cow 0.50")
        assert plot.chosen is not None
        assert plot.chosen.x > 0.8
        for _ in range(9):
            await pilot.press("down")
        await wait_for_text(pilot, "cow · image")
        there, chosen = plot.place[1], plot.chosen
        await pilot.press("space")
        assert (plot.chosen is chosen) == (there == 1)
        await pilot.click("#plot", offset=(0, 0))
        await wait_for_text(pilot, "cat · image")


async def test_a_map_in_letters_says_the_same_without_colour(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await pilot.press("5")
        await wait_for_text(pilot, "c cat", "a car", "o cow")
        plot = [line[44:96] for line in screen_text(app).splitlines()[2:30]]
        found = {letter for line in plot for letter in line if letter.isalpha()}
        assert found == {"c", "a", "o"}


@pytest.mark.parametrize("theme", ["simclr-light", pytest.param("ansi-dark", marks=pytest.mark.screens)])
async def test_any_theme_will_do(runs: Path, theme: str) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        for key in ("3", "4", "5"):
            await pilot.press(key)
            await pilot.pause(0.1)
            before = screen_text(app)
            app.theme = theme
            await pilot.pause(0.1)
            assert screen_text(app) == before
            app.theme = "simclr-dark"


async def test_a_damaged_map_is_a_sentence_in_its_section(runs: Path) -> None:
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    put_map(store, run_id).write_text("{")
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await wait_for_text(pilot, "▲ can't be shown", "h 78.9")
        await pilot.press("5")
        await wait_for_text(pilot, "JSON", "document;", "--what map")
        for key in ("right", "down", "space", "4", "5"):
            await pilot.press(key)
        await pilot.press("2")
        await wait_for_text(pilot, "▸78.9")


async def test_figures_of_an_earlier_step_are_one_key_away(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await pilot.press("2", "s")
        await wait_for_text(pilot, "figures of step 230 only", "▸68.9")
        await pilot.press("s")
        await wait_for_text(pilot, "figures of step 345 only", "▸78.9")
        await pilot.press("s")
        await wait_until(pilot, lambda: "only" not in screen_text(app).splitlines()[0])


async def test_long_sections_scroll_down_and_nothing_scrolls_sideways(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=SMALL) as pilot:
        await open_learning(pilot)
        await pilot.press("4")
        await wait_for_text(pilot, "z tells clearly less than h about 7 of 8 augmentations")
        assert "* not in the run's augmentation" not in screen_text(app)
        for _ in range(12):
            await pilot.press("down")
        await wait_for_text(pilot, "* not in the run's augmentation")


async def test_an_evaluation_job_opens_its_source_run(runs: Path) -> None:
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    config = EvaluateConfig(run=run_id).to_json()
    job = store.create_run(kind="evaluate", name="studied-evaluate", config=config, source_run_id=run_id)
    orphan = store.create_run(kind="evaluate", name="orphan", config=config, source_run_id="0000000000")
    store.close()
    app = DashboardApp(runs, select=job)
    async with app.run_test(size=LARGE) as pilot:
        await wait_for_text(pilot, "studied-evaluate")
        await pilot.press("v")
        await wait_for_text(pilot, f"learning  studied  {run_id}")
        await pilot.press("v")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        assert app.main_screen is not None
        app.main_screen.board.cursor_id = orphan
        await pilot.press("v")
        await wait_until(pilot, lambda: "the run that orphan evaluates is not in this store" in toasts(app))


async def test_escape_goes_back_and_the_feed_reads_no_more_of_it(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        assert app.feed._watched.learning_id == run_id
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        assert app.feed._watched.learning_id is None
        await open_learning(pilot)  # and what was known is there at once
        await wait_for_text(pilot, "h 78.9, z 64.0")


async def test_e_offers_the_way_that_fills_the_section(runs: Path) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        await pilot.press("4", "e")
        await wait_for_text(pilot, "Evaluate studied", "▸ 3 invariance")
        assert isinstance(app.screen, EvaluateScreen)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, LearningScreen))


async def test_resizing_draws_every_section_anew(runs: Path) -> None:
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    store.put_evaluations(run_id, label_rows())
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=LARGE) as pilot:
        await open_learning(pilot)
        for number in range(1, 7):
            await pilot.press(str(number))
            for size in ((40, 12), (200, 50) if number % 2 else SMALL, LARGE):
                await pilot.resize_terminal(*size)
                await pilot.pause(0.05)
                lines = screen_text(app).splitlines()
                assert (len(lines[0]), len(lines)) == size
