"""`tag`, `note`, `pin`, `archive`, `rename`, `rm`, `restore` and `trash`."""

import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from tests.exits import code_of
from tests.simclr_tui.commands.test_commands import COMMAND, call, sentence
from tests.simclr_tui.support import Holder
from tests.trainer.checkpoint_files import write_checkpoint
from trainer.paths import run_dir
from trainer.store.labels import labels_of
from trainer.store.records import Labels
from trainer.store.runs import RunStore


@pytest.fixture
def store(runs: Path, some_runs: dict[str, str]) -> Iterator[RunStore]:
    """The store of some runs."""
    opened = RunStore.open(runs)
    yield opened
    opened.close()


@pytest.fixture
def do(runs: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A verb in this process: code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = code_of(main, ["--runs-dir", str(runs), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_tags_are_added_taken_away_and_printed(do: Any, store: RunStore, some_runs: dict[str, str]) -> None:
    assert do("tag", "done", "+a", "b", "-c") == (0, "done: a b\n", "")
    assert do("tag", "done") == (0, "done: a b\n", "")
    assert do("tag", "done", "-b", "--and", "resting", "+x") == (0, "done: a x\nresting: x\n", "")
    assert do("tag", "-x", "resting") == (0, "resting has no tag\n", "")
    do("tag", "resting", "h")
    assert do("tag", "resting", "--", "-h") == (0, "resting has no tag\n", "")
    code, out, _ = do("tag", "done", "--json")
    labels = {"tags": ["a", "x"], "note": "", "pinned": False, "archived": False, "trashed_at": None}
    assert (code, json.loads(out)) == (0, [{"id": some_runs["done"], "name": "done", **labels, "reason": ""}])
    assert labels_of(store, some_runs["done"]) == Labels(tags=("a", "x"))


def test_a_note_is_written_printed_and_taken_away(do: Any, store: RunStore, some_runs: dict[str, str]) -> None:
    assert do("note", "done") == (0, "done has no note\n", "")
    assert do("note", "done", "goes well\nso far ") == (0, "the note of done is kept\n", "")
    assert do("note", "done") == (0, "goes well\nso far\n", "")
    assert json.loads(do("note", "done", "--json")[1])["note"] == "goes well\nso far"
    assert do("note", "done", "") == (0, "done has no note any more\n", "")
    assert labels_of(store, some_runs["done"]) == Labels()


def test_several_are_pinned_and_archived_at_once(do: Any, store: RunStore, some_runs: dict[str, str]) -> None:
    assert do("pin", "done", "resting") == (0, "done is pinned\nresting is pinned\n", "")
    assert do("archive", "done", "done")[1].count("done is archived") == 1
    assert labels_of(store, some_runs["done"]) == Labels(is_pinned=True, is_archived=True)
    assert do("unpin", "done")[1] == "done is pinned no more\n"
    assert do("unarchive", "done")[1] == "done is listed again\n"
    assert labels_of(store, some_runs["done"]) == Labels()


def test_a_run_is_called_something_else_and_its_events_say_so(
    do: Any, store: RunStore, some_runs: dict[str, str]
) -> None:
    run_id = some_runs["done"]
    assert do("rename", "done", "best") == (0, "done is called best from now on\n", "")
    assert store.run(run_id).name == "best"
    event = store.events(run_id=run_id)[-1]
    assert (event.kind, event.message) == ("renamed", "was called done, and is best from now on")
    assert do("rename", "best", " ") == (2, "", "simclr-tui: rename: it is empty; give at least one character\n")
    assert "rename: 'xxx" in do("rename", "best", "x" * 61)[2]


def test_into_the_trash_and_out_of_it(do: Any, store: RunStore, some_runs: dict[str, str]) -> None:
    run_id = some_runs["resting"]
    write_checkpoint(store, run_id, 200, data=b"x" * 100_000)
    assert do("trash") == (
        0,
        f"nothing is in the trash of {store.runs_path}; `simclr-tui rm RUN` puts a run there\n",
        "",
    )
    assert do("rm", "resting") == (
        0,
        f"resting is in the trash; `simclr-tui restore {run_id}` takes it out again\n",
        "",
    )
    _, out, _ = do("trash")
    heading, row, _, hint = out.splitlines()
    assert heading.split() == ["id", "name", "since", "on", "the", "disk", "frees"]
    assert row.split()[:2] == [run_id, "resting"]
    assert "KiB" in row
    assert hint.startswith("`simclr-tui restore ID` takes one out; `simclr-tui trash --empty` deletes all for good")
    (one,) = json.loads(do("trash", "--json")[1])
    assert one["bytes"] == one["freed_bytes"] >= 100_000
    assert do("resume", "resting")[::2] == (
        2,
        f"simclr-tui: resting is in the trash; `simclr-tui restore {run_id}` takes it out again\n",
    )
    assert do("resume", run_id, "--num-workers", "1")[0] == 2
    assert '"num_workers": 0' in store.run(run_id).config, "nothing of it was changed"
    for words in (["fork", "resting"], ["evaluate", "resting"], ["resume", "resting", "--queue"]):
        assert do(*words)[0] == 2
        assert "is in the trash; `simclr-tui restore" in do(*words)[2]
    assert do("restore", "resting") == (0, "resting is out of the trash, as it was\n", "")
    assert do("restore", "resting")[::2] == (
        2,
        "simclr-tui: resting is not in the trash; there is nothing to restore\n",
    )


def test_what_can_be_done_is_done_and_the_rest_is_said_with_code_2(
    do: Any, runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    with Holder(runs, some_runs["resting"]):
        code, out, err = do("rm", "resting", "done")
        assert (code, err) == (2, "simclr-tui: resting is running; stop it first\n")
        assert out.startswith("done is in the trash")
        code, out, _ = do("rm", "resting", "--json")
        assert (code, json.loads(out)[0]["reason"]) == (2, "resting is running; stop it first")
        for words in (
            ["tag", "resting", "live"],
            ["note", "resting", "live"],
            ["pin", "resting"],
            ["archive", "resting"],
        ):
            assert do(*words)[0] == 0
        assert do("rename", "resting", "live")[0] == 0
    assert do("rm", "broken", "nobody")[0] == 2
    assert not labels_of(store, some_runs["broken"]).is_hidden, "nothing is begun where a run is not there"


def test_the_trash_is_emptied_by_age_and_only_when_it_is_sure(
    do: Any, store: RunStore, some_runs: dict[str, str]
) -> None:
    do("rm", "done", "resting")
    two_days_ago = time.time() - 2 * 86_400
    store.connection.execute("UPDATE annotations SET at = ? WHERE run_id = ?", (two_days_ago, some_runs["done"]))
    assert do("trash", "--empty")[::2] == (
        2,
        "simclr-tui: trash --empty: there is no terminal to ask on; add --yes to delete them for good\n",
    )
    assert do("trash", "--yes")[2].startswith("simclr-tui: --older-than, --owner and --yes belong to --empty")
    assert "'many' is no number of days" in do("trash", "--empty", "--older-than", "many")[2]
    assert do("trash", "--empty", "--older-than", "3", "--yes") == (0, "0 runs deleted for good, 0 B freed\n", "")
    code, out, _ = do("trash", "--empty", "--older-than", "1", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"deleted": [some_runs["done"]], "freed_bytes": 0, "left": {}})
    assert not run_dir(store.runs_path, some_runs["done"]).exists()
    assert [run.name for run in store.runs()] == ["waiting", "broken", "resting"]
    assert do("trash", "--empty", "--yes")[1].startswith("1 run deleted for good")
    assert do("trash", "--json")[1] == "[]\n"


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("", 4), ("y", 3)])
def test_on_a_terminal_it_asks(runs: Path, store: RunStore, some_runs: dict[str, str], answer: str, left: int) -> None:
    call(runs, "rm", "done")
    ours, theirs = pty.openpty()
    command = [*COMMAND, "--runs-dir", str(runs), "trash", "--empty"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while b"[y/N]" not in text:
        text += os.read(ours, 1000)
    assert b"Delete done for good, files and figures (" in text
    os.write(ours, answer.encode() + b"\n")
    assert process.wait(30) == 0
    os.close(ours)
    assert len(store.runs()) == left


def test_a_run_whose_trainer_has_not_ended_is_left_with_code_75(
    runs: Path, store: RunStore, some_runs: dict[str, str]
) -> None:
    call(runs, "rm", "done", "broken")
    with Holder(runs, some_runs["broken"]):
        store.lifecycle(some_runs["broken"], "failed", "not claimed yet")
        done = call(runs, "trash", "--empty", "--yes")
    assert (done.returncode, done.stdout) == (75, "1 run deleted for good, 0 B freed\n")
    assert done.stderr.startswith("simclr-tui: 1 run left in the trash: a trainer of broken has not ended yet")


def test_without_a_store_nothing_is_in_the_trash(runs: Path) -> None:
    assert "nothing is in the trash" in call(runs, "trash").stdout
    assert json.loads(call(runs, "trash", "--empty", "--yes", "--json").stdout) == []
    assert "no run has the id or name 'x'" in sentence(call(runs, "rm", "x"), 2)


def test_after_a_reboot_what_is_in_the_trash_is_not_resumed(
    do: Any, store: RunStore, some_runs: dict[str, str]
) -> None:
    store.lifecycle(some_runs["resting"], "interrupted", "lost")
    do("rm", "resting")
    assert do("resume", "--all")[1] == f"no run in {store.runs_path} was interrupted; there is nothing to resume\n"
