"""Every key of labels, archive, trash and undo, on real stores."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from simclr_tui.app import DashboardApp
from simclr_tui.screens.confirm import ConfirmScreen
from simclr_tui.screens.labels import LabelScreen, TagScreen
from tests.simclr_tui.support import Holder, toasts, wait_for_text, wait_until
from trainer import trash
from trainer.paths import run_dir
from trainer.store.labels import labels_of, write_labels
from trainer.store.records import Labels
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (120, 36)


@pytest.fixture
def store(runs: Path, some_runs: dict[str, str]) -> Iterator[RunStore]:
    """The store of some runs."""
    opened = RunStore.open(runs)
    yield opened
    opened.close()


@pytest.fixture
def app(runs: Path, some_runs: dict[str, str]) -> DashboardApp:
    """A dashboard with the cursor on the paused run."""
    return DashboardApp(runs, select=some_runs["resting"])


async def opened(pilot: Pilot[str], app: DashboardApp, key: str, screen: type) -> None:
    """Press a key and wait for its window."""
    await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(app.screen, screen))
    await pilot.pause()


async def said(pilot: Pilot[str], app: DashboardApp, words: str) -> None:
    """Wait for a toast."""
    await wait_until(pilot, lambda: words in toasts(app))


def listed(app: DashboardApp) -> list[str]:
    """The names in the list."""
    main = app.main_screen
    assert main is not None
    return [row.run.name for row in main.board.visible]


def mark(app: DashboardApp, some_runs: dict[str, str], *names: str) -> None:
    """Mark runs."""
    main = app.main_screen
    assert main is not None
    main.board.marked = {some_runs[name] for name in names}


async def test_name_tags_and_note_are_written_in_one_window_and_taken_back_at_once(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["resting"]
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "resting")
        await opened(pilot, app, "t", LabelScreen)
        await wait_for_text(pilot, "Labels of resting", "↵ save", "F5 save from the note", "esc leave")
        app.screen.query_one("#tags", Input).value = "baseline lr-sweep"
        app.screen.query_one("#name", Input).value = "rested"
        await pilot.press("tab", *"two", "enter", *"lines", "f5")
        await said(pilot, app, "rested: the name and the tags and the note changed; u takes it back")
        assert labels_of(store, run_id) == Labels(tags=("baseline", "lr-sweep"), note="two\nlines")
        assert store.run(run_id).name == "rested"
        await pilot.press("u")
        await said(pilot, app, "taken back: the name and the tags and the note of rested")
        assert (labels_of(store, run_id), store.run(run_id).name) == (Labels(), "resting")


async def test_what_is_wrong_is_said_beside_its_field_and_keeps_the_window_open(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        await opened(pilot, app, "t", LabelScreen)
        app.screen.query_one("#name", Input).value = " "
        app.screen.query_one("#tags", Input).value = "fine -gone"
        app.screen.query_one("#note", TextArea).text = "x" * 2001
        await wait_for_text(
            pilot, "✗ it is empty; give at least", "✗ -gone begins with a sign", "✗ a note has at most 2,000 characters"
        )
        await pilot.press("enter", "f5")
        assert isinstance(app.screen, LabelScreen)
        await pilot.press("escape")
        await wait_until(pilot, lambda: not isinstance(app.screen, LabelScreen))
        await pilot.press("u")
        await said(pilot, app, "there is nothing to take back")
    assert labels_of(store, some_runs["resting"]) == Labels()


async def test_escape_and_unchanged_fields_keep_nothing_and_say_nothing(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        for key in ("escape", "enter"):
            await opened(pilot, app, "t", LabelScreen)
            if key == "escape":
                app.screen.query_one("#tags", Input).value = "typed"
            await pilot.press(key)
            await wait_until(pilot, lambda: not isinstance(app.screen, LabelScreen))
        await asyncio.sleep(0.2)
        assert toasts(app) == ""
    assert labels_of(store, some_runs["resting"]) == Labels()
    assert [event.kind for event in store.events(run_id=some_runs["resting"])][-1] == "paused"


async def test_marked_runs_are_tagged_alike_in_a_window_that_names_them(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    write_labels(store, some_runs["done"], Labels(tags=("old",)))
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("T")
        await said(pilot, app, "no run is marked; space marks the cursor's run, and then T tags all of them")
        mark(app, some_runs, "resting", "done")
        await opened(pilot, app, "T", TagScreen)
        await wait_for_text(pilot, "Tags of 2 runs", "resting", "done", "they have old (1)")
        field = app.screen.query_one(Input)
        field.value = "+new -new"
        await wait_for_text(pilot, "✗ new can't be added and taken away at once")
        await pilot.press("enter")
        assert isinstance(app.screen, TagScreen)
        field.value = "+new -old"
        await pilot.press("enter")
        await said(pilot, app, "are tagged +new -old; u takes it back")
        assert [labels_of(store, some_runs[name]).tags for name in ("resting", "done")] == [("new",), ("new",)]
        await pilot.press("u")
        await said(pilot, app, "taken back: the tags of")
        assert [labels_of(store, some_runs[name]).tags for name in ("resting", "done")] == [(), ("old",)]


async def test_pin_and_archive_change_to_and_fro_and_are_undone_level_by_level(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["resting"]
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("asterisk")
        await said(pilot, app, "resting is pinned; u takes it back")
        await wait_until(pilot, lambda: app.main_screen.board.row_of(run_id).labels.is_pinned)  # type: ignore[union-attr]
        await pilot.press("asterisk")
        await said(pilot, app, "resting is pinned no more")
        await pilot.press("a")
        await said(pilot, app, "resting is archived")
        assert labels_of(store, run_id) == Labels(is_archived=True)
        await pilot.press("u")
        await said(pilot, app, "taken back: archiving resting")
        await pilot.press("u")
        await said(pilot, app, "taken back: unpinning resting")
        assert labels_of(store, run_id) == Labels(is_pinned=True)
        await pilot.press("u")
        await said(pilot, app, "taken back: pinning resting")
        assert labels_of(store, run_id) == Labels()


async def test_the_cursors_run_goes_into_the_trash_unasked_and_comes_back(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("d")
        await said(pilot, app, "resting is in the trash; u takes it back")
        await wait_until(pilot, lambda: "resting" not in listed(app))
        assert labels_of(store, some_runs["resting"]).trashed_at is not None
        await pilot.press("u")
        await said(pilot, app, "taken back: putting resting into the trash")
        await wait_until(pilot, lambda: "resting" in listed(app))
        assert labels_of(store, some_runs["resting"]) == Labels()


async def test_what_was_deleted_for_good_meanwhile_can_not_be_taken_back(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("d")
        await said(pilot, app, "resting is in the trash")
        trash.empty(store, trash.contents(store, store.runs_path))
        await pilot.press("u")
        await said(pilot, app, f"not all of it could be taken back: no run has the id '{some_runs['resting']}'")
    assert not run_dir(store.runs_path, some_runs["resting"]).exists()


async def test_a_live_run_is_not_trashed_and_the_remedy_is_said(
    app: DashboardApp, runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    with Holder(runs, some_runs["resting"]):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▸■ resting", "running")
            await pilot.press("d")
            await said(pilot, app, "resting is running; stop it first")
            mark(app, some_runs, "resting")
            await pilot.press("D")
            await wait_until(pilot, lambda: toasts(app).count("resting is running; stop it first") == 2)
            for key in ("asterisk", "a"):
                await pilot.press(key)
            await said(pilot, app, "resting is pinned")
            await said(pilot, app, "resting is archived")
    assert labels_of(store, some_runs["resting"]) == Labels(is_archived=True, is_pinned=True)


async def test_marked_runs_are_put_aside_after_one_question_that_names_them(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str]
) -> None:
    def hidden() -> set[str]:
        return {name for name, run_id in some_runs.items() if labels_of(store, run_id).is_hidden}

    async def answered(pilot: Pilot[str], key: str, question: str, answer: str) -> None:
        await opened(pilot, app, key, ConfirmScreen)
        await wait_for_text(pilot, question, "broken", "done")
        await pilot.press(answer)
        await wait_until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))

    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        for key, verb, back in (("A", "Archive", "Unarchive"), ("D", "Trash", "Restore")):
            mark(app, some_runs)
            await pilot.press(key)
            await said(pilot, app, f"no run is marked; space marks the cursor's run, and then {key} ")
            mark(app, some_runs, "broken", "done")
            await answered(pilot, key, f"{verb} 2 runs?", "n")
            assert hidden() == set()
            await answered(pilot, key, f"{verb} 2 runs?", "y")
            await wait_until(pilot, lambda: hidden() == {"broken", "done"})
            await wait_until(pilot, lambda: listed(app) == ["waiting", "resting"])
            await answered(pilot, key, f"{back} 2 runs?", "y")
            await wait_until(pilot, lambda: hidden() == set())
            for name in ({"broken", "done"}, set()):
                await pilot.press("u")
                await wait_until(pilot, lambda name=name: hidden() == name)  # type: ignore[misc]
            await wait_until(pilot, lambda: len(listed(app)) == 4)


async def test_without_a_run_the_keys_say_what_makes_one(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "n makes the first one")
        for key in ("t", "asterisk", "a", "d"):
            await pilot.press(key)
        await wait_until(pilot, lambda: toasts(app).count("n makes one") == 4)


async def test_a_run_in_the_trash_is_not_resumed_forked_evaluated_or_queued(
    app: DashboardApp, store: RunStore, some_runs: dict[str, str], started: list[str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        main = app.main_screen
        assert main is not None
        trash.put(store, some_runs["resting"])
        await wait_until(pilot, lambda: main.board.row_of(some_runs["resting"]).labels.is_hidden)  # type: ignore[union-attr]
        main.board.set_filter("is:trashed")
        await wait_until(pilot, lambda: main.board.cursor is not None and main.board.cursor.run.name == "resting")
        words = "resting is in the trash; restore it first, with d in its row"
        for number, key in enumerate(("r", "f", "e", "Q"), start=1):
            await pilot.press(key)
            await wait_until(pilot, lambda number=number: toasts(app).count(words) == number)  # type: ignore[misc]
        await pilot.press("d")
        await said(pilot, app, "resting is out of the trash, as it was; u takes it back")
    assert started == []
