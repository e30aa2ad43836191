"""`doctor` as a person and a script meet it, on healthy and on broken folders."""

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.commands.doctoring import SIGNS
from tests.simclr_tui.commands.test_commands import call, call_process, sentence
from tests.simclr_tui.test_imports import HEAVY, run_python
from tests.trainer.doctor.checkpoint_files import add_run_with_checkpoints, orphan
from tests.trainer.test_manifest import flip_bit
from trainer.paths import store_file
from trainer.store.backup import backup
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.runs import RunStore


def some_run(runs: Path) -> str:
    """A finished run with two checkpoints in a closed store; its id."""
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store, 1, 2, name="known", lifecycle="finished")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return run_id


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but what SQLite's readers share."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_healthy_folder_is_a_list_by_group_with_words_beside_the_signs(runs: Path) -> None:
    some_run(runs)
    before = snapshot(runs)
    done = call(runs, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [
        "machine",
        "runs folder",
        "store",
        "runs",
        "logging out",
    ]
    for line in lines:
        if line.startswith("  ") and "→" not in line:
            sign, level = line.split()[:2]
            assert SIGNS[level] == sign
    assert "2 of 2 read and compared" in done.stdout
    assert " 0 bad" in lines[-1]
    assert snapshot(runs) == before


def test_json_is_one_document_with_every_check(runs: Path) -> None:
    run_id = some_run(runs)
    (path,) = (runs / run_id / "checkpoints").glob("step-2-*.pt")
    flip_bit(path)
    done = call(runs, "doctor", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["ok"] is False
    assert document["runs_dir"] == str(runs)
    assert sum(document["summary"].values()) == len(document["checks"])
    (bad,) = [check for check in document["checks"] if check["level"] == "bad"]
    assert bad["group"] == "runs"
    assert bad["seen"].startswith(f"known ({run_id}), step-2")
    assert "step 1" in bad["remedy"]
    assert call(runs, "doctor", "--quick").returncode == 0


def make_file(runs: Path) -> None:
    runs.write_text("")


def make_foreign(runs: Path) -> None:
    runs.mkdir()
    with closing(sqlite3.connect(store_file(runs))) as other:
        other.execute("CREATE TABLE bookmarks (id INTEGER)")


def make_newer(runs: Path) -> None:
    some_run(runs)
    with closing(sqlite3.connect(store_file(runs))) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def make_damaged(runs: Path) -> None:
    some_run(runs)
    path = store_file(runs)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))


def make_text(runs: Path) -> None:
    runs.mkdir()
    store_file(runs).write_text("not a database\n" * 1000)


def make_empty_store(runs: Path) -> None:
    runs.mkdir()
    store_file(runs).touch()


def make_link(runs: Path) -> None:
    runs.symlink_to(runs.with_name("nowhere"))


def make_lost(runs: Path) -> None:
    orphan(runs, 1)


PLACES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "no folder": (lambda _: None, 0, "is not there yet"),
    "an empty folder": (lambda runs: runs.mkdir(), 0, "the first run makes it"),
    "a file": (make_file, 1, "no folder"),
    "a link to nowhere": (make_link, 1, "a link to nothing"),
    "a store of 0 bytes": (make_empty_store, 0, "has 0 bytes"),
    "a text": (make_text, 1, "is damaged"),
    "another program's database": (make_foreign, 1, "the database of another program"),
    "a newer store": (make_newer, 1, "newer version of simclr-tui"),
    "a damaged store": (make_damaged, 1, "--restore"),
    "a lost store": (make_lost, 1, "--rebuild"),
}


@pytest.mark.parametrize("place", PLACES)
def test_whatever_lies_there_is_told_and_never_a_traceback_or_a_change(runs: Path, place: str) -> None:
    make, code, words = PLACES[place]
    make(runs)
    before = snapshot(runs) if runs.is_dir() else None
    done = call(runs, "doctor")
    assert (done.returncode, done.stderr) == (code, ""), done.stdout
    assert words in done.stdout
    assert (snapshot(runs) if runs.is_dir() else None) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another person")
def test_a_folder_of_somebody_else_is_told(runs: Path) -> None:
    some_run(runs)
    # Everything is imported before: nobody else may be able to read the program itself.
    code = "import os, sys; from pathlib import Path; from trainer.doctor import examine; path = Path(sys.argv[1]);"
    code += " list(examine(path)); os.setgid(65534); os.setuid(65534);"
    code += " print(*(f'{g}/{c.name}/{c.level}' for g, c in examine(path)), sep='\\n')"
    for parent in itertools.takewhile(lambda one: one != Path(tempfile.gettempdir()), runs.parents):
        parent.chmod(0o755)
    runs.parent.chmod(0o755)
    for mode, level in ((0o700, "bad"), (0o755, "warn")):
        runs.chmod(mode)
        command = [sys.executable, "-c", code, str(runs)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said
        assert f"runs folder/runs folder/{level}" in said.stdout, said
        assert "logging out/" in said.stdout


def test_a_lost_store_is_rebuilt_and_the_runs_are_listed_again(runs: Path) -> None:
    run_id = orphan(runs, 10, 20, name="lost and found")
    done = call(runs, "doctor", "--rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"added 1 run and 2 checkpoints: {run_id}" in done.stdout
    (listed,) = json.loads(call(runs, "ls", "--json").stdout)
    assert (listed["id"], listed["name"], listed["state"], listed["step"]) == (
        run_id,
        "lost and found",
        "interrupted",
        20,
    )
    assert "rebuilt from 2 checkpoints" in call(runs, "show", run_id).stdout
    again = call(runs, "doctor", "--rebuild", "--json")
    assert json.loads(again.stdout) == {
        "runs": [],
        "checkpoints": 0,
        "carried": {},
        "set_aside": None,
        "passed_over": [],
    }
    assert call(runs, "doctor").returncode == 0


def test_a_damaged_store_is_restored_from_its_backup(runs: Path) -> None:
    run_id = some_run(runs)
    backup(runs)
    path = store_file(runs)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    assert call(runs, "doctor", "--quick").returncode == 1
    done = call(runs, "doctor", "--restore")
    assert (done.returncode, done.stderr) == (0, "")
    assert "backups/runs.db is the store again" in done.stdout
    assert "runs.db.damaged-" in done.stdout
    assert [one["id"] for one in json.loads(call(runs, "ls", "--json").stdout)] == [run_id]
    assert call(runs, "doctor").returncode == 0


def test_refusals_are_one_sentence(runs: Path) -> None:
    assert "no folder" in sentence(call(runs, "doctor", "--rebuild"), 2)
    some_run(runs)
    assert "is whole" in sentence(call(runs, "doctor", "--restore"), 2)
    assert "--torture" in sentence(call(runs, "doctor", "--kills", "3"), 2)
    assert "--torture" in sentence(call(runs, "doctor", "--device", "cpu"), 2)
    assert "--torture" in sentence(call(runs, "doctor", "--keep"), 2)
    assert "--kills" in sentence(call(runs, "doctor", "--torture", "--kills", "0"), 2)
    assert "--device" in sentence(call(runs, "doctor", "--torture", "--device", "tpu"), 2)
    assert call(runs, "doctor", "--rebuild", "--restore").returncode == 2


def test_a_name_with_control_characters_does_not_reach_the_terminal(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        add_run_with_checkpoints(store, 1, name="a\x1b[2Jb")
    done = call(runs, "doctor")
    assert "a�[2Jb" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("module", ["simclr_tui.commands.doctoring", "trainer.doctor", "trainer.torture"])
def test_the_doctor_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in sys.argv[1:] if name in sys.modules))"
    assert run_python(code, *HEAVY) == ""


def test_an_examination_does_not_import_torch_either(runs: Path) -> None:
    some_run(runs)
    code = "import sys; from pathlib import Path; from trainer.doctor import examine; list(examine(Path(sys.argv[1])));"
    code += " print(*(name for name in sys.argv[2:] if name in sys.modules))"
    assert run_python(code, str(runs), *HEAVY) == ""


@pytest.mark.reliability
@pytest.mark.timeout(400)
def test_torture_on_this_machine(runs: Path) -> None:
    done = call_process(runs, "doctor", "--torture", "--kills", "2", "--device", "cpu")
    assert done.returncode == 0, done
    assert "2 kills, 0 differences" in done.stdout
    assert not runs.exists()
