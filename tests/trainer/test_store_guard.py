"""Which SQLite and which file system a store is on, and that one connection at a time writes or checkpoints."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run, step_row
from trainer.errors import StoreError, StoreLostError
from trainer.paths import store_file
from trainer.queue import enqueue
from trainer.store import RunStore, StoreReader, connect, filesystem, guard
from trainer.store.filesystem import file_system_type, is_network, journal_mode_on, network_warning
from trainer.store.guard import WriteGuard, has_wal_reset_bug, sqlite_health, wal_file

MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 22 0:23 / /proc rw,nosuid shared:5 - proc proc rw
31 22 0:27 / /home rw,relatime shared:9 master:3 - nfs4 server:/home rw,vers=4.2
32 31 0:28 / /home/ada/local rw - xfs /dev/sdb1 rw
33 22 0:29 / /mnt/with\\040blank rw - fuse.sshfs ada@far:/ rw,user_id=0
34 22 0:30 / /mnt/covered rw - cifs //nas/share rw
35 22 0:31 / /mnt/covered rw - tmpfs tmpfs rw
a line that is none
"""


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 6), True),
        ((3, 50, 7), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 51, 4), False),
        ((3, 52, 0), True),
        ((3, 53, 0), False),
        ((3, 60, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(version: tuple[int, ...], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected
    health = sqlite_health(version)
    assert health.has_wal_reset_bug is affected
    assert health.sentence.startswith(f"SQLite {'.'.join(map(str, version))} ")
    assert ("one connection at a time" in health.sentence) is affected


def test_the_health_is_by_default_that_of_this_process() -> None:
    assert sqlite_health().version == sqlite3.sqlite_version


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/runs/runs.db", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada/runs/runs.db", "nfs4"),
        ("/home/ada/local/runs", "xfs"),
        ("/home/ada/local-but-not-quite", "nfs4"),
        ("/homely", "ext4"),
        ("/mnt/with blank/runs", "fuse.sshfs"),
        ("/mnt/covered/runs", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_deepest_mount_above(path: str, kind: str) -> None:
    assert file_system_type(Path(path), MOUNTINFO) == kind


def test_a_link_is_followed_to_its_file_system(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    mounts = MOUNTINFO + f"40 22 0:40 / {tmp_path}/far rw - nfs s:/ rw\n"
    assert file_system_type(tmp_path / "link" / "runs.db", mounts) == "nfs"


def test_this_machine_has_a_file_system_and_no_text_has_none(tmp_path: Path) -> None:
    assert file_system_type(tmp_path) != ""
    assert file_system_type(tmp_path, "") == ""
    assert journal_mode_on("") == "WAL"


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre", "ceph", "fuse.glusterfs"]
)
def test_network_file_systems_do_without_a_write_ahead_log(kind: str) -> None:
    assert is_network(kind)
    assert journal_mode_on(kind) == "DELETE"
    warning = network_warning(Path("/x/runs.db"), kind)
    assert warning is not None
    assert f"({kind})" in warning
    assert "--runs-dir" in warning


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "fuseblk", "fuse.ntfs-3g"])
def test_local_file_systems_have_one(kind: str) -> None:
    assert not is_network(kind)
    assert journal_mode_on(kind) == "WAL"
    assert network_warning(Path("/x/runs.db"), kind) is None


@pytest.fixture
def on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path is said to lie on NFS; locks and files are those of this machine."""
    for module in (connect, "trainer.store.reader"):
        target = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{target}.file_system_type", lambda *_: "nfs4")


def mode(runs: Path) -> str:
    """The journal mode that the file itself says."""
    connection = sqlite3.connect(store_file(runs))
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def in_file(runs: Path) -> int:
    """1 for a rollback journal and 2 for WAL, from the file's header (sqlite.org/fileformat.html §1.3)."""
    return store_file(runs).read_bytes()[18]


@pytest.mark.usefixtures("on_nfs")
def test_a_store_on_nfs_has_a_rollback_journal_full_syncs_and_a_warning(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(1)])
    assert in_file(runs) == 1
    assert not wal_file(store_file(runs)).exists()
    assert not store_file(runs).with_suffix(".write.lock").exists()
    assert store.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    store.lifecycle(run_id, "started", "")  # a durable commit leaves it so
    assert store.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    reader = StoreReader.open(runs)
    assert reader.run(run_id).step == 1
    for opened in (store, reader):
        assert "network file system (nfs4)" in (opened.warning() or "")
    reader.close()
    store.close()


@pytest.mark.usefixtures("on_nfs")
def test_a_reader_on_nfs_waits_for_a_commit_and_reads_on(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = make_run(store)
    reader = StoreReader.open(runs)
    locker = sqlite3.connect(store_file(runs), isolation_level=None, check_same_thread=False)
    locker.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, lambda: locker.execute("COMMIT"))
    timer.start()
    assert reader.run(run_id).id == run_id
    timer.join()
    locker.close()
    reader.close()
    store.close()


CHECKPOINT = {"step": 1, "epoch": 1, "path": "x", "bytes": 1, "sha256": "0" * 64, "reason": "interval"}
COMMITS: dict[str, tuple[bool, Callable[[RunStore, str], object]]] = {
    "a new run": (True, lambda store, _: make_run(store, "b")),
    "a change of state": (True, lambda store, run_id: store.lifecycle(run_id, "started", "")),
    "a checkpoint": (True, lambda store, run_id: store.put_checkpoint({"run_id": run_id, **CHECKPOINT})),
    "a pin": (True, lambda store, run_id: store.pin_checkpoint(run_id, 1)),
    "a wish": (True, lambda store, run_id: store.request(run_id, "pause")),
    "accepted settings": (True, lambda store, run_id: store.update_and_tell(run_id, "settings", "", config="{}")),
    "a place in line": (True, lambda store, run_id: enqueue(store, run_id, "cpu")),
    "steps": (False, lambda store, run_id: store.append(run_id, [step_row(1)])),
    "a heartbeat": (False, lambda store, run_id: store.beat(run_id, {})),
}


@pytest.mark.parametrize("what", COMMITS)
def test_a_local_store_syncs_durable_commits_only(store: RunStore, what: str) -> None:
    """What a person did or a later start relies on outlives a power cut; steps are taken again from a checkpoint."""
    is_durable, commit = COMMITS[what]
    run_id = make_run(store)
    said: list[str] = []
    store.connection.set_trace_callback(said.append)
    commit(store, run_id)
    store.connection.set_trace_callback(None)
    begun = said.index("BEGIN IMMEDIATE")
    assert ("PRAGMA synchronous=FULL" in said[:begun]) == is_durable
    assert said.count("COMMIT") == 1
    assert "PRAGMA synchronous=1" not in said[: said.index("COMMIT")]
    assert store.connection.execute("PRAGMA synchronous").fetchone()[0] == 1
    assert store.warning() is None


def test_a_wal_store_that_is_alone_on_nfs_is_converted_with_every_row(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(1)])
    store.close()
    assert in_file(runs) == 2
    monkeypatch.setattr(connect, "file_system_type", lambda _: "nfs")
    moved = RunStore.open(runs)
    assert in_file(runs) == 1
    assert moved.last_step(run_id) == 1
    moved.close()
    monkeypatch.undo()
    back = RunStore.open(runs)
    assert in_file(runs) == 2
    assert back.last_step(run_id) == 1
    back.close()


def test_a_wal_store_on_nfs_that_somebody_has_open_is_refused_in_one_sentence(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make_run(store)
    monkeypatch.setattr(connect, "file_system_type", lambda _: "nfs")
    with pytest.raises(StoreError, match=r"is in WAL mode on a network file system.*another process has it open; end"):
        RunStore.open(runs)
    store.append(run_id, [step_row(1)])
    assert store.last_step(run_id) == 1


def test_a_rollback_store_on_a_local_disk_that_somebody_reads_is_opened_as_it_is(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "file_system_type", lambda _: "nfs")
    store = RunStore.open(runs)
    run_id = make_run(store)
    monkeypatch.undo()
    store.connection.execute("BEGIN")
    store.connection.execute("SELECT * FROM runs").fetchall()
    other = RunStore.open(runs)
    assert in_file(runs) == 1
    store.connection.execute("COMMIT")
    other.append(run_id, [step_row(1)])
    assert other.last_step(run_id) == 1
    other.close()
    store.close()


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("opening", [RunStore.open, StoreReader.open])
def test_the_database_of_another_program_is_refused_and_left_alone(runs: Path, opening: object, version: int) -> None:
    runs.mkdir()
    connection = sqlite3.connect(store_file(runs))
    connection.execute("CREATE TABLE songs (title)")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    before = store_file(runs).read_bytes()
    with pytest.raises(StoreError, match=r"runs\.db is a database of another program; move it away"):
        opening(runs)  # type: ignore[operator]
    assert store_file(runs).read_bytes() == before


def test_no_connection_checkpoints_by_itself(store: RunStore) -> None:
    assert store.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 0


def grow(store: RunStore, run_id: str, size: int, *, first: int = 1) -> int:
    """Append steps until the log has so many bytes or has been emptied; the next step."""
    step, before = first, 0
    while (now := wal_file(store_file(store.runs_path)).stat().st_size) < size and now >= before:
        before = now
        store.append(run_id, [step_row(step + k) for k in range(200)])
        step += 200
    return step


def test_a_long_log_is_copied_back_and_emptied(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOOK_COMMITS", 1)
    run_id = make_run(store)
    step = grow(store, run_id, guard.CHECKPOINT_BYTES * 2)
    log = wal_file(store_file(store.runs_path))
    assert log.stat().st_size < guard.CHECKPOINT_BYTES
    assert store.connection.execute("SELECT count(*) FROM steps").fetchone()[0] == step - 1
    assert store.connection.execute("PRAGMA busy_timeout").fetchone()[0] == connect.BUSY_TIMEOUT_SECONDS * 1000


def test_the_log_is_looked_at_rarely(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []

    def look(path: Path) -> Path:
        looks.append(path)
        return path.with_name(path.name + "-wal")

    monkeypatch.setattr(guard, "wal_file", look)
    monkeypatch.setattr(guard, "LOOK_SECONDS", 3600.0)
    run_id = make_run(store)
    for step in range(1, guard.LOOK_COMMITS + 50):
        store.append(run_id, [step_row(step)])
    assert len(looks) == 1


def test_a_reader_that_holds_a_state_keeps_the_log_and_once_it_lets_go_it_is_emptied(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LOOK_COMMITS", 1)
    run_id = make_run(store)
    reader = StoreReader.open(runs)
    reader.connection.execute("BEGIN")
    assert reader.last_step(run_id) == 0
    step = grow(store, run_id, 4 * guard.CHECKPOINT_BYTES)
    log = wal_file(store_file(runs))
    assert log.stat().st_size >= 4 * guard.CHECKPOINT_BYTES, "it still needs the log"
    assert reader.last_step(run_id) == 0, "and sees what it saw"
    reader.connection.execute("COMMIT")
    store.append(run_id, [step_row(step)])
    assert log.stat().st_size < guard.CHECKPOINT_BYTES
    assert reader.last_step(run_id) == step
    reader.close()


def test_a_log_that_cannot_be_copied_back_fails_no_write(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk; the rows are committed all the same."""
    run_id = make_run(store)
    monkeypatch.setattr(guard, "LOOK_COMMITS", 1)
    monkeypatch.setattr(guard, "CHECKPOINT_BYTES", 0)
    store.connection.set_authorizer(
        lambda action, name, value, *_: sqlite3.SQLITE_DENY if name == "wal_checkpoint" else sqlite3.SQLITE_OK
    )
    store.append(run_id, [step_row(1)])
    assert store.last_step(run_id) == 1
    assert store.connection.execute("PRAGMA busy_timeout").fetchone()[0] > 0


def commits_during(store: RunStore, run_id: str, held: bool) -> bool:
    """Whether a commit of another connection gets through while one is about to checkpoint."""
    other = RunStore.open(store.runs_path)
    other._guard = WriteGuard(store_file(store.runs_path), timeout_seconds=0.3)
    try:
        assert store._guard is not None
        if not held:
            other.append(run_id, [step_row(1)])
            return True
        with store._guard.held(), suppress(StoreError):
            other.append(run_id, [step_row(1)])
            return True
        return False
    finally:
        other.close()


def test_nobody_commits_while_a_connection_checkpoints(store: RunStore) -> None:
    """The negative control: without the lock the same commit gets through, which is what the bug needs."""
    run_id = make_run(store)
    assert commits_during(store, run_id, held=False)
    assert not commits_during(store, run_id, held=True)


_HOLDER = """
import sys, time
from pathlib import Path
from trainer.store.guard import WriteGuard
with WriteGuard(Path(sys.argv[1]), timeout_seconds=30).held():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(store: RunStore) -> "subprocess.Popen[str]":
    """Another process that holds the guard of the store."""
    path = store_file(store.runs_path)
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_writer_that_was_killed_frees_the_guard(store: RunStore, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.communicate()
    make_run(store)


def test_a_writer_that_is_stopped_is_told_of_in_one_sentence(store: RunStore, holder: "subprocess.Popen[str]") -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    store._guard = WriteGuard(store_file(store.runs_path), timeout_seconds=0.2)
    with pytest.raises(StoreError, match=r"could not be written: another process has held runs\.write\.lock"):
        make_run(store)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    make_run(store)


def test_who_waited_in_vain_for_a_stopped_writer_waits_no_longer_so_long(
    store: RunStore, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each commit of a trainer beside it would cost it half a minute of training."""
    monkeypatch.setattr(guard, "IN_VAIN_SECONDS", 0.05)
    assert store._guard is not None
    store._guard.timeout_seconds = 3.0
    times = []
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(StoreError, match=r"another process has held runs\.write\.lock for 3 s"):
            make_run(store)
        times.append(time.monotonic() - started)
    assert times[0] >= 3.0
    assert times[1] < 1.5
    holder.kill()
    holder.communicate()
    make_run(store)
    with WriteGuard(store._guard.path, timeout_seconds=1).held():
        started = time.monotonic()
        with pytest.raises(StoreError):
            make_run(store)
        assert time.monotonic() - started >= 3.0, "it has its patience again"


_ANOTHER_PERSON = """
import os, sys
from pathlib import Path
from trainer.store.guard import WriteGuard
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
with WriteGuard(Path(sys.argv[1]), timeout_seconds=30).held():
    print("held")
"""


def test_a_lock_file_that_somebody_else_made_is_locked_all_the_same() -> None:
    """As of a command that root gave in a folder that everybody may write."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "runs.db"
        path.with_suffix(".write.lock").touch()
        path.with_suffix(".write.lock").chmod(0o444)
        Path(folder).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", _ANOTHER_PERSON, path], capture_output=True, text=True, check=False
        )
        assert done.stdout == "held\n", done.stderr


def test_a_guard_whose_folder_is_gone_is_a_sentence(tmp_path: Path) -> None:
    missing = WriteGuard(tmp_path / "gone" / "runs.db", timeout_seconds=1)
    with pytest.raises(StoreError, match=r"runs\.write\.lock cannot be opened"), missing.held():
        raise AssertionError("it is not held")


def test_the_modules_of_this_test_are_free_of_slow_imports() -> None:
    code = "import sys, trainer.store.guard, trainer.store.filesystem, trainer.store.damage, trainer.store.backup\n"
    code += "print([name for name in ('torch', 'numpy', 'sqlite_utils', 'textual') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert filesystem.NETWORK_FILE_SYSTEMS


@pytest.mark.parametrize("how", ["removed", "replaced", "emptied", "log removed"])
def test_a_store_whose_files_went_away_takes_no_more_rows(runs: Path, how: str) -> None:
    """SQLite itself goes on, into files that nobody can open any more."""
    store = RunStore.open(runs)
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    path = store_file(runs)
    if how == "replaced":
        other = path.with_name("other.db")
        shutil.copyfile(path, other)
        other.replace(path)
    elif how == "emptied":
        os.truncate(path, 0)
    else:
        (wal_file(path) if how == "log removed" else path).unlink()
    with pytest.raises(StoreLostError, match=r"was removed, replaced or emptied while it was open"):
        store.event(run_id, "note", "nobody will read this")
    store.close()
