"""Sentences name the keys that a person has, and as usual the keys that the bindings have."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import simclr_tui
from simclr_tui.app import DashboardApp
from simclr_tui.comfort.keymap import SEPARATOR, all_bindings
from simclr_tui.comfort.user_settings import UserSettings
from simclr_tui.keys import key, take_names
from simclr_tui.widgets.key_line import one_key_text
from tests.simclr_tui.support import toasts, wait_for_text, wait_until


@pytest.fixture(autouse=True)
def usual_keys() -> Iterator[None]:
    yield
    take_names({})


def named_keys() -> Iterator[tuple[str, str, str]]:
    """Where a sentence names a key, the key and the id of its binding."""
    folder = Path(simclr_tui.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "key":
                usual, action = (one.value for one in node.args if isinstance(one, ast.Constant))
                yield f"{path.relative_to(folder)}:{node.lineno}", str(usual), str(action)


def test_every_key_in_a_sentence_is_that_of_its_binding() -> None:
    bindings = all_bindings()
    found = list(named_keys())
    assert len(found) > 30
    for place, usual, action in found:
        assert action in bindings, place
        keys = [one_key_text(one) for one in bindings[action].key.split(SEPARATOR)]
        assert usual in keys, f"{place}: {action} has {keys}"


def test_a_key_is_called_as_usual_until_a_person_gives_another_one() -> None:
    assert key("r", "run.resume") == "r"
    take_names({"run.resume": "F9"})
    assert (key("r", "run.resume"), key("n", "runs.new")) == ("F9", "n")
    take_names({})
    assert key("r", "run.resume") == "r"


async def test_status_charts_and_toasts_name_a_persons_own_keys(runs: Path, some_runs: dict[str, str]) -> None:
    keys = {"run.resume": ("f9",), "runs.new": ("ctrl+n",)}
    app = DashboardApp(runs, select=some_runs["waiting"], settings=UserSettings(keys=keys))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "queued · F9 starts it", "not started yet; F9 starts it")
        await pilot.press("down")
        await wait_for_text(pilot, "F9 tries again")
        await pilot.press("ctrl+n")
        await wait_for_text(pilot, "new run", "F1 help")
        await pilot.press("7")
        await wait_until(pilot, lambda: "F5 launches, F1 shows every key" in toasts(app))
