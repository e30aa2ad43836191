"""The lock of a device between real processes, and a folder that anybody may have prepared."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainer import device_lock
from trainer.device_lock import DeviceLockError, hold_alone, open_lock, user_of
from trainer.errors import BusyError, ExitCode
from trainer.process import identity
from trainer.store import RunStore

_HOLD = """
import sys, time
from trainer.device_lock import open_lock
lock = open_lock(sys.argv[1])
assert getattr(lock, sys.argv[2])()
print("held", flush=True)
for line in sys.stdin:
    print(getattr(lock, line.strip())(), flush=True)
"""


class Other:
    """Another process that has opened a device's lock, and does with it what it is told."""

    def __init__(self, device: str, how: str) -> None:
        """Args: the device's name, and the method that takes its lock."""
        words = [sys.executable, "-c", _HOLD, device, how]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "held"

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, method: str) -> str:
        """What a method of its lock gave."""
        assert self.process.stdin is not None
        self.process.stdin.write(method + "\n")
        self.process.stdin.flush()
        return self._answer()


@contextmanager
def user(device: str, how: str = "try_shared") -> Iterator[Other]:
    """Another process that uses a device, until the end of the block."""
    other = Other(device, how)
    try:
        yield other
    finally:
        other.process.kill()
        other.process.communicate()


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks of this test alone, which does not exist yet."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


def test_several_share_a_device_and_nobody_gets_it_alone() -> None:
    lock = open_lock("cpu")
    with user("cpu") as other:
        assert lock.try_shared()
        assert lock.other() == user_of("cpu") == other.process.pid
        assert not lock.try_alone()
        assert other.do("try_alone") == "False"
    assert lock.try_alone()
    lock.close()


def test_whoever_has_it_alone_keeps_out_everybody_else() -> None:
    with user("cpu", "try_alone") as other:
        lock = open_lock("cpu")
        assert not lock.try_shared()
        assert other.do("try_shared") == "True"
        assert lock.try_shared()
        assert not lock.try_alone()
        assert other.do("try_alone") == "False"
    lock.close()


def test_a_failed_wish_to_have_it_alone_leaves_it_shared() -> None:
    lock = open_lock("cpu")
    with user("cpu") as other:
        assert lock.try_shared()
        assert not lock.try_alone()
        assert other.do("try_alone") == "False"
    lock.close()


def test_a_killed_user_frees_the_device_at_once() -> None:
    with user("cpu", "try_alone") as other:
        lock = open_lock("cpu")
        other.process.kill()
        other.process.wait()
        assert lock.try_alone()
    lock.close()


def test_asking_who_uses_a_device_frees_nothing(own_locks: Path) -> None:
    """Closing another descriptor of the file would: the negative control does it."""
    lock = open_lock("cpu")
    assert open_lock("cpu") is lock
    assert lock.try_alone()
    assert user_of("cpu") is None
    with user("gpu") as other:
        code = "from trainer.device_lock import user_of; print(user_of('cpu'))"
        asked = [sys.executable, "-c", code]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == str(os.getpid())
        os.close(os.open(own_locks / "cpu.lock", os.O_RDONLY))
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "None"
        assert user_of("gpu") == other.process.pid
    lock.close()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_folder_and_files_are_for_everybody_whatever_the_umask(own_locks: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        lock = open_lock("GPU-1234")
    finally:
        os.umask(before)
    assert stat.S_IMODE(own_locks.stat().st_mode) == 0o1777
    assert stat.S_IMODE((own_locks / "GPU-1234.lock").stat().st_mode) == 0o666
    lock.close()


def test_a_name_with_a_slash_stays_in_the_folder(own_locks: Path) -> None:
    lock = open_lock("MIG-GPU-1/../../2/0")
    assert [path.name for path in own_locks.iterdir()] == ["MIG-GPU-1_.._.._2_0.lock"]
    lock.close()


def link_in_place_of_the_folder(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def link_in_place_of_the_file(folder: Path) -> None:
    folder.mkdir()
    (folder.parent / "victim").write_text("mine")
    (folder / "cpu.lock").symlink_to(folder.parent / "victim")


def pipe_in_place_of_the_file(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "cpu.lock")


def file_in_place_of_the_folder(folder: Path) -> None:
    folder.write_text("")


def folder_that_is_in_the_way(folder: Path) -> None:
    (folder / "cpu.lock").mkdir(parents=True)


@pytest.mark.parametrize(
    "trap",
    [
        link_in_place_of_the_folder,
        link_in_place_of_the_file,
        pipe_in_place_of_the_file,
        file_in_place_of_the_folder,
        folder_that_is_in_the_way,
    ],
)
def test_what_somebody_else_put_there_is_refused_in_a_sentence(own_locks: Path, trap: object) -> None:
    assert callable(trap)
    trap(own_locks)
    assert user_of("cpu") is None
    with pytest.raises(DeviceLockError, match=r"the device locks in .* can't be used .*; mend that folder"):
        open_lock("cpu")
    assert not (own_locks.parent / "elsewhere" / "cpu.lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user beside the one who runs the tests")
def test_another_user_shares_the_same_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The imports come first, since the interpreter may lie where only its owner can read."""
    code = (
        "from trainer.device_lock import open_lock\n"
        "import os\n"
        "os.setgroups([])\n"
        "os.setgid(65534)\n"
        "os.setuid(65534)\n"
        "lock = open_lock('cpu')\n"
        "print(lock.try_shared(), lock.other(), open_lock('other').try_alone())"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as parent:
        Path(parent).chmod(0o755)
        monkeypatch.setenv("SIMCLR_TUI_LOCKS", f"{parent}/locks")
        lock = open_lock("cpu")
        assert lock.try_alone()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["False", str(os.getpid()), "True"], done.stderr
        assert open_lock("other").try_alone()
        lock.close()


def test_a_benchmark_is_refused_where_a_run_trains_and_offers_to_pause_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_lock, "_CONVERSION_SECONDS", 0.2)
    run_id = store.create_run(kind="pretrain", name="busy-bee", config="{}")
    with user("cpu") as other:
        store.lifecycle(run_id, "started", "started", **identity(other.process.pid).columns())
        with pytest.raises(BusyError) as caught:
            hold_alone(store, "cpu")
        assert str(caught.value) == (
            f"the device cpu is used by busy-bee ({run_id}); pause it with `simclr-tui pause {run_id}`, or wait until "
            "it ends"
        )
        assert caught.value.exit_code == ExitCode.TRY_AGAIN
    lock = hold_alone(store, "cpu")
    code = "from trainer.device_lock import open_lock; print(open_lock('cpu').try_shared())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    lock.close()


def test_a_process_that_belongs_to_no_run_is_named_by_its_number(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_lock, "_CONVERSION_SECONDS", 0.2)
    with user("cpu") as other, pytest.raises(BusyError, match=rf"used by process {other.process.pid} of \w+; wait"):
        hold_alone(store, "cpu")


def test_a_trainer_waits_out_the_instant_in_which_a_queued_one_has_it_alone() -> None:
    lock = open_lock("cpu")
    with user("cpu", "try_alone") as other:
        converts = threading.Timer(0.3, lambda: other.do("try_shared"))
        converts.start()
        assert lock.share()
        converts.join()
    lock.close()
