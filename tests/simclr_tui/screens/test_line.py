"""Runs that wait for a device, in the dashboard: real waiting trainers, with the device's lock held by a process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.app import DashboardApp
from simclr_tui.model import Turn
from simclr_tui.screens.line import device_choices
from simclr_tui.screens.new_run import NewRunScreen
from simclr_tui.words import turn_words
from tests.simclr_tui.support import screen_text, toasts, wait_for_text, wait_until
from tests.trainer.test_device_lock import user
from trainer import devices
from trainer.devices import Gpu, device_name, gpus
from trainer.queue import device_setting, line
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

SIZE = (120, 36)
_BUSY = """
import sys, time
from trainer.device_lock import open_lock
lock = open_lock("cpu")
assert lock.try_alone()
print("busy", flush=True)
time.sleep(600)
"""


@pytest.fixture
def busy_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CPU that somebody else has for himself."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    other = subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "busy\n"
    yield
    other.kill()
    other.wait()
    other.stdout.close()


@pytest.fixture
def app(runs: Path, some_runs: dict[str, str], busy_cpu: None) -> Iterator[DashboardApp]:
    """A dashboard whose trainers end with the test."""
    opened = DashboardApp(runs, select=some_runs["resting"])
    yield opened
    for child in opened.actions._children:
        child.kill()
        child.wait()


def names_in_line(runs: Path) -> list[tuple[str, bool]]:
    """Who waits, in order, and whether each is held."""
    reader = StoreReader.open(runs)
    found = [(waiter.run.name, waiter.is_held) for waiter in line(reader, runs)]
    reader.close()
    return found


async def test_runs_are_queued_moved_held_and_released_by_keys(runs: Path, app: DashboardApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("h")
        await wait_until(pilot, lambda: "resting waits in no line; Q puts" in toasts(app))
        await pilot.press("Q")
        await wait_for_text(pilot, "queued · number 1 in line for the CPU", seconds=60)
        await pilot.press("n")
        await wait_until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        app.draft.name = "second"
        await pilot.press("f6")
        await wait_until(pilot, lambda: not isinstance(app.screen, NewRunScreen), seconds=60)
        await wait_for_text(pilot, "second", "number 2 in line for the CPU", "waits in line, and", seconds=60)
        assert "r resume" not in screen_text(app).splitlines()[-1], "it starts by itself"
        await pilot.press("r")
        await wait_until(pilot, lambda: "second waits in line already and starts by itself" in toasts(app))
        assert names_in_line(runs) == [("resting", False), ("second", False)]
        await pilot.press("less_than_sign")
        await wait_for_text(pilot, "number 1 in line for the CPU")
        assert names_in_line(runs) == [("second", False), ("resting", False)]
        await pilot.press("h")
        await wait_for_text(pilot, "held back as number 1 in line for the CPU; h releases it")
        assert names_in_line(runs) == [("second", True), ("resting", False)]
        await pilot.press("h")
        await wait_until(pilot, lambda: "held back" not in screen_text(app))
        await pilot.press("greater_than_sign")
        await wait_for_text(pilot, "number 2 in line for the CPU")
        with closing(RunStore.open(runs)) as store:
            store.update_run(store.find("resting").id, owner="anna", owner_uid=70001, runner_uid=70001)
        await wait_for_text(pilot, "anna")
        await pilot.press("less_than_sign")
        await wait_for_text(pilot, "Pass anna's run resting?", "It is not yours.")
        await pilot.press("y")
        await wait_for_text(pilot, "number 1 in line for the CPU")
        await pilot.press("p")
        await wait_for_text(pilot, "paused · r resumes it", seconds=60)
        assert names_in_line(runs) == [("resting", False)]


async def test_one_that_waits_already_is_not_put_in_line_again(app: DashboardApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("Q")
        await wait_for_text(pilot, "queued · number 1 in line", seconds=60)
        await pilot.press("Q")
        await wait_until(pilot, lambda: "resting waits already; < and > move it" in toasts(app))
        await pilot.press("greater_than_sign")
        await wait_until(pilot, lambda: "resting is number 1 in its line" in toasts(app))


async def test_a_waiting_run_is_sent_to_a_device_that_is_picked(runs: Path, app: DashboardApp) -> None:
    with user(device_name("cuda:0", gpus())):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▸■ resting")
            await pilot.press("W")
            await wait_until(pilot, lambda: "resting waits in no line; Q puts" in toasts(app))
            store = RunStore.open(runs)
            run = store.find("resting")
            store.update_run(run.id, config=run.config.replace('"device": "auto"', '"device": "cuda:0"'))
            await pilot.press("Q")
            await wait_for_text(pilot, "number 1 in line for GPU", seconds=60)
            await pilot.press("W")
            await wait_for_text(pilot, "Where resting waits", "the CPU")
            await pilot.press(*"cpu")
            await pilot.press("enter")
            await wait_until(pilot, lambda: "resting waits for the CPU now, as the last there" in toasts(app))
            await wait_for_text(pilot, "number 1 in line for the CPU")
            assert device_setting(store.run(run.id)) == "cpu"
            store.close()


async def test_marked_runs_are_put_in_line_after_one_question_the_oldest_first(
    runs: Path, app: DashboardApp, some_runs: dict[str, str]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        app.main_screen.board.marked = {some_runs[name] for name in ("waiting", "resting", "done")}  # type: ignore[union-attr]
        await pilot.press("Q")
        await wait_for_text(pilot, "Queue 2 runs?", "resting, waiting", "Left alone: done is finished")
        await pilot.press("n", "Q")
        await wait_for_text(pilot, "Queue 2 runs?")
        assert names_in_line(runs) == []
        await pilot.press("y")
        await wait_until(pilot, lambda: [name for name, _ in names_in_line(runs)] == ["resting", "waiting"], seconds=60)


def test_the_devices_that_there_are_to_choose_from() -> None:
    assert device_choices([]) == [("cpu", "the CPU", "")]
    there = [Gpu(uuid=f"GPU-{n}", name="Titan", free_bytes=2**30, processes=n) for n in range(3)]
    assert device_choices(there) == [
        ("next", "the next free GPU", "whichever is free first"),
        ("cuda:0", "Titan (GPU-0)", "1 GiB free, 0 processes compute on it"),
        ("cuda:1", "Titan (GPU-1)", "1 GiB free, 1 process computes on it"),
        ("cuda:2", "Titan (GPU-2)", "1 GiB free, 2 processes compute on it"),
        ("cpu", "the CPU", ""),
    ]


def test_a_turn_in_words() -> None:
    assert turn_words(Turn("the CPU", 2, is_held=False)) == "number 2 in line for the CPU"
    assert turn_words(Turn("the CPU", 1, is_held=True)).endswith("h releases it")


async def test_a_driver_that_takes_its_time_holds_nothing_up(
    runs: Path, app: DashboardApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def slow() -> list[Gpu]:
        asked.append(threading.current_thread().name)
        return []

    monkeypatch.setattr(devices, "gpus", slow)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        assert app.main_screen is not None
        board = app.main_screen.board
        board.take_rows([replace(row, turn=Turn("the CPU", 1, False)) for row in board.rows])
        await pilot.press("W")
        await wait_for_text(pilot, "Where resting waits", "● the CPU")
    assert asked
    assert threading.main_thread().name not in asked
