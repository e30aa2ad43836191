"""The form of a new run, from the key that opens it to a real trainer."""

import json
import os
import signal
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Collapsible

from simclr_tui.app import DashboardApp
from simclr_tui.launch.draft import common_fields, folded_fields
from simclr_tui.screens.new_run import NewRunScreen
from simclr_tui.widgets.field_row import FieldRow
from tests.simclr_tui.support import toasts, wait_for_text, wait_until
from trainer.presets import load_preset
from trainer.state import run_state
from trainer.store.reader import StoreReader
from trainer.store.records import Run

SIZE = (120, 40)


async def open_form(pilot: Pilot[str]) -> NewRunScreen:
    await wait_for_text(pilot, "no run yet")
    await pilot.press("n")
    await wait_for_text(pilot, "╭─ new run", "batch-size", "launch (F5)")
    assert isinstance(pilot.app.screen, NewRunScreen)
    return pilot.app.screen


async def put(pilot: Pilot[str], name: str, text: str) -> None:
    """Replace the text of a setting by typing."""
    pilot.app.screen.query_one(f"#row-{name}", FieldRow).take_focus()
    await pilot.press("end", *["backspace"] * 12, *text)


async def test_the_form_shows_common_settings_and_folds_the_rest_by_group(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        assert [row.field.name for row in screen.query(FieldRow)] == [one.name for one in common_fields()]
        for group, fields in folded_fields().items():
            await wait_for_text(pilot, f"{group} ({len(fields)} more)")
        screen.query_one("#group-loader", Collapsible).collapsed = False
        await wait_for_text(pilot, "num-workers", "0 to 64 processes")
        await pilot.press("escape")
        await wait_for_text(pilot, "no run yet")


async def test_an_error_stands_beside_its_field_as_it_is_typed_and_nothing_is_lost(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "temperature", "0.3")
        await put(pilot, "epochs", "0")
        await wait_for_text(pilot, "✗ 0 is out of bounds; give 1 to 100000 epochs", "✗ to be mended: epochs")
        await pilot.press("f5")
        await pilot.pause(0.3)
        assert isinstance(app.screen, NewRunScreen)
        assert not runs.exists(), "nothing was launched"
        await pilot.press("escape", "n")
        await wait_for_text(pilot, "0.3", "✗ 0 is out of bounds")
        app.screen.query_one("#row-epochs", FieldRow).take_focus()
        await pilot.press("end", "backspace", "7")
        await wait_for_text(pilot, "2 settings differ from the preset", "epochs •")


async def test_the_help_of_the_focused_setting_is_shown_below(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        await wait_for_text(pilot, "Where the settings come from")
        screen.query_one("#row-temperature", FieldRow).take_focus()
        await wait_for_text(pilot, "--temperature  Divides the cosine similarities", "the preset has 0.2")
        await pilot.press("down")
        await wait_for_text(pilot, "--augment  Who computes the views")


async def test_another_preset_keeps_what_was_typed(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "epochs", "7")
        app.screen.query_one("#preset").focus()
        await pilot.press("enter", "down", "enter")
        await wait_for_text(pilot, "SimCLR on STL10, 500 epochs", "resnet18", "unlabeled")
        assert app.draft.preset == "stl10"
        assert app.draft.values == {"epochs": 7}
        assert app.draft.errors == {}


async def test_an_error_in_a_folded_group_is_unfolded_by_launching(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        app.draft.typed["crop_scale_min"] = "7"
        await pilot.press("f5")
        await wait_for_text(pilot, "crop-scale-min •", "✗ 7.0 is out of bounds")
        assert app.focused in screen.query_one("#row-crop_scale_min").walk_children()


async def test_a_runs_folder_that_can_not_be_made_is_a_sentence_and_the_form_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    app = DashboardApp(tmp_path / "file" / "runs")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "╭─ new run")
        await pilot.press("f5")
        await wait_until(pilot, lambda: "cannot be made" in toasts(app))
        assert isinstance(app.screen, NewRunScreen)


async def test_a_launched_run_is_chosen_and_its_trainer_outlives_the_dashboard(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        screen.query_one("#name").focus()
        await pilot.press(*"mine")
        await put(pilot, "seed", "7")
        await pilot.press("f5")
        await wait_for_text(pilot, "▸● mine", "starting", seconds=30)
        await wait_until(pilot, lambda: "mine is starting" in toasts(app))
        assert app.draft.typed == {}, "the next form is a fresh one"
    run = only_run(runs)
    settings = json.loads(run.config)
    assert (run.name, run.preset, settings["seed"], settings["epochs"]) == (
        "mine",
        "demo",
        7,
        load_preset("demo").config().epochs,
    )
    assert run.pid is not None
    try:
        assert run_state(run, runs) in ("starting", "running")
        os.kill(run.pid, 0)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        (child,) = app.actions._children
        child.wait()
    app.actions.reap()
    assert app.actions._children == [], "no zombie is left"


def only_run(runs: Path) -> Run:
    reader = StoreReader.open(runs)
    (run,) = reader.runs()
    reader.close()
    return run
