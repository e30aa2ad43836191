"""Keys that come in one piece do what they do when they come one by one."""

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input

from simclr_tui.app import DashboardApp
from simclr_tui.terminal.key_order import KeysInOrder
from tests.simclr_tui.support import wait_for_text, wait_until


def keys_of(typed: str) -> list[events.Key]:
    named = {"\n": "enter", "\t": "tab", "\x1b": "escape"}
    return [events.Key(named.get(letter) or _character_to_key(letter), letter) for letter in typed]


def at_once(pilot: Pilot[Any], typed: str) -> None:
    """As the driver hands on what it has read: nothing runs between two keys."""
    for key in keys_of(typed):
        pilot.app.post_message(key)


@pytest.mark.parametrize(
    ("typed", "screen", "texts"),
    [
        ("/rest\njj", "MainScreen", ["filter: rest", "▸■ resting"]),
        ("n\tsome-name", "NewRunScreen", ["some-name"]),
        ("\x1b\x1b/x\x1b\x1b/done\n", "MainScreen", ["filter: done", "▸● done"]),
        ("?run", "HelpScreen", ["run"]),
    ],
)
async def test_a_burst_leads_where_the_keys_lead_one_by_one(
    runs: Path, some_runs: dict[str, str], typed: str, screen: str, texts: Sequence[str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "resting", "broken")
        at_once(pilot, typed)
        await wait_until(pilot, lambda: type(app.screen).__name__ == screen)
        await wait_for_text(pilot, *texts)
        await pilot.pause(0.3)
        assert type(app.screen).__name__ == screen
        await wait_for_text(pilot, *texts)


async def test_a_filter_that_names_a_key_of_the_list_does_nothing_to_a_run(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harm that there was: the r of /resting was the key that resumes."""
    resumed: list[object] = []
    app = DashboardApp(runs)
    monkeypatch.setattr(app.actions, "resume", lambda *args, **_: resumed.append(args))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "resting")
        at_once(pilot, "/resting")
        await wait_for_text(pilot, "filter: resting")
        assert not resumed


class Small(KeysInOrder):
    """A key gives a field the focus, the rest is typed into it."""

    BINDINGS = [Binding("slash", "open"), Binding("a", "note('a')"), Binding("b", "note('b')")]  # noqa: RUF012  # as Textual writes it

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def compose(self) -> ComposeResult:
        yield Input(disabled=True)

    def action_open(self) -> None:
        field = self.query_one(Input)
        field.disabled = False
        field.focus()

    async def action_note(self, letter: str) -> None:
        await asyncio.sleep(0.01)
        self.noted.append(letter)


class Plain(Small):
    """The control: Textual as it is."""

    async def on_event(self, event: events.Event) -> None:
        await App.on_event(self, event)


@pytest.mark.parametrize(("kind", "noted", "value"), [(Small, "ab", "ab" * 20), (Plain, "ab" * 21, "")])
async def test_only_in_order_a_key_finds_what_the_one_before_has_done(
    kind: type[Small], noted: str, value: str
) -> None:
    app = kind()
    async with app.run_test() as pilot:
        at_once(pilot, "ab/" + "ab" * 20)
        await wait_until(pilot, lambda: len(app.noted) + len(app.query_one(Input).value) == 42)
        assert ("".join(app.noted), app.query_one(Input).value) == (noted, value)


async def test_what_is_pasted_after_a_key_goes_where_the_key_has_led() -> None:
    app = Small()
    async with app.run_test() as pilot:
        at_once(pilot, "a/")
        app.post_message(events.Paste("pasted"))
        at_once(pilot, "b")
        await wait_until(pilot, lambda: app.query_one(Input).value == "pastedb")
        assert app.noted == ["a"]


class Stuck(Small):
    """What a key has become never comes to its end."""

    def _follow(self, *_: Any) -> None:
        return


async def test_a_key_whose_end_is_never_seen_holds_the_others_up_for_a_second_and_no_longer() -> None:
    app = Stuck()
    async with app.run_test() as pilot:
        at_once(pilot, "aba")
        seconds = await wait_until(pilot, lambda: "".join(app.noted) == "aba", seconds=10)
        assert seconds > 1.5


async def test_keys_one_by_one_wait_for_nothing() -> None:
    app = Small()
    async with app.run_test() as pilot:
        for letter in itertools.islice(itertools.cycle("ab"), 10):
            await pilot.press(letter)
        assert "".join(app.noted) == "ababababab"
        assert not app._waiting
