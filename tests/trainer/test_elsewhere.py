"""What other systems than Linux are asked, with Linux's own answers as the reference; and the sentence on Windows."""

import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from trainer import durable, elsewhere, proc, process
from trainer.config import PretrainConfig
from trainer.errors import BusyError, ConfigError
from trainer.exclusive import refuse_writers
from trainer.memory import process_bytes

ENTRIES = ("import trainer", "import simclr_tui", "import trainer.run", "import simclr_tui.__main__")


@pytest.fixture
def lose_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Lets our own readers find no /proc; psutil, which stands for macOS's calls, still has its own."""

    def lose() -> None:
        monkeypatch.setattr(elsewhere, "PROC", tmp_path / "no proc")
        elsewhere.has_proc.cache_clear()

    yield lose
    elsewhere.has_proc.cache_clear()


@pytest.fixture
def without_proc(lose_proc: Callable[[], None]) -> None:
    """The same from the beginning of a test."""
    lose_proc()


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a child of its own."""
    words = [
        sys.executable,
        "-c",
        "import subprocess, time; subprocess.Popen(['sleep', '60']); print(1, flush=True); time.sleep(60)",
    ]
    started = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    try:
        yield started
    finally:
        for one in psutil.Process(started.pid).children():
            one.kill()
        started.kill()
        started.wait()
        started.stdout.close()


def test_processes_and_their_states_are_those_of_proc(without_proc: None, child: "subprocess.Popen[bytes]") -> None:
    assert not elsewhere.has_proc()
    found = proc.descendants(child.pid)
    assert set(found) == {one.pid for one in psutil.Process(child.pid).children()}
    assert len(found) == 1
    assert proc.state(child.pid) == "S"
    os.kill(child.pid, signal.SIGSTOP)
    while not proc.is_stopped(child.pid):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGCONT)
    assert not proc.catches(child.pid, signal.SIGTERM), "not known, so nothing is sent"
    assert proc.command_line(child.pid)[1:2] == ["-c"]
    assert proc.state(2**22 + 1) is None
    assert proc.command_line(2**22 + 1) == []
    assert proc.descendants(2**22 + 1) == {}


def test_a_process_is_told_by_its_start_from_one_that_has_its_number_later(
    child: "subprocess.Popen[bytes]", lose_proc: Callable[[], None]
) -> None:
    on_linux = process.start_ticks(child.pid), process.start_ticks(os.getpid())
    found = elsewhere.start_ticks(child.pid), elsewhere.start_ticks(os.getpid())
    assert None not in (*on_linux, *found)
    assert abs((on_linux[0] - on_linux[1]) - (found[0] - found[1])) <= 2  # type: ignore[operator]  # just asserted
    lose_proc()
    who = process.identity(child.pid)
    assert process.is_alive(who)
    child.kill()
    while proc.state(child.pid) != "Z":
        time.sleep(0.01)
    assert not process.is_alive(who), "a zombie is no live process"


def test_memory_is_that_of_proc_within_a_tenth(without_proc: None) -> None:
    found = process_bytes()
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm")]
    told = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
    for name in ("VmRSS", "VmSize"):
        assert found[name] == pytest.approx(told[name], rel=0.1), name
    assert found["VmHWM"] >= found["VmRSS"]


def test_the_machines_memory_is_that_of_proc_within_a_tenth(lose_proc: Callable[[], None]) -> None:
    free, total = elsewhere.memory_of_machine()
    lose_proc()
    by_psutil = elsewhere.memory_of_machine()
    assert by_psutil[1] == total
    assert abs(by_psutil[0] - free) < 0.1 * total


def test_cores_are_counted_where_no_process_is_kept_to_some(monkeypatch: pytest.MonkeyPatch) -> None:
    assert elsewhere.available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert elsewhere.available_cores() == os.cpu_count()


def test_a_store_that_somebody_has_open_is_not_replaced(without_proc: None, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"x")
    refuse_writers(path)
    words = [sys.executable, "-c", f"file = open({str(path)!r}, 'r+b'); print(1, flush=True); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(BusyError, match=f"process {writer.pid} has {path} open"):
            refuse_writers(path)
        writer.communicate(b"\n")
    refuse_writers(path)


def test_without_prctl_a_process_ends_soon_after_its_parent() -> None:
    grandchild = textwrap.dedent(
        """
        import ctypes, time
        from trainer import elsewhere, proc
        class Without:
            def __init__(self, name): pass
        ctypes.CDLL = Without
        proc.die_with_parent()
        print("ready", flush=True)
        time.sleep(60)
        """
    )
    parent = textwrap.dedent(
        f"""
        import subprocess, sys, time
        print(subprocess.Popen([sys.executable, "-c", {grandchild!r}]).pid, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        pid = int(started.stdout.readline())
        assert started.stdout.readline() == "ready\n"
        orphan = psutil.Process(pid)
        assert orphan.is_running()
        started.kill()
    orphan.wait(10)


def test_struct_flock_of_macos_has_the_layout_of_its_header() -> None:
    class Flock(ctypes.Structure):
        """sys/fcntl.h of macOS: off_t l_start, off_t l_len, pid_t l_pid, short l_type, short l_whence."""

        _fields_ = (
            *(("start", ctypes.c_int64), ("length", ctypes.c_int64), ("pid", ctypes.c_int32)),
            *(("type", ctypes.c_int16), ("whence", ctypes.c_int16)),
        )

    packed = process.MAC_FLOCK.pack(0, 0, 4711, 2, 1)
    read = Flock.from_buffer_copy(packed)
    assert (read.pid, read.type, read.whence) == (4711, 2, 1)
    assert len(packed) == ctypes.sizeof(Flock)


def test_bytes_are_synced_by_what_macos_has_for_it_and_by_fsync_where_a_file_system_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    refuses: list[int] = []

    def control(_descriptor: int, command: int) -> int:
        asked.append(f"fcntl {command}")
        if refuses:
            raise OSError(refuses[0], os.strerror(refuses[0]))
        return 0

    monkeypatch.setattr(durable, "_FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda _: asked.append("fsync"))
    durable.write_durably(tmp_path / "file", b"bytes")
    assert asked == ["fcntl 51", "fcntl 51"], "the file, and the folder that has its name"
    asked.clear()
    refuses.append(errno.ENOTSUP)
    durable.write_durably(tmp_path / "file", b"bytes")
    assert asked == ["fcntl 51", "fsync"] * 2
    refuses[0] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        durable.write_durably(tmp_path / "file", b"others")
    assert (tmp_path / "file").read_bytes() == b"bytes"


@pytest.mark.parametrize("statement", ENTRIES)
def test_on_windows_every_way_in_ends_in_one_sentence_and_1(statement: str) -> None:
    code = f"import sys; sys.platform = 'win32'; sys.modules['fcntl'] = sys.modules['pwd'] = None; {statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "simclr-tui: needs Linux or macOS; on Windows use it in WSL 2 (learn.microsoft.com/windows/wsl)\n"
    )


def test_apples_gpu_is_refused_with_what_to_choose() -> None:
    with pytest.raises(ConfigError, match=r"--device: Apple's GPUs \(mps\) are not supported.* choose cpu"):
        PretrainConfig(device="mps")
