"""The real dashboard over a store that grows, goes, is replaced, damaged or locked, and over dead trainers.

Each test ends with what a person reads. `tests/simclr_tui/test_feed.py` holds the same of the feed alone.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.app import DashboardApp
from simclr_tui.leaving import leaving_words
from simclr_tui.outage import Outage
from tests.simclr_tui.bench_store import add_benchmark
from tests.simclr_tui.support import (
    Holder,
    add_run,
    add_some_runs,
    screen_text,
    toasts,
    wait_for_text,
    wait_until,
)
from tests.small_disk import mounted
from tests.trainer.test_store import damage, step_row
from trainer.benchmark_config import BenchmarkConfig
from trainer.paths import store_file
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (140, 36)

# The locks of the log's index (wal.c, WAL_WRITE_LOCK to the last WAL_READ_LOCK), all of which a process takes that
# recovers the log; a connection that is open can't be kept out otherwise.
LOCK_OUT = """
import fcntl, sys, time
with open(sys.argv[1] + "-shm", "r+b") as index:
    fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def folder_of(runs: Path) -> Path:
    """Where a store is kept aside."""
    return runs.parent / "aside"


async def test_a_store_that_grows_fast_is_followed_to_its_last_step(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id = add_run(store, "fast", steps=5)
    ends = threading.Event()

    def grow() -> None:
        with closing(RunStore.open(runs)) as store:
            step = 5
            while not ends.is_set():
                store.append(run_id, [step_row(step + one) for one in range(1, 101)], total_steps=10**6)
                step += 100
            store.event(run_id, "note", f"grown to step {step}")

    thread = threading.Thread(target=grow)
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "fast")
        thread.start()
        begun = time.monotonic()
        while time.monotonic() - begun < 2:
            await pilot.press("down", "up")
            await pilot.pause(0.05)
        ends.set()
        thread.join()
        await wait_for_text(pilot, "grown to step")
        assert app.main_screen is not None
        board = app.main_screen.board
        await wait_until(pilot, lambda: bool(board.cursor and board.cursor.run.step and board.cursor.run.step > 105))
        assert "stale" not in screen_text(app)


async def test_a_store_that_is_deleted_is_said_and_what_was_seen_stays_until_it_is_back(runs: Path) -> None:
    add_some_runs(runs)
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting", "paused")
        runs.rename(folder_of(runs))
        await wait_for_text(pilot, "stale", "is not there any more: put it back")
        await wait_until(pilot, lambda: "What is shown is as it was" in toasts(app))
        assert "resting" in screen_text(app)
        await pilot.press("question_mark")
        await wait_for_text(pilot, "esc closes")
        await pilot.press("escape", "p")
        await wait_until(pilot, lambda: len(app._notifications) > 1)
        shutil.copytree(folder_of(runs), runs, dirs_exist_ok=True)
        await wait_until(pilot, lambda: "the store is read again, after" in toasts(app))
        await wait_until(pilot, lambda: "stale" not in screen_text(app))
        assert "resting" in screen_text(app)


async def test_a_store_that_is_replaced_by_another_shows_the_others_runs_and_events_alone(runs: Path) -> None:
    add_some_runs(runs)
    with closing(RunStore.open(folder_of(runs))) as store:
        store.event(add_run(store, "stranger"), "note", "from another store")
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting", "failed by a test")
        shutil.rmtree(runs)
        folder_of(runs).rename(runs)
        await wait_for_text(pilot, "stranger", "from another store")
        await wait_until(
            pilot, lambda: "resting" not in screen_text(app) and "failed by a test" not in screen_text(app)
        )


async def test_a_store_that_is_damaged_is_said_and_is_shown_again_once_it_is_mended(runs: Path) -> None:
    add_some_runs(runs)
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        with closing(RunStore.open(runs)):
            pass  # whoever closes it last empties its log into it
        whole = store_file(runs).read_bytes()
        damage(runs)
        await wait_for_text(pilot, "stale")
        assert "resting" in screen_text(app), "no crash, and the last picture"
        await wait_until(pilot, lambda: "What is shown is as it was" in toasts(app))
        store_file(runs).write_bytes(whole)
        for path in runs.glob("runs.db-*"):
            path.unlink()
        await wait_until(pilot, lambda: "the store is read again" in toasts(app))
        await wait_until(pilot, lambda: "stale" not in screen_text(app))


async def test_a_store_that_somebody_holds_for_three_seconds_is_stale_and_then_goes_on(runs: Path) -> None:
    add_some_runs(runs)
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        words = [sys.executable, "-c", LOCK_OUT, str(store_file(runs)), "3"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as locker:
            assert locker.stdout is not None
            assert await asyncio.to_thread(locker.stdout.readline) == "locked\n"
            await wait_for_text(pilot, "stale", seconds=3)
            await pilot.press("down")
            await wait_until(pilot, lambda: "stale" not in screen_text(app))
        assert "resting" in screen_text(app)


@pytest.fixture
def sealed(runs: Path) -> Iterator[Path]:
    """A view of a runs folder through which nobody can write, root neither."""
    add_some_runs(runs)
    view = runs.parent / "view"
    view.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "--bind", runs, view], check=False, capture_output=True).returncode
    ):
        pytest.skip("only root can mount a folder read-only, and permissions mean nothing to root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        yield view
    finally:
        subprocess.run(["umount", "-l", view], check=True)


async def test_a_store_that_becomes_read_only_is_still_shown_and_actions_say_why_they_fail(
    runs: Path, sealed: Path
) -> None:
    link = runs.parent / "link"
    link.symlink_to(runs)
    app = DashboardApp(link)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        fresh = link.with_name("fresh")
        fresh.symlink_to(sealed)
        fresh.replace(link)  # the same files, and nobody may write them any more
        await pilot.press("n")
        await wait_for_text(pilot, "╭─ new run")
        await pilot.press("f5")
        await wait_until(pilot, lambda: any(one.severity == "error" for one in app._notifications))
        assert "cannot be written; name a folder that you can write" in toasts(app)
        await pilot.press("escape")
        with closing(RunStore.open(runs)) as store:
            add_run(store, "later")
        await wait_for_text(pilot, "resting", "later")
        assert "stale" not in screen_text(app)


def fill(path: Path) -> None:
    """Take all the room that there is on a disk."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))


async def test_on_a_full_disk_an_action_says_so_and_the_dashboard_goes_on(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "64m") as disk:
        runs = disk / "runs"
        add_some_runs(runs)
        app = DashboardApp(runs)
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "resting")
            fill(disk / "filler")
            await wait_for_text(pilot, "disk full")
            await pilot.press("n")
            await wait_for_text(pilot, "╭─ new run")
            await pilot.press("f5")
            await wait_until(pilot, lambda: any(one.severity == "error" for one in app._notifications))
            assert "full" in toasts(app) or "free some space" in toasts(app), toasts(app)
            await wait_for_text(pilot, "╭─ new run")
            (disk / "filler").unlink()
            await pilot.press("escape")
            await wait_until(pilot, lambda: "disk full" not in screen_text(app) and "stale" not in screen_text(app))


async def test_a_trainer_that_is_killed_while_its_run_has_the_screen_is_interrupted_in_seconds(runs: Path) -> None:
    ids = add_some_runs(runs)
    app = DashboardApp(runs, select=ids["resting"])
    with Holder(runs, ids["resting"]) as holder:
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▶ 1 running")
            await pilot.press("enter")
            await wait_until(pilot, lambda: "broken" not in screen_text(app) and "running" in screen_text(app))
            holder.kill()
            await wait_for_text(pilot, "interrupted · r resumes it", seconds=5.0)


async def test_two_dashboards_and_a_trainer_see_each_others_actions(runs: Path) -> None:
    ids = add_some_runs(runs)
    first, second = DashboardApp(runs, select=ids["resting"]), DashboardApp(runs, select=ids["resting"])
    with Holder(runs, ids["resting"], obeys=True):
        async with first.run_test(size=SIZE) as one, second.run_test(size=SIZE) as other:
            await wait_for_text(one, "▶ 1 running")
            await wait_for_text(other, "▶ 1 running")
            await one.press("p")
            await wait_for_text(one, "‖ 1 paused", seconds=10)
            await wait_for_text(other, "‖ 1 paused", seconds=3)
            await wait_for_text(other, "paused on request")


WAITING = """
import asyncio, sys
from pathlib import Path
from simclr_tui.app import DashboardApp
from simclr_tui.lab import applying
from simclr_tui.leaving import _shown
from tests.simclr_tui.support import wait_until
runs, bench_id, run_id = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
applying.PAUSE_SECONDS = 3.0
applying.apply.__kwdefaults__["timeout_seconds"] = 3.0

async def leave(pilot):
    await wait_until(pilot, lambda: pilot.app.main_screen is not None)
    app = pilot.app
    app.do(lambda: app.actions.apply(bench_id, run_id))
    await wait_until(pilot, lambda: bool(app.actions.under_way))
    await pilot.press("q")

app = DashboardApp(runs)
run_async = app.run_async
app.run_async = lambda: run_async(headless=True, size=(120, 36), auto_pilot=leave)
asyncio.run(_shown(app))
print("the threads have ended")
"""


def test_quitting_while_an_action_waits_for_a_run_says_what_goes_on(runs: Path) -> None:
    ids = add_some_runs(runs)
    with closing(RunStore.open(runs)) as store:
        config = BenchmarkConfig(vary="cache=ram,none num_workers=0,2", base='{"image_size": 32}', rounds=10)
        bench_id = add_benchmark(store, "bench", config, rounds=10)
    with Holder(runs, ids["resting"]):
        words = [sys.executable, "-c", WAITING, str(runs), bench_id, ids["resting"]]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
    sentence = leaving_words("the settings of bench are still being given to resting, which pauses first")
    assert done.stderr.splitlines()[:1] == [f"simclr-tui: {sentence}"], done.stderr
    assert done.stdout.splitlines()[-1:] == ["the threads have ended"]


def test_an_outage_is_said_once_when_it_lasts_and_once_when_it_is_over() -> None:
    outage = Outage()
    assert outage.failed("locked", 10.0) is None
    assert outage.over(10.5) is None, "a moment is nobody's concern"
    assert outage.failed("locked", 20.0) is None
    said = outage.failed("locked", 22.5) or ""
    assert said.startswith("the store can't be read: locked. What is shown is as it was")
    assert "`simclr-tui doctor`" in said, "it names a remedy"
    assert outage.failed("locked", 23.0) is None
    assert (outage.failed("gone", 24.0) or "").startswith("the store can't be read: gone.")
    assert outage.over(80.0) == "the store is read again, after 1 min"
    assert outage.over(81.0) is None
