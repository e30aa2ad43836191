"""The form beyond its fields: search, "like that run", drafts that are never lost, sweeps, and what it will cost."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Collapsible, Input

from simclr_tui.app import DashboardApp
from simclr_tui.launch.draft import Draft, matching
from simclr_tui.launch.drafts import DRAFT, KEPT, MOST_KEPT, Drafts, draft_words
from simclr_tui.remembered import Remembered, state_file
from simclr_tui.screens.new_run import NewRunScreen
from simclr_tui.screens.pick import PickScreen
from simclr_tui.screens.sweep import SweepScreen
from simclr_tui.widgets.field_row import Choice, FieldRow
from tests.processes import kill_all_of
from tests.simclr_tui.commands.test_commands import call, call_process, sentence
from tests.simclr_tui.screens.test_new_run import put
from tests.simclr_tui.support import add_run, screen_text, toasts, wait_for_text, wait_until
from tests.trainer.test_device_lock import user
from trainer.config import PretrainConfig
from trainer.process import lock_holder
from trainer.settings import fields_of
from trainer.store.labels import read_labels
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (120, 40)


@pytest.fixture
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: Path) -> Iterator[None]:
    """Somebody uses the CPU, so that what is put in line stays there; its trainers are killed at the end."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    with user("cpu"):
        yield
        kill_all_of(runs)


async def open_form(pilot: Pilot[str], key: str = "n") -> NewRunScreen:
    await wait_for_text(pilot, "╭")
    await wait_until(pilot, lambda: "reading the store" not in screen_text(pilot.app))
    await pilot.press(key)
    await wait_for_text(pilot, "╭─ new run", "batch-size")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
    assert isinstance(pilot.app.screen, NewRunScreen)
    return pilot.app.screen


def shown(screen: NewRunScreen) -> set[str]:
    """The settings that a person sees."""
    return {row.field.name for row in screen.query(FieldRow) if row.display and row.region.height}


def stored(runs: Path) -> list[Run]:
    """The runs, the oldest first."""
    with closing(StoreReader.open(runs)) as reader:
        return reader.runs()[::-1]


def test_a_setting_is_found_by_its_name_its_group_and_its_help() -> None:
    assert matching("jitter hue") == {"jitter_hue"}
    assert "num_workers" in matching("loader")
    assert "hang_seconds" in matching("watchdog")
    assert matching("drop-last") == matching("drop_last") == {"drop_last"}
    assert len(matching(" ")) == len(fields_of(PretrainConfig))
    assert matching("no such words") == frozenset()


async def test_searching_shows_what_matches_unfolded_and_esc_shows_all_again(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        await pilot.press("slash", *"jitter")
        await wait_until(pilot, lambda: shown(screen) == set(matching("jitter")))
        assert not screen.query_one("#preset").region.height
        await pilot.press("enter", "end", "backspace", "7")
        await wait_for_text(pilot, "jitter-probability •", "1 setting differs")
        await pilot.press("escape")
        await wait_until(pilot, lambda: {"epochs", "batch_size"} <= shown(screen))
        assert screen.query_one("#group-augmentation", Collapsible).collapsed, "as it was before the search"
        assert isinstance(app.screen, NewRunScreen), "esc has ended the search and not the form"
        screen.query_one("#row-epochs", FieldRow).take_focus()
        await pilot.press("ctrl+f", *"zzz")
        await wait_for_text(pilot, "no setting has 'zzz' in its name, group or help; esc shows all")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "no setting matches" in toasts(app))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "epochs" in shown(screen))
        assert app.focused in screen.query_one("#row-epochs").walk_children(), "back where the search began"
        assert app.draft.typed == {"jitter_probability": "0.7"}


async def test_a_new_run_like_the_cursors_has_its_settings_and_what_was_typed_is_kept(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        rate = 0.0012345678901
        add_run(store, "odd", steps=23, lifecycle="finished", learning_rate=rate, epochs=9, drop_last=False)
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "temperature", "0.3")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.main_screen)
        await pilot.press("L")
        await wait_for_text(pilot, "epochs •", "3 settings differ from the preset")
        assert app.draft.values == {"learning_rate": rate, "epochs": 9, "drop_last": False}
        assert "the settings of odd" in toasts(app)
        assert "^o brings back" in toasts(app)
        await pilot.press("ctrl+o")
        await wait_for_text(pilot, "temperature 0.3")
        await pilot.press("enter")
        await wait_for_text(pilot, "1 setting differs from the preset", "temperature •")
        assert app.draft.values == {"temperature": 0.3}
        assert [one.values["epochs"] for one in app.drafts.kept] == [9], "now the other one is kept"


async def test_the_form_can_take_the_settings_of_any_run(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await pilot.press("ctrl+l")
        await wait_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"rest", "enter")
        await wait_for_text(pilot, "temperature •", "1 setting differs from the preset")
        assert "the form has the settings of resting" in toasts(app)
        assert app.draft.values == {"temperature": 0.5}


async def test_without_a_run_like_and_earlier_are_answered_with_a_sentence(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "no run yet; n makes the first one")
        await pilot.press("L")
        await wait_until(pilot, lambda: "no run yet to make another one like it; n makes the first" in toasts(app))
        await open_form(pilot)
        await pilot.press("ctrl+l", "ctrl+o")
        await wait_until(
            pilot, lambda: "no run yet whose settings" in toasts(app) and "no earlier draft" in toasts(app)
        )


async def test_a_letter_that_means_nothing_in_the_form_is_answered_with_a_sentence(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await pilot.press(*"pqi")
        await wait_until(pilot, lambda: "p does nothing here; ↑ ↓ choose a setting, F5 launches" in toasts(app))
        assert toasts(app).count("does nothing here") == 1, "a word is answered once"
        await put(pilot, "epochs", "many")
        await wait_for_text(pilot, "✗ 'many' is not a whole number")
        assert "m does nothing" not in toasts(app), "a text takes letters"
        assert app.return_code is None
        await pilot.press("ctrl+q")
        await wait_until(pilot, lambda: app.return_code is not None)


async def test_what_was_typed_is_there_after_esc_a_resize_and_the_end_of_the_dashboard(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "epochs", "7")
        app.screen.query_one("#name", Input).focus()
        await pilot.press(*"mine")
        await pilot.press("ctrl+r")
        await wait_for_text(pilot, "no settings differ")
        await put(pilot, "seed", "many")
        await pilot.resize_terminal(80, 24)
        await wait_for_text(pilot, "✗ to be mended: seed")
        await pilot.press("escape", "q")
    again = DashboardApp(runs)
    async with again.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await wait_for_text(pilot, "mine", "✗ 'many' is not a whole number")
        await pilot.press("ctrl+o", "enter")
        await wait_for_text(pilot, "epochs •", "1 setting differs from the preset")
        assert again.draft.values == {"epochs": 7}


async def test_a_draft_outlives_a_dashboard_that_is_killed(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "epochs", "7")
        await wait_until(pilot, lambda: state_file(runs).exists() and '"epochs": "7"' in state_file(runs).read_text())
        assert isinstance(app.screen, NewRunScreen), "nothing was closed yet"


async def test_a_launch_that_fails_leaves_everything_in_the_form(tmp_path: Path) -> None:
    app = DashboardApp(tmp_path / "runs")
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "dataset", f"folder:{tmp_path / 'nowhere'}")
        await put(pilot, "seed", "7")
        await pilot.press("f5")
        await wait_until(pilot, lambda: "is not a folder; check the path" in toasts(app))
        await wait_for_text(pilot, "✗ --dataset:")
        assert app.draft.typed == {"dataset": f"folder:{tmp_path / 'nowhere'}", "seed": "7"}


@pytest.mark.usefixtures("busy")
async def test_a_list_of_values_is_a_sweep_that_is_shown_first_and_then_waits_in_line(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "device", "cpu")
        await put(pilot, "learning_rate", "1e-3, 3e-4")
        await wait_for_text(pilot, "2 values, a run each", "2 runs in line by F6: demo-lr-1e-3 and demo-lr-3e-4")
        await pilot.press("f5")
        await wait_until(pilot, lambda: "these are 2 runs; F6 puts them in line" in toasts(app))
        assert not runs.exists(), "nothing is launched"
        await pilot.press("f6")
        await wait_for_text(pilot, "Put 2 runs in line", " 1  demo-lr-1e-3", " 2  demo-lr-3e-4", "tag sweep:demo")
        await pilot.press("n")
        await wait_for_text(pilot, "1e-3, 3e-4")
        assert not runs.exists()
        await pilot.press("f6", "y")
        await wait_for_text(pilot, "demo-lr-1e-3", "number 1 in line", seconds=60)
        await wait_until(pilot, lambda: "2 runs wait in line, with the tag sweep:demo" in toasts(app))
        assert app.draft.is_empty
    kill_all_of(runs)
    for child in app.actions._children:
        child.wait()
    found = stored(runs)
    assert [(run.name, json.loads(run.config)["learning_rate"]) for run in found] == [
        ("demo-lr-1e-3", 1e-3),
        ("demo-lr-3e-4", 3e-4),
    ]
    with closing(StoreReader.open(runs)) as reader:
        assert [read_labels(reader)[run.id].tags for run in found] == [("sweep:demo",)] * 2


async def test_words_of_a_list_can_be_chosen_several_at_once(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_form(pilot)
        screen.query_one("#row-augment", FieldRow).take_focus()
        await pilot.press("enter", "end", "enter")
        await wait_for_text(pilot, "which of augment, each a run")
        await pilot.press("down", "space", "enter")
        await wait_until(pilot, lambda: bool(app.draft.lists))
        assert app.draft.typed["augment"] == "kornia, torchvision"
        assert screen.query_one("#row-augment Choice", Choice).value == "kornia, torchvision"
        await wait_for_text(pilot, "2 runs in line by F6")
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: screen.query_one("#row-augment Choice", Choice).value == "kornia")
        assert app.draft.typed == {}


async def test_the_form_says_what_it_will_take_from_what_was_measured(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        add_run(store, "before", steps=69, lifecycle="finished", epochs=3)
        store.update_run(stored(runs)[0].id, device=f"CPU ({__import__('platform').machine()})")
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await open_form(pilot)
        await put(pilot, "device", "cpu")
        await wait_for_text(pilot, "about 28 s · 3.5 s an epoch, like before", "ends about", "free now")
        await put(pilot, "epochs", "100")
        await wait_for_text(pilot, "about 5 min 50 s")
        await put(pilot, "seed", "1..10")
        await wait_for_text(pilot, "about 58 min 20 s one after the other")
        await put(pilot, "image_size", "64")
        await wait_for_text(pilot, "no run like it was measured here; b in the list of runs measures")


def test_drafts_that_were_replaced_are_kept_once_each_and_not_without_end(runs: Path) -> None:
    drafts = Drafts(Remembered(runs))
    for seed in range(2 * MOST_KEPT):
        drafts.take(Draft(typed={"seed": str(seed)}))
        drafts.take(Draft())
        drafts.take(Draft(typed={"seed": str(seed)}))
    assert len(drafts.kept) == len({one.typed["seed"] for one in drafts.kept}) == MOST_KEPT - 1
    assert drafts.current not in drafts.kept
    assert draft_words(drafts.current) == f"seed {2 * MOST_KEPT - 1}"


@pytest.mark.parametrize(
    "found",
    [None, 7, [], {"preset": "gone", "typed": {"no_such": "1", "seed": 7, "epochs": "x" * 5000}}, {"typed": [1]}],
)
def test_whatever_stands_in_the_remembered_file_there_is_a_draft(runs: Path, found: Any) -> None:
    remembered = Remembered(runs)
    remembered.put(DRAFT, found)
    remembered.put(KEPT, found)
    assert Drafts(remembered).current == Draft()


def test_the_command_line_puts_a_sweep_in_line_in_its_order(runs: Path, busy: None) -> None:
    words = ("--preset", "demo", "--device", "cpu", "--threads", "1", "--sweep", "lr=1e-3,3e-4", "--name", "mine")
    assert "add --queue" in sentence(call(runs, "launch", *words), 2)
    looked = json.loads(call(runs, "launch", *words, "--dry-run", "--json").stdout)
    assert [run["name"] for run in looked["runs"]] == ["mine-lr-1e-3", "mine-lr-3e-4"]
    assert not runs.exists()
    made = json.loads(call_process(runs, "launch", *words, "--queue", "--json").stdout)
    found = stored(runs)
    assert [run["id"] for run in made["runs"]] == [run.id for run in found]
    assert made["tag"] == "sweep:mine"
    assert [json.loads(run.config)["learning_rate"] for run in found] == [1e-3, 3e-4]
    assert all(lock_holder(runs, run.id) is not None or run.lifecycle == "launched" for run in found)
    text = call(runs, "launch", *words, "--dry-run").stdout
    assert "mine-2-lr-1e-3" in text, "names that are taken are not used again"
    assert "nothing was made" in text


def test_a_dry_run_tells_what_a_launch_takes_and_makes_nothing(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id = add_run(store, "before", steps=69, lifecycle="finished")
        store.update_run(run_id, device=f"CPU ({__import__('platform').machine()})")
    words = ("--preset", "demo", "--device", "cpu", "--dry-run")
    assert "about 28 s · 3.5 s an epoch, like before" in call(runs, "launch", *words).stdout
    (told,) = json.loads(call(runs, "launch", *words, "--json").stdout)["runs"]
    assert (told["estimate"]["seconds"], told["estimate"]["like"]) == (28.0, "before")
    assert len(stored(runs)) == 1


def test_every_setting_of_a_run_comes_back_in_a_draft_like_it() -> None:
    config = PretrainConfig(learning_rate=1 / 3, milestones="7,9", dataset='folder:/a, "b"', drop_last=False, seed=5)
    run = _run(config.to_json(), None)
    draft = Draft.like(run)
    assert draft.errors == {}
    assert draft.config == config


def _run(config: str, preset: str | None) -> Run:
    empty: dict[str, Any] = dict.fromkeys(Run.__slots__)
    return Run(**empty | {"id": "a", "name": "a", "kind": "pretrain", "config": config, "preset": preset})


def test_the_sweep_window_is_one_of_the_screens_with_named_keys() -> None:
    assert all(getattr(binding, "tooltip", "") for binding in SweepScreen.BINDINGS)
