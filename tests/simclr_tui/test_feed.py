"""The feed against real stores: empty, growing, locked, replaced, damaged, too new, too old."""

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from textual.message import Message

from simclr_tui.feed import Feed, check_store
from simclr_tui.messages import Polled, PollFailed, StoreRefused
from simclr_tui.model import RunRow, Watched
from tests.simclr_tui.support import Holder, add_run, add_some_runs
from tests.trainer.test_store import damage, step_row
from trainer.errors import StoreError, StoreVersionError
from trainer.paths import store_file
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.runs import RunStore

M = TypeVar("M", bound=Message)

# Holds every lock of the database, as a process does that is recovering it or was told to have it for itself.
LOCK_ALL = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE runs SET name = name")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
connection.close()
"""


class Running:
    """A feed in its thread, with everything that it posted."""

    def __init__(self, runs: Path) -> None:
        self.posted: list[Message] = []
        self.feed = Feed(runs, self.posted.append)
        self.thread = threading.Thread(target=self.feed.run)
        self.thread.start()

    def wait(self, kind: type[M], condition: Callable[[M], bool] = lambda _: True, seconds: float = 8.0) -> M:
        """The first message of a kind that fits, waiting for it."""
        deadline = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < deadline:
            for message in self.posted[seen:]:
                seen += 1
                if isinstance(message, kind) and condition(message):
                    return message
            time.sleep(0.02)
        raise AssertionError(f"no such {kind.__name__} within {seconds} s: {self.posted[-3:]}")


@pytest.fixture
def start() -> Iterator[Callable[[Path], Running]]:
    running: list[Running] = []

    def begin(runs: Path) -> Running:
        running.append(Running(runs))
        return running[-1]

    yield begin
    for one in running:
        one.feed.close()
        one.thread.join(timeout=10)
        assert not one.thread.is_alive()


def test_a_folder_without_a_store_is_empty_until_one_appears(start: Callable[[Path], Running], runs: Path) -> None:
    feed = start(runs)
    assert feed.wait(Polled).rows == []
    assert not runs.exists(), "looking makes nothing"
    add_some_runs(runs)
    rows = feed.wait(Polled, lambda m: bool(m.rows and len(m.rows) == 4)).rows
    assert rows is not None
    assert {row.run.name: row.state for row in rows} == {
        "done": "finished",
        "resting": "paused",
        "broken": "failed",
        "waiting": "queued",
    }


def test_only_what_is_new_is_posted(start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]) -> None:
    feed = start(runs)
    feed.feed.watch(Watched((some_runs["done"],), 100))
    feed.wait(Polled, lambda m: bool(m.curves))
    feed.wait(Polled, lambda m: any(row.figures.loss is not None for row in m.rows or ()))
    count = len(feed.posted)
    time.sleep(1.2)
    later = [m for m in feed.posted[count:] if isinstance(m, Polled)]
    assert len(later) >= 2
    assert all(m.rows is None and not m.events and not m.curves for m in later)
    store = RunStore.open(runs)
    store.event(some_runs["resting"], "note", "something new")
    store.close()
    fresh = feed.wait(Polled, lambda m: any(e.message == "something new" for e in m.events))
    assert len(fresh.events) == 1
    assert not fresh.curves


def test_curves_that_are_drawn_for_the_first_time_do_not_wait_for_the_figures_of_the_list(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    feed = start(runs)
    feed.wait(Polled)
    feed.feed.watch(Watched(tuple(some_runs.values()), 100))
    drawn = feed.wait(Polled, lambda m: bool(m.curves))
    assert all(row.figures.loss is None for m in feed.posted[: feed.posted.index(drawn) + 1] for row in rows_of(m))
    figured = feed.wait(Polled, lambda m: any(row.figures.loss is not None for row in m.rows or ()))
    assert feed.posted.index(figured) > feed.posted.index(drawn)


@pytest.mark.parametrize(("seconds", "messages"), [(0.0, 4), (60.0, 1)])
def test_the_cursors_run_is_shown_before_the_others_are_read_which_follow_at_once(
    start: Callable[[Path], Running],
    runs: Path,
    some_runs: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    messages: int,
) -> None:
    monkeypatch.setattr("simclr_tui.feed._NEW_CURVES_SECONDS", seconds)
    ids = [some_runs[name] for name in ("resting", "waiting", "done", "broken")]
    feed = start(runs)
    feed.wait(Polled)
    begun = time.monotonic()
    feed.feed.watch(Watched(tuple(ids), 100))
    feed.wait(Polled, lambda m: any(one.run_id == ids[-1] for one in m.curves))
    assert time.monotonic() - begun < 4 * 0.5, "not one at every poll"
    drawn = [[one.run_id for one in m.curves] for m in feed.posted if isinstance(m, Polled) and m.curves]
    assert len(drawn) == messages
    assert [run_id for each in drawn for run_id in each] == ids


def rows_of(message: Message) -> list[RunRow]:
    return list(message.rows or ()) if isinstance(message, Polled) else []


def test_a_run_whose_process_was_killed_is_interrupted_within_3_seconds(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["waiting"]
    with Holder(runs, run_id) as holder:
        feed = start(runs)

        def shows(state: str) -> Callable[[Polled], bool]:
            return lambda m: any(row.run.id == run_id and row.state == state for row in m.rows or ())

        feed.wait(Polled, shows("running"))
        holder.kill()
        feed.wait(Polled, shows("interrupted"), seconds=3.0)


def test_a_store_that_is_locked_for_a_while_is_stale_and_comes_back(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    words = [sys.executable, "-c", LOCK_ALL, str(store_file(runs)), "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        check_store(runs)  # a lock is no reason not to open the dashboard
        feed = start(runs)
        assert "locked" in feed.wait(PollFailed).reason
        polled = feed.wait(Polled)
        assert polled.rows is not None
        assert len(polled.rows) == 4


def test_a_store_that_was_replaced_is_read_anew(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    feed = start(runs)
    feed.wait(Polled, lambda m: m.rows is not None)
    shutil.rmtree(runs)
    reason = "runs.db is not there any more: put it back, or launch a run"
    assert feed.wait(PollFailed).reason == reason
    store = RunStore.open(runs)
    add_run(store, "another")
    store.close()
    polled = feed.wait(Polled, lambda m: bool(m.rows and m.rows[0].run.name == "another"))
    assert [event.kind for event in polled.events] == ["created"]
    assert polled.is_another_store


def test_a_file_that_is_no_database_is_refused_in_one_sentence(start: Callable[[Path], Running], runs: Path) -> None:
    runs.mkdir()
    store_file(runs).write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(StoreError, match="cannot be used as a run store") as caught:
        check_store(runs)
    assert "\n" not in str(caught.value)
    assert start(runs).wait(StoreRefused).sentence == str(caught.value)


def test_a_store_of_a_newer_version_is_refused_in_one_sentence(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    connection = sqlite3.connect(store_file(runs))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreVersionError, match="newer version"):
        check_store(runs)
    assert "upgrade simclr-tui" in start(runs).wait(StoreRefused).sentence


@pytest.mark.parametrize("made", [False, True])
def test_a_store_that_is_only_being_made_is_empty_until_it_has_a_run(
    start: Callable[[Path], Running], runs: Path, made: bool
) -> None:
    runs.mkdir()
    store_file(runs).touch()
    if made:
        connection = sqlite3.connect(store_file(runs))
        connection.execute("CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set, name, applied_at)")
        connection.close()
    before = store_file(runs).read_bytes()
    check_store(runs)
    feed = start(runs)
    assert feed.wait(Polled).rows == []
    assert store_file(runs).read_bytes() == before, "looking makes nothing"
    add_some_runs(runs)
    feed.wait(Polled, lambda m: bool(m.rows and len(m.rows) == 4))
    assert all(isinstance(message, Polled) for message in feed.posted)


@pytest.mark.usefixtures("some_runs")
def test_a_store_of_an_older_version_is_brought_up_to_date(
    start: Callable[[Path], Running], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_tui.feed.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    upgraded: list[Path] = []
    monkeypatch.setattr("simclr_tui.feed._upgrade", upgraded.append)
    assert len(start(runs).wait(Polled).rows or ()) == 4
    assert upgraded == [runs]


@pytest.mark.usefixtures("some_runs")
def test_a_store_whose_pages_are_damaged_is_refused_in_one_sentence(
    start: Callable[[Path], Running], runs: Path
) -> None:
    damage(runs)
    sentence = start(runs).wait(StoreRefused).sentence
    assert sentence.startswith(f"{store_file(runs)} is damaged")
    assert "\n" not in sentence


def test_a_store_that_is_damaged_later_is_only_stale(
    start: Callable[[Path], Running], runs: Path, some_runs: dict[str, str]
) -> None:
    feed = start(runs)
    feed.wait(Polled)
    for path in runs.glob("runs.db*"):
        path.unlink()
    store_file(runs).write_bytes(b"not a database any more" * 500)
    feed.wait(PollFailed)
    assert not any(isinstance(message, StoreRefused) for message in feed.posted)


# Everything is imported before: nobody else may be able to read the program itself.
ANOTHER_PERSON = """
import os, sys
from pathlib import Path
from simclr_tui.feed import Feed
from simclr_tui.messages import Polled
from trainer.doctor import examine
runs = Path(sys.argv[1])
feed, last = Feed(runs, lambda message: said.append(message)), []
list(examine(runs / "nowhere", depth="sizes"))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for _ in sys.stdin:
    said = []
    feed._poll_safely()
    last = [row.run.step for row in said[0].rows or ()] if isinstance(said[0], Polled) else str(said[0])
    print(last, *(check.level for _, check in examine(runs, depth="sizes") if check.name == "integrity"), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another person")
def test_somebody_who_may_only_read_sees_runs_at_rest_and_while_they_go_on(runs: Path) -> None:
    """Where he can write nothing SQLite can't make the files that reading takes, unless a trainer has."""
    store = RunStore.open(runs)
    run_id = add_run(store, "shared")
    store.append(run_id, [step_row(5)])
    store.close()
    for parent in itertools.takewhile(lambda one: one != Path(tempfile.gettempdir()), (runs, *runs.parents)):
        parent.chmod(0o755)
    command = [sys.executable, "-c", ANOTHER_PERSON, str(runs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def seen() -> str:
            assert reader.stdin is not None
            assert reader.stdout is not None
            print(file=reader.stdin, flush=True)
            return reader.stdout.readline().strip()

        assert seen() == "[5] ok"
        with closing(RunStore.open(runs)) as store:
            store.append(run_id, [step_row(6)])
            assert seen() == "[6] ok"
            store.append(run_id, [step_row(7)])
            assert seen() == "[7] ok"
            reader.stdin.close()
