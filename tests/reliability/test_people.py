"""Several people on one machine: nothing of one person's is harmed by another's program."""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people import Person, root, shared_box, shared_folder
from tests.processes import kill_all_of
from tests.reliability.trainers import options, until
from trainer.device_lock import open_lock, user_of
from trainer.paths import log_file, store_file
from trainer.process import lock_holder
from trainer.sharing import owner_of
from trainer.store import StoreReader

MAKES = """
import sys
from pathlib import Path
from trainer.config import PretrainConfig
from trainer.start import new_pretrain_run
from trainer.store import RunStore
store = RunStore.open(Path(sys.argv[1]))
print(new_pretrain_run(store, PretrainConfig(dataset="shapes"), name=sys.argv[2]))
store.close()
"""
WRITES = """
import sys
from pathlib import Path
from trainer.process import RunLock
from trainer.store import RunStore
from trainer.store.records import StepRow
runs, run_id, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lock = RunLock(runs, run_id)
store = RunStore.open(runs)
metrics = dict.fromkeys(["loss", "acc_top1", "acc_top5", "acc_mean_pos", "lr", "grad_norm", "t_data", "t_batch"], 0.5)
row = lambda step: StepRow(step=step, epoch=1, **metrics)
for step in range(store.last_step(run_id) + 1, last + 1):
    store.append(run_id, [row(step)])
print("written", flush=True)
if "wait" in sys.argv:
    sys.stdin.readline()
    store.append(run_id, [row(last + 1)])
    print("more", flush=True)
    sys.stdin.readline()
store.close()
"""
UNSHARED = "import trainer.sharing as sharing\nsharing.settle = lambda *_: None\n"
READS_PLAINLY = """
import os, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
connection.execute("SELECT * FROM runs").fetchall()
os._exit(0)  # as one that is killed, or goes on looking
"""
READS = """
import sys
from pathlib import Path
from trainer.store import StoreReader
reader = StoreReader.open(Path(sys.argv[1]))
for line in sys.stdin:
    print(reader.last_step(sys.argv[2]), flush=True)
reader.close()
"""


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Person, Person]]:
    """A box with two people in it, the first of whom lets nobody in by her umask, and device locks as /tmp has them."""
    with shared_box(umasks=(0o077, 0o022)) as found:
        (found[0] / "tmp").mkdir()
        (found[0] / "tmp").chmod(0o1777)
        monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(found[0] / "tmp" / "locks"))
        yield found


def run_of(person: Person) -> tuple[Path, str]:
    """A runs folder of somebody's own, and a run that they made in it."""
    runs = person.home / "runs"
    return runs, person.python(MAKES, str(runs), "first")


def owners(folder: Path) -> set[str]:
    """The owners of everything below a folder."""
    return {owner_of(path) for path in folder.rglob("*")}


def test_two_people_write_one_store_whatever_their_umasks(people: tuple[Path, Person, Person]) -> None:
    box, anna, lars = people
    runs = shared_folder(box)
    first = anna.python(MAKES, str(runs), "first")
    second = lars.python(MAKES, str(runs), "second")
    writer = anna.start(WRITES, str(runs), first, "2", "wait")
    assert writer.line() == "written"
    # While she has the store open, and its log is hers.
    lars.python(WRITES, str(runs), second, "3")
    assert writer.talk() == "more"
    assert writer.wait().returncode == 0
    lars.python(WRITES, str(runs), first, "5")  # goes on with her run, and its lock is hers
    anna.python(WRITES, str(runs), second, "6")
    reader = StoreReader.open(runs)
    assert {run.name: (run.owner, reader.last_step(run.id)) for run in reader.runs()} == {
        "first": (anna.name, 5),
        "second": (lars.name, 6),
    }
    reader.close()


def test_without_the_groups_permissions_one_persons_umask_shuts_out_the_other(
    people: tuple[Path, Person, Person],
) -> None:
    """The negative control."""
    box, anna, lars = people
    runs = shared_folder(box)
    first = anna.python(UNSHARED + MAKES, str(runs), "first")
    done = lars.do(WRITES, str(runs), first, "3")
    assert done.returncode
    assert "Permission denied" in done.stderr or f"is {anna.name}'s" in done.stderr or "unable to open" in done.stderr


def test_who_may_only_read_sees_what_is_written_and_leaves_nothing_behind(people: tuple[Path, Person, Person]) -> None:
    _, lars, anna = people
    runs, first = run_of(anna)
    writer = anna.start(WRITES, str(runs), first, "2", "wait")
    assert writer.line() == "written"
    before = sorted(runs.rglob("*"))
    reader = lars.start(READS, str(runs), first)
    assert reader.talk() == "2"
    assert writer.talk() == "more"
    assert reader.talk() == "3", "it is not what was there when the store was opened"
    refused = lars.tui(runs, "pause", "first")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"simclr-tui: --runs-dir: {runs}, which is {anna.name}'s, cannot be written; name a folder that you can write\n"
    )
    assert sorted(runs.rglob("*")) == before
    assert writer.wait().returncode == 0
    assert reader.wait().returncode == 0
    assert "first" in lars.tui(runs, "ls").stdout, "at rest"
    anna.python(WRITES, str(runs), first, "9")
    assert owners(runs) == {anna.name}


@pytest.mark.parametrize("reads_plainly", [False, True])
def test_a_reader_who_may_make_files_beside_a_store_makes_none_that_shut_its_writer_out(
    people: tuple[Path, Person, Person], reads_plainly: bool
) -> None:
    """Read as any program reads it, which is the negative control, SQLite leaves files there that are the reader's."""
    _, lars, anna = people
    runs, first = run_of(anna)
    os.chown(runs, anna.uid, anna.groups[0])
    runs.chmod(0o2775)
    store_file(runs).chmod(0o644)
    if reads_plainly:
        lars.python(READS_PLAINLY, str(store_file(runs)))
    else:
        assert "first" in lars.tui(runs, "ls").stdout
    written = anna.do(WRITES, str(runs), first, "3")
    assert bool(written.returncode) == reads_plainly, written.stderr


def test_root_that_looks_and_writes_leaves_a_folder_that_its_owner_goes_on_in(
    people: tuple[Path, Person, Person],
) -> None:
    box, anna, _ = people
    runs, first = run_of(anna)
    for words in (["ls"], ["tag", "first", "+seen"]):
        root(box).tui(runs, *words)
    second = root(box).python(MAKES, str(runs), "roots")
    assert owners(runs) == {anna.name}
    anna.python(WRITES, str(runs), first, "3")
    anna.python(WRITES, str(runs), second, "3")
    reader = StoreReader.open(runs)
    assert {run.name: run.owner for run in reader.runs()} == {"first": anna.name, "roots": "root"}
    reader.close()


def test_a_runs_folder_that_is_made_follows_the_folder_that_it_lies_in(people: tuple[Path, Person, Person]) -> None:
    box, anna, lars = people
    ours = shared_folder(box) / "project" / "runs"
    for person in (anna, lars):
        person.python(MAKES, str(ours), person.name)
    root(box).python(MAKES, str(anna.home / "runs"), "roots")
    assert owner_of(anna.home / "runs") == anna.name
    run_of(anna)


def test_a_lock_that_root_makes_as_any_program_would_shuts_the_owner_out(people: tuple[Path, Person, Person]) -> None:
    """The negative control."""
    _, anna, _ = people
    runs, first = run_of(anna)
    (runs / first / "run.lock").touch(0o644)
    done = anna.do(WRITES, str(runs), first, "3")
    assert "run.lock, which is root's, cannot be written by you" in done.stderr


def test_a_store_that_is_closed_to_others_is_told_with_its_owner(people: tuple[Path, Person, Person]) -> None:
    _, anna, lars = people
    runs, _ = run_of(anna)
    runs.chmod(0o755)
    done = lars.tui(runs, "ls")
    assert done.returncode == 1
    assert done.stderr.startswith(f"simclr-tui: {runs}/runs.db, which is {anna.name}'s, cannot be read by you; name")
    runs.chmod(0o700)
    done = lars.tui(runs, "ls")
    assert "Traceback" not in done.stderr
    assert str(runs) in done.stderr
    assert "Traceback" not in lars.tui(runs, "doctor", "--quick").stderr


READS_OLD = """
import sys
from pathlib import Path
from simclr_tui.feed import Feed
from simclr_tui.messages import Polled
said = []
feed = Feed(Path(sys.argv[1]), said.append)
feed._poll_safely()
print([row.run.name for row in said[0].rows] if isinstance(said[0], Polled) else said[0])
"""


def test_a_store_of_an_older_version_is_read_by_who_may_not_upgrade_it(people: tuple[Path, Person, Person]) -> None:
    _, lars, anna = people
    runs, first = run_of(anna)
    connection = sqlite3.connect(store_file(runs))
    for column in ("owner", "owner_uid", "runner", "runner_uid"):
        connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 4")
    connection.close()
    assert lars.python(READS_OLD, str(runs)) == "['first']"
    assert f"{first}  first" in lars.tui(runs, "ls").stdout
    connection = sqlite3.connect(store_file(runs))
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 4
    connection.close()


HOLDS = """
import sys
from trainer.device_lock import open_lock
lock = open_lock(sys.argv[1])
print(lock.try_alone(), lock.other(), flush=True)
sys.stdin.readline()
"""


def test_two_people_take_turns_on_a_device(people: tuple[Path, Person, Person]) -> None:
    box, anna, lars = people
    holder = anna.start(HOLDS, "cuda-7")
    assert holder.line() == "True None"
    assert lars.python(HOLDS, "cuda-7") == f"False {holder.pid}"
    assert user_of("cuda-7") == holder.pid
    # The one who made the folder can delete what others have locked: who comes later then locks another file.
    (box / "tmp" / "locks" / "cuda-7.lock").unlink()
    lock = open_lock("cuda-7")
    assert lock.try_alone()
    (box / "tmp" / "locks" / "cuda-7.lock").unlink()
    other = lars.start(HOLDS, "cuda-7")
    assert other.line() == "True None"
    assert not lock.try_alone(), "the file that has the name counts"
    lock.close()
    for process in (holder, other):
        process.wait()


ASKS_WHO = """
import sys
from pathlib import Path
from trainer.device_lock import user_of, who
from trainer.store import RunStore
with_store = RunStore.open(Path(sys.argv[1]))
print(who(with_store, user_of("cuda-9"))[0])
"""


@pytest.mark.parametrize("is_open", [True, False])
def test_whose_run_has_a_device_is_told_from_another_runs_folder(
    people: tuple[Path, Person, Person], is_open: bool
) -> None:
    _, anna, lars = people
    runs, first = run_of(anna)
    runs.chmod(0o700)
    if is_open:
        for path in (runs, *runs.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    with anna.program("-c", HOLDS, "cuda-9", "--runs-dir", str(runs), "--run", first) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True None\n"
        name = "first" if is_open else first
        told = lars.python(ASKS_WHO, str(lars.home / "runs"))
        assert told == f"{anna.name}'s run {name} in {runs} (process {holder.pid})"


def test_a_link_in_the_place_of_a_lock_is_not_followed(people: tuple[Path, Person, Person]) -> None:
    box, anna, lars = people
    lars.python("import sys; from trainer.device_lock import open_lock; open_lock('cpu')")
    (anna.home / "thesis").write_bytes(b"thesis")
    os.chown(anna.home / "thesis", anna.uid, anna.gid)
    (box / "tmp" / "locks" / "cuda-8.lock").symlink_to(anna.home / "thesis")
    done = anna.do(HOLDS, "cuda-8")
    assert "DeviceLockError" in done.stderr
    assert (anna.home / "thesis").read_bytes() == b"thesis"


@pytest.fixture
def shared(people: tuple[Path, Person, Person]) -> Iterator[Path]:
    """A runs folder of both, whose trainers are ended."""
    runs = shared_folder(people[0])
    yield runs
    kill_all_of(runs)


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_two_people_train_pause_and_resume_each_others_runs_and_root_looks(
    people: tuple[Path, Person, Person], shared: Path
) -> None:
    (box, anna, lars), runs = people, shared
    settings = options(epochs="2000", checkpoint_seconds="1", knn_every="0", validate_every="0", health_every="0")
    first = anna.tui(runs, "launch", "--name", "first", *settings).stdout.strip()
    _until_step(runs, first, 5)
    assert lars.tui(runs, "pause", "first").returncode == 2
    assert lock_holder(runs, first), "she trains on"
    second = lars.tui(runs, "launch", "--name", "second", "--queue", *settings).stdout.strip()
    until(lambda: f"used by {anna.name}'s run first" in lars.tui(runs, "queue").stdout)
    root(box).tui(runs, "doctor")
    assert f"{anna.name}" in lars.tui(runs, "system", "first").stdout
    assert lars.tui(runs, "pause", "first", "--owner", anna.name).stdout == "first is paused\n"
    _until_step(runs, second, 5)
    assert lars.tui(runs, "resume", "first", "--owner", anna.name).returncode == 0
    reader = StoreReader.open(runs)
    step = reader.last_step(first)
    _until_step(runs, first, step + 5)
    run = reader.run(first)
    assert (run.owner, run.runner) == (anna.name, lars.name)
    os.kill(run.pid or 0, 9)
    until(lambda: not lock_holder(runs, first))
    assert anna.tui(runs, "resume", "first").returncode == 0
    _until_step(runs, first, reader.last_step(first) + 5)
    assert anna.tui(runs, "stop", "first").stdout == "first is stopped\n"
    assert lars.tui(runs, "stop", "second").stdout == "second is stopped\n"
    reader.close()
    connection = sqlite3.connect(store_file(runs))
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
    group = runs.stat().st_gid
    assert {path.stat().st_gid for path in runs.rglob("*")} == {group}
    assert all(path.stat().st_mode & 0o020 for path in runs.rglob("*"))


def _until_step(runs: Path, run_id: str, step: int) -> None:
    reader = StoreReader.open(runs)
    deadline = time.monotonic() + 300
    while reader.last_step(run_id) < step:
        assert time.monotonic() < deadline, (reader.events(run_id=run_id), log_file(runs, run_id).read_text())
        time.sleep(0.1)
    reader.close()
