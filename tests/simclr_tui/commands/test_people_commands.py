"""Verbs that are meant for one's own runs, given another person's."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simclr_tui.commands.test_commands import call
from tests.simclr_tui.support import Holder
from trainer import queue, trash
from trainer.process import identity
from trainer.store.labels import change_labels, labels_of
from trainer.store.records import Labels
from trainer.store.runs import RunStore

ANNAS = {"owner": "anna", "owner_uid": 70001}
REFUSED = "is anna's run, not yours; add `--owner anna` if you mean it\n"


@pytest.fixture
def store(runs: Path, some_runs: dict[str, str]) -> Iterator[RunStore]:
    """The store of some runs, of which anna made the paused one and the one that waits."""
    opened = RunStore.open(runs)
    for name in ("resting", "waiting"):
        opened.update_run(some_runs[name], **ANNAS)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "words",
    [
        ("resume", "resting"),
        ("rename", "resting", "mine"),
        ("note", "resting", "mine"),
        ("archive", "resting"),
        ("unarchive", "resting"),
        ("rm", "resting"),
    ],
)
def test_what_changes_another_persons_run_needs_the_persons_name(
    runs: Path, store: RunStore, some_runs: dict[str, str], words: tuple[str, ...]
) -> None:
    before = (store.run(some_runs["resting"]), labels_of(store, some_runs["resting"]))
    done = call(runs, *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"simclr-tui: resting {REFUSED}")
    done = call(runs, *words, "--owner", "lars")
    assert done.returncode == 2
    assert done.stderr.startswith("simclr-tui: --owner: resting is anna's run; give that name")
    assert (store.run(some_runs["resting"]), labels_of(store, some_runs["resting"])) == before


def test_with_the_name_it_is_done(runs: Path, store: RunStore, some_runs: dict[str, str]) -> None:
    assert call(runs, "note", "resting", "look", "--owner", "anna").returncode == 0
    assert call(runs, "archive", "resting", "--owner", "70001").returncode == 0
    assert call(runs, "rm", "resting", "--owner", "anna").returncode == 0
    labels = labels_of(store, some_runs["resting"])
    assert (labels.note, labels.is_archived, labels.trashed_at is not None) == ("look", True, True)


def test_what_adds_to_another_persons_run_needs_nothing(runs: Path, store: RunStore, some_runs: dict[str, str]) -> None:
    assert call(runs, "tag", "resting", "+good").returncode == 0
    assert call(runs, "pin", "resting").returncode == 0
    assert call(runs, "note", "resting").returncode == 0
    assert labels_of(store, some_runs["resting"]) == Labels(tags=("good",), is_pinned=True)


def test_another_persons_live_run_is_not_paused_or_stopped(
    runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["resting"]
    with Holder(runs, run_id, obeys=True):
        store.update_run(run_id, runner="anna", runner_uid=70001)
        for verb in ("pause", "stop"):
            assert call(runs, verb, "resting").stderr == f"simclr-tui: resting {REFUSED}"
        assert store.pending_commands(run_id) == []
        done = call(runs, "pause", "resting", "--owner", "anna")
        assert (done.returncode, done.stdout) == (0, "resting is paused\n")


def test_who_runs_another_persons_run_pauses_it_without_a_word(
    runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    with Holder(runs, some_runs["resting"], obeys=True):
        assert call(runs, "pause", "resting").stdout == "resting is paused\n"


def test_of_several_runs_ones_own_are_done_and_the_others_are_named(
    runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    done = call(runs, "rm", "done", "resting")
    assert done.returncode == 2
    assert done.stdout.startswith("done is in the trash")
    assert done.stderr == f"simclr-tui: resting {REFUSED}"


def test_emptying_the_trash_deletes_ones_own_runs(runs: Path, store: RunStore, some_runs: dict[str, str]) -> None:
    for name in ("done", "resting"):
        trash.put(store, some_runs[name])
    done = call(runs, "trash", "--empty", "--yes")
    assert done.stdout.startswith("1 run deleted for good")
    assert "runs of anna; --owner USER deletes theirs" in done.stderr
    assert {run.name for run in store.runs()} == {"resting", "broken", "waiting"}
    assert call(runs, "trash", "--empty", "--yes", "--owner", "anna").stdout.startswith("1 run deleted for good")
    assert {run.name for run in store.runs()} == {"broken", "waiting"}


def test_all_of_them_are_resumed_by_whoever_ran_them(runs: Path, store: RunStore, some_runs: dict[str, str]) -> None:
    """Two people's services would else both start a run after a reboot."""
    mine = identity().columns()
    theirs = mine | {"runner": "anna", "runner_uid": 70001}
    for name, who in {"done": theirs, "resting": theirs, "broken": theirs}.items():
        store.lifecycle(some_runs[name], "started", "started", **who | {"pid": 1, "start_ticks": 0})
    assert call(runs, "resume", "--all", "--json").stdout == "[]\n"


def test_another_persons_turn_is_left_to_them(runs: Path, store: RunStore, some_runs: dict[str, str]) -> None:
    """Neither is a run of theirs moved, nor passed by one's own."""
    annas, mine = some_runs["waiting"], some_runs["broken"]
    with Holder(runs, annas), Holder(runs, mine):
        for run_id in (annas, mine):
            store.lifecycle(run_id, "queued", "waits", **identity().columns())
            store.update_run(run_id, phase="waiting")
            queue.enqueue(store, run_id, "cpu")
        store.update_run(annas, runner="anna", runner_uid=70001)
        assert call(runs, "queue", "hold", "waiting").stderr == f"simclr-tui: waiting {REFUSED}"
        for where in ("up", "first"):
            assert call(runs, "queue", where, "broken").stderr == f"simclr-tui: waiting {REFUSED}"
        assert [waiter.run.id for waiter in queue.line(store, runs)] == [annas, mine]
        assert call(runs, "queue", "down", "broken").returncode == 0
        assert call(runs, "queue", "first", "broken", "--owner", "anna").returncode == 0
        assert [waiter.run.id for waiter in queue.line(store, runs)] == [mine, annas]


def test_the_list_tells_whose_runs_they_are_once_they_are_several_peoples(
    runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    heading, *lines = call(runs, "ls").stdout.splitlines()
    assert "owner" in heading.split()
    assert sum("anna" in line.split() for line in lines) == 2
    assert "owner" not in call(runs, "ls", "--columns", "run,state").stdout
    found = json.loads(call(runs, "ls", "--filter", "owner:ann", "--json").stdout)
    assert {(run["name"], run["owner"], run["owner_uid"]) for run in found} == {
        ("resting", "anna", 70001),
        ("waiting", "anna", 70001),
    }
    assert "  owner      anna\n" in call(runs, "show", "resting").stdout
    for name in ("resting", "waiting"):
        change_labels(store, some_runs[name], lambda labels: replace(labels, trashed_at=time.time()))
    store.update_run(some_runs["resting"], owner_uid=None)
    store.update_run(some_runs["waiting"], owner_uid=None)
    assert "owner" not in call(runs, "ls").stdout.splitlines()[0]
