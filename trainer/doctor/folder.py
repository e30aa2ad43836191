"""The runs folder: whether it can be written, on what it lies, and whether locks and fsync do there what they say."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.doctor.check import Check, plural
from trainer.durable import sync
from trainer.manifest import manifest_paths, run_folders
from trainer.paths import run_dir
from trainer.process import lock_holder, wait_until_free
from trainer.room import FEWEST, WARN_BELOW, size
from trainer.sharing import owner_of, whose

_LITTLE_BYTES = 1 << 30
_FEW_INODES = 1000
_SLOW_FSYNC_SECONDS = 1.0
_RELEASE_SECONDS = 5.0
_ROOT = Path(__file__).parents[2]

_PROBE = "probe00000"
_HOLD = """
import sys
from pathlib import Path
from trainer.process import RunLock
lock = RunLock(Path(sys.argv[1]), sys.argv[2])
print(flush=True)
input()
"""


def is_there(runs: Path) -> Check:
    """Whether the folder is one that runs can be made in."""
    another = "name another --runs-dir, or set $SIMCLR_TUI_RUNS"
    above = next((parent for parent in (runs, *runs.parents) if os.path.lexists(parent)), runs)
    if not above.is_dir():
        return Check("runs folder", "bad", f"{above} is a file, or a link to nothing, and no folder", another)
    if above != runs:
        if not os.access(above, os.W_OK | os.X_OK):
            return Check("runs folder", "bad", f"{runs} is not there and {above} can't be written", another)
        return Check("runs folder", "ok", f"{runs} is not there yet; the first run makes it")
    owner, typed = owner_of(runs) if whose(runs) else "", shlex.quote(str(runs))
    if not os.access(runs, os.R_OK | os.X_OK):
        remedy = f"have {owner} let you read it (docs/shared-box.md)" if owner else f"`chmod u+rwx {typed}`"
        return Check("runs folder", "bad", f"{runs}{whose(runs)} can't be read", f"{remedy}, or {another}")
    if not os.access(runs, os.W_OK):
        if owner:
            words = f"{runs} is {owner}'s and can be read but not written by you"
            return Check("runs folder", "warn", words, "look as you like; to have runs of your own, " + another)
        return Check("runs folder", "bad", f"{runs} can't be written", f"`chmod u+w {typed}`, or {another}")
    return Check("runs folder", "ok", f"{runs} can be read and written")


def space(runs: Path) -> Iterator[Check]:
    """Free space against the size of a checkpoint, and free entries of the file system."""
    free, largest = shutil.disk_usage(runs).free, largest_checkpoint_bytes(runs)
    yield _space(free, largest)
    found = os.statvfs(runs)
    if found.f_files and found.f_favail < _FEW_INODES:
        words = f"the file system has room for only {plural(found.f_favail, 'more file')}"
        yield Check("inodes", "bad", words, "delete files that are not needed, or use another disk")


def _space(free: int, largest: int) -> Check:
    remedy = "free some space, keep fewer (--keep-checkpoints), or name a --runs-dir on a larger disk"
    if not largest:
        words = f"{size(free)} free, and no checkpoint yet to compare with"
        return Check("space", "warn" if free < _LITTLE_BYTES else "ok", words, remedy if free < _LITTLE_BYTES else "")
    fit = free // largest
    words = f"{size(free)} free, room for {plural(fit, 'checkpoint')} of {size(largest)}"
    if fit < FEWEST:
        return Check("space", "bad", f"{words}, and no run starts below {FEWEST}", remedy)
    if fit < WARN_BELOW:
        return Check("space", "warn", words, remedy)
    return Check("space", "ok", words)


def largest_checkpoint_bytes(runs: Path) -> int:
    """Size of the largest among the newest checkpoints of all runs, 0 without any. Reads only names and sizes."""
    sizes = [0]
    for folder in run_folders(runs)[0]:
        try:
            newest = next(iter(manifest_paths(folder)), None)
            if newest is not None:
                sizes += [file.lstat().st_size for file in newest.parent.glob(f"{newest.stem}-*.pt")]
        except OSError:  # told by the checks of the runs
            continue
    return max(sizes)


@contextmanager
def _probe_folder(runs: Path) -> Iterator[Path]:
    """A runs folder within the runs folder, with one run, for as long as a check takes."""
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=runs) as name:
        run_dir(Path(name), _PROBE).mkdir()
        yield Path(name)


def locks(runs: Path) -> Check:
    """Whether the lock of a run that another process holds is seen here, and is gone when that process is killed."""
    remedy = "name a --runs-dir on a local disk; without locks two trainers can take the same run"
    with _probe_folder(runs) as folder:
        command = [sys.executable, "-c", _HOLD, str(folder), _PROBE]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT
        )
        try:
            assert child.stdout is not None
            has_it = child.stdout.readline() == b"\n"
            seen = lock_holder(folder, _PROBE)
        finally:
            child.kill()
            child.communicate()
        if not has_it:
            return Check("locks", "bad", "a lock can't be taken here", remedy)
        if seen != child.pid:
            return Check("locks", "bad", "a lock that one process holds is not seen by another", remedy)
        if not wait_until_free(folder, _PROBE, seconds=_RELEASE_SECONDS):
            return Check("locks", "bad", "a lock stays held when its process has been killed", remedy)
    return Check("locks", "ok", "a lock excludes other processes and is free once its process is killed")


def syncing(runs: Path) -> Check:
    """Whether fsync of a file and of its folder works, and what it costs."""
    remedy = "name a --runs-dir on a local disk; here a power cut can take what was saved"
    with _probe_folder(runs) as folder:
        path = folder / "probe"
        started = time.perf_counter()
        try:
            path.write_bytes(b"\0" * 4096)
            for target in (path, folder):
                sync(target)
        except OSError as error:
            return Check("fsync", "bad", f"it fails here ({error.strerror})", remedy)
        seconds = time.perf_counter() - started
    words = f"4 KiB and their folder take {1000 * seconds:.3g} ms"
    if seconds > _SLOW_FSYNC_SECONDS:
        return Check("fsync", "warn", words, "every checkpoint waits for it; look what else writes to this disk")
    return Check("fsync", "ok", words)
