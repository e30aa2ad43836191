"""The screen of one run: its tabs and every key of them, at both sizes, on real stores and files."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.run import pictures
from simclr_tui.screens.evaluate import EvaluateScreen
from simclr_tui.screens.fork import ForkScreen
from simclr_tui.screens.learning import LearningScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.run import TABS, RunScreen
from simclr_tui.widgets.picture import Picture
from tests.simclr_tui.learning_store import add_studied_run, put_checkpoint, put_file
from tests.simclr_tui.run.test_anatomy import put
from tests.simclr_tui.support import AT_EACH_SIZE, Holder, add_run, screen_text, toasts, wait_for_text, wait_until
from tests.trainer.doctor.checkpoint_files import add_run_with_checkpoints
from trainer.paths import log_file, run_dir
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZES = [(80, 24), (120, 36)]
TWO_COLOURS = """
import sys
from PIL import Image
image = Image.new("RGB", (8, 8), "red")
image.paste("blue", (0, 4, 8, 8))
image.save(sys.argv[1])
"""


async def open_run(pilot: Pilot[str], name: str, *keys: str) -> None:
    """Open the screen of the cursor's run, and press keys there."""
    await wait_until(pilot, lambda: any("▸" in line and name in line for line in screen_text(pilot.app).splitlines()))
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
    await wait_for_text(pilot, "1 Charts 2 Epoch 3 Learning 4 Checkpoints 5 Settings 6 Log 7 System 8 Images")
    for key in keys:
        await pilot.press(key)


def frame_fits(app: DashboardApp, size: tuple[int, int]) -> bool:
    lines = screen_text(app).splitlines()
    return (max(map(len, lines)), len(lines)) == size


@AT_EACH_SIZE
async def test_numbers_and_tab_go_through_the_tabs_and_escape_goes_back(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "● done")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        for number, name in enumerate(TABS, start=1):
            await pilot.press(str(number))
            await wait_until(pilot, lambda name=name: screen.tab_name == name)  # type: ignore[misc]
            await pilot.pause(0.05)
            assert frame_fits(app, size), name
        await pilot.press("tab")
        assert screen.tab_name == "charts"
        await pilot.press("shift+tab", "shift+tab")
        assert screen.tab_name == "system"
        await pilot.click("#tabs", offset=(12, 0))
        assert screen.tab_name == "epoch"
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        await wait_for_text(pilot, "▸● done")


@AT_EACH_SIZE
async def test_charts_have_their_keys_and_the_runs_own_history(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "■ resting")
        await wait_for_text(pilot, "╭─ events", "paused by a test", "chance 5.54", "paused · r resumes it")
        assert "finished by a test" not in screen_text(app), "only its own"
        if size[0] >= 100:
            await wait_for_text(pilot, "differs from preset demo", "temperature 0.5 (0.2)")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("x", "l")
        await wait_until(pilot, lambda: app.screen.board.view.log and not app.screen.board.view.by_epoch)  # type: ignore[attr-defined]


async def test_a_wrong_key_is_answered_and_a_right_one_is_for_the_run_that_is_open(
    runs: Path, some_runs: dict[str, str], started: list[str]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZES[1]) as pilot:
        await open_run(pilot, "■ resting", "p")
        await wait_until(pilot, lambda: "resting is paused, so there is nothing to pause" in toasts(app))
        main = app.main_screen
        assert main is not None
        main.board.cursor_id = some_runs["done"]  # as a run that was just made takes it
        await pilot.press("r")
        await wait_until(pilot, lambda: started == [some_runs["resting"]])
        await wait_for_text(pilot, " ■ resting")


async def test_enter_without_a_run_names_the_key_that_makes_one(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZES[0]) as pilot:
        await wait_for_text(pilot, "no run yet")
        await pilot.press("enter", "tab")
        await wait_until(pilot, lambda: "there is no run to open; n makes one" in toasts(app))
        await wait_until(pilot, lambda: "there is no run to show; n makes one" in toasts(app))


@AT_EACH_SIZE
async def test_the_epoch_that_is_chosen_is_shown_by_its_parts(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    for epoch in range(1, 15):
        put(runs, some_runs["done"], epoch, wait=float(epoch))
    put(runs, some_runs["done"], 15, sampled=True)
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "● done", "2")
        await wait_for_text(
            pilot, "epoch 15, sampled  t_epoch", "t_data  12.5 ms per step that the host waited for data"
        )
        await wait_for_text(pilot, "0.8000 s", "that the device waited between steps", "ms per step", "sampled: ")
        await pilot.press("up")
        await wait_for_text(pilot, "─ epoch 14 ", "W waiting for data     14.000")
        await pilot.press("home")
        await wait_for_text(pilot, "▸ epoch 1 ", "W waiting for data      1.000")
        put(runs, some_runs["done"], 16, wait=3.0)
        await pilot.press("end")
        await wait_for_text(pilot, "▸ epoch 16")


async def test_a_run_without_epochs_says_why(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["broken"])
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_run(pilot, "broken", "2")
        await wait_for_text(pilot, "no epoch has ended yet")


@AT_EACH_SIZE
async def test_learning_in_short_and_v_for_all_of_it(runs: Path, size: tuple[int, int]) -> None:
    run_id = add_studied_run(runs)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "studied", "3")
        await wait_for_text(pilot, "✓ learned normally", "rank of z")
        await pilot.press("end")
        await wait_for_text(pilot, "v shows each of them in full", "invariance")
        await pilot.press("v")
        await wait_until(pilot, lambda: isinstance(app.screen, LearningScreen))
        await wait_for_text(pilot, "learned normally")
        await pilot.press("2")
        await wait_for_text(pilot, "78.9")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, RunScreen))
        await wait_for_text(pilot, "v shows each of them in full")


@pytest.fixture
def kept(runs: Path) -> str:
    store = RunStore.open(runs)
    run_id = add_run_with_checkpoints(store, *range(10, 60, 10), name="kept", lifecycle="paused")
    store.close()
    return run_id


def verified(runs: Path, run_id: str) -> list[int]:
    reader = StoreReader.open(runs)
    found = [row.step for row in reader.checkpoints(run_id) if row.verified_at is not None]
    reader.close()
    return found


@AT_EACH_SIZE
async def test_checkpoints_are_checked_pinned_and_exported(
    runs: Path, kept: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    store = RunStore.open(runs)
    for step in range(10, 60, 10):
        store.set_verified(kept, step, None)
    app = DashboardApp(runs, select=kept)
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "kept", "4")
        await wait_for_text(pilot, "5 checkpoints", "bytes right", "▲ not verified", "step 50: written as")
        await pilot.press("down", "c")
        await wait_until(pilot, lambda: "step 40 of kept read back right" in toasts(app))
        assert verified(runs, kept) == [40]
        await wait_for_text(pilot, "✓ ")
        await pilot.press("m")
        await wait_until(pilot, lambda: "step 40 of kept stays for good" in toasts(app))
        await wait_for_text(pilot, "▸ ⊙   40", "newest, pinned")
        await pilot.press("m")
        await wait_until(pilot, lambda: "left to retention again" in toasts(app))
        await pilot.press("C")
        await wait_until(pilot, lambda: verified(runs, kept) == [50, 40, 30, 20, 10])
        await pilot.press("x")
        await wait_for_text(pilot, f"{kept}-step-40.pt")
        field = app.focused
        assert field is not None
        field.value = str(tmp_path / "mine.pt")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await wait_until(pilot, lambda: (tmp_path / "mine.pt").exists())
        await pilot.press("x", "escape")
        await pilot.pause(0.05)
        assert isinstance(app.screen, RunScreen), "escape closes the path first"
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
    store.close()


async def test_what_is_damaged_is_said(runs: Path, kept: str) -> None:
    next(run_dir(runs, kept).glob("checkpoints/step-50-*.pt")).write_bytes(b"other")
    app = DashboardApp(runs, select=kept)
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_run(pilot, "kept", "4")
        await wait_for_text(pilot, "step 50: written as")
        await pilot.press("c")
        await wait_until(pilot, lambda: "damaged: step 50 of kept" in toasts(app))
        await wait_for_text(pilot, "▲ not verified")


async def test_evaluating_and_forking_begin_at_the_chosen_checkpoint(runs: Path, kept: str) -> None:
    app = DashboardApp(runs, select=kept)
    async with app.run_test(size=SIZES[1]) as pilot:
        await open_run(pilot, "kept", "4")
        await wait_for_text(pilot, "step 50: written as")
        await pilot.press("down", "down", "e")
        await wait_until(pilot, lambda: isinstance(app.screen, EvaluateScreen))
        await wait_for_text(pilot, "step 30 (epoch 1)")
        assert app.screen.wish.values == {"what": "layers", "step": 30}  # type: ignore[attr-defined]
        await pilot.press("escape", "f")
        await wait_until(pilot, lambda: isinstance(app.screen, ForkScreen))
        await wait_for_text(pilot, "step 30 (epoch 1)")
        assert app.screen.branch.step == 30  # type: ignore[attr-defined]


async def test_a_run_without_checkpoints_answers_their_keys(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_run(pilot, "done", "4")
        await wait_for_text(pilot, "no checkpoint yet")
        await pilot.press("m")
        await wait_until(pilot, lambda: "there is no checkpoint here to do that with" in toasts(app))


async def test_checkpoints_that_come_while_a_window_is_open_are_offered_there(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "growing", steps=46)
    put_checkpoint(store, run_id, 23)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=SIZES[0]) as pilot:
        await wait_for_text(pilot, "growing")
        for key, window in (("e", EvaluateScreen), ("f", ForkScreen)):
            await pilot.press(key)
            await wait_until(pilot, lambda window=window: isinstance(app.screen, window))  # type: ignore[misc]
            step = 46 if window is EvaluateScreen else 69
            put_checkpoint(store, run_id, step)
            await wait_for_text(pilot, f"newest (step {step})")
            await pilot.press("escape")
    store.close()


async def test_a_fork_is_put_in_line_by_its_own_key(runs: Path, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from simclr_tui.actions import Actions

    asked: list[dict[str, object]] = []
    monkeypatch.setattr(Actions, "fork", lambda _self, run_id, **chosen: asked.append(chosen))
    app = DashboardApp(runs, select=kept)
    async with app.run_test(size=SIZES[0]) as pilot:
        await wait_for_text(pilot, "kept")
        await pilot.press("f")
        await wait_until(pilot, lambda: isinstance(app.screen, ForkScreen))
        await wait_for_text(pilot, "F6 queue")
        await pilot.press("f6")
        await wait_until(pilot, lambda: len(asked) == 1)
    assert asked[0]["in_line"] is True


@AT_EACH_SIZE
async def test_settings_show_differences_first_and_are_searched(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    store = RunStore.open(runs)
    store.event(some_runs["resting"], "settings-accepted", "lr 1 to 2", level="warning", step=100)
    store.close()
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "resting", "5")
        await wait_for_text(pilot, "differs from preset demo", "▸ ● temperature", "(preset demo: 0.2)")
        await wait_for_text(pilot, "changes that were accepted", "after step 100  lr 1 to 2", "--temperature  Divides")
        await pilot.press("down", "down")
        await wait_until(pilot, lambda: "--temperature  Divides" not in screen_text(app))
        await pilot.press("slash", *"blur kern")
        await wait_for_text(pilot, "1 match “blur kern”", "▸   blur-kernel")
        await pilot.press("enter", "5")
        await wait_for_text(pilot, "1 match “blur kern”")
        await pilot.press("slash", *"zzz")
        await wait_for_text(pilot, "no setting matches; esc shows all")
        await pilot.press("escape")
        await wait_for_text(pilot, "▸ ● temperature")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))


@AT_EACH_SIZE
async def test_the_log_is_followed_searched_and_scrolled(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    path = log_file(runs, some_runs["resting"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"17:00:{n % 60:02d} line {n} needle\n" for n in range(100)) + "17:02:00 warning: slow\n")
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "resting", "6")
        await wait_for_text(pilot, "followed", "! 17:02:00 warning: slow", "of 101")
        with path.open("a") as file:
            file.write("17:03:00 \x1b[31mrun failed: \x1b[0mout of memory\n")
        await wait_for_text(pilot, "✗ 17:03:00 run failed: out of memory")
        await pilot.press("home")
        await wait_for_text(pilot, "17:00:00 line 0 needle", "end follows it")
        await pilot.press("end")
        await wait_for_text(pilot, "out of memory", "followed")
        await pilot.press("slash", *"line 5")
        await wait_for_text(pilot, "“line 5” 11 of 11", "line 59 needle")
        await pilot.press("enter", "n")
        await wait_for_text(pilot, "10 of 11")
        await pilot.press("N", "N")
        await wait_for_text(pilot, "1 of 11", "line 5 needle")
        await pilot.press("escape", "n")
        await wait_until(pilot, lambda: "/ asks for a text to find" in toasts(app))
        path.write_text("17:04:00 all new\n")
        await wait_for_text(pilot, "17:04:00 all new", "the file was cut short")


async def test_a_log_that_is_not_there_is_said(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["waiting"])
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_run(pilot, "waiting", "6")
        await wait_for_text(pilot, "there is no log.txt yet; a trainer that is started writes it")


@AT_EACH_SIZE
async def test_the_system_shows_the_runs_processes_and_only_while_it_is_open(
    runs: Path, some_runs: dict[str, str], size: tuple[int, int]
) -> None:
    run_id = some_runs["resting"]
    store = RunStore.open(runs)
    for number in range(30):
        store.beat(run_id, {"source": "cpu", "gpu_util": 40.0 + number, "cpu_percent": 40.0 + number})
    app = DashboardApp(runs, select=run_id)
    with Holder(runs, run_id) as holder:
        async with app.run_test(size=size) as pilot:
            await open_run(pilot, "resting", "7")
            await wait_for_text(pilot, "trainer", str(holder.process.pid), "memory", "disk", "load", "69 %")
            await wait_for_text(pilot, "none that NVML can be asked about")
            assert app.feed._opened._reader is not None
            await pilot.press("1")
            await wait_until(pilot, lambda: app.feed._opened._reader._system is None)  # type: ignore[union-attr]
            await pilot.press("7")
            holder.kill()
            await wait_for_text(pilot, "resting has no live trainer")
    store.close()


async def test_a_run_that_goes_while_its_screen_is_open_closes_it(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["waiting"])
    async with app.run_test(size=SIZES[0]) as pilot:
        await open_run(pilot, "waiting")
        store = RunStore.open(runs)
        with store._write() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (some_runs["waiting"],))
        store.close()
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        await wait_until(pilot, lambda: "is not in this store any more" in toasts(app))


@AT_EACH_SIZE
async def test_pictures_that_evaluations_drew_are_shown_as_half_blocks(
    runs: Path, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    source = tmp_path / "two.png"
    subprocess.run([sys.executable, "-c", TWO_COLOURS, str(source)], check=True)
    put_file(store, run_id, "neighbours.png", "picture", source.read_bytes())
    store.close()
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await open_run(pilot, "studied", "8")
        await wait_for_text(pilot, "1 of 2  the views that it learns from", "m draws some")
        await pilot.press("right")
        await wait_for_text(pilot, "2 of 2  nearest neighbours of h, step 345", "▀▀▀")
        cells = app.screen.query_one(Picture).cells
        assert cells[0][0] == ((255, 0, 0), (255, 0, 0))
        assert cells[-1][-1] == ((0, 0, 255), (0, 0, 255))
        await pilot.press("left", "e")
        await wait_until(pilot, lambda: isinstance(app.screen, EvaluateScreen))
        assert app.screen.wish.way == "map"  # type: ignore[attr-defined]


async def test_views_are_drawn_by_a_process_of_their_own_and_kept(
    runs: Path, some_runs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZES[1]) as pilot:
        await open_run(pilot, "resting", "8")
        await wait_for_text(pilot, "no picture of the views yet; m draws some")
        await pilot.press("m")
        await wait_for_text(pilot, "drawing the views in a process of its own")
        await wait_for_text(pilot, "▀▀▀", "each line an image with its views behind it: crop", seconds=90)
        assert "torch" not in sys.modules or os.environ.get("PYTEST_XDIST_WORKER"), "that is another process's"
    made = list((tmp_path / "state").rglob("*.ppm"))
    assert len(made) == 1
    begun = time.monotonic()
    assert pictures.read_pixmap(made[0]).width > 100
    assert time.monotonic() - begun < 0.1
