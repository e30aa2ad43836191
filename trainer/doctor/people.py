"""Whether several people can use a runs folder, or its device locks, without shutting each other out."""

import grp
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from trainer import device_lock
from trainer.doctor.check import Check, listed
from trainer.paths import checkpoint_dir, is_run_id, lock_file, log_file, store_file
from trainer.sharing import owner_of, user_name

_PROTECTED = Path("/proc/sys/fs/protected_regular")


def checks(runs: Path) -> Iterator[Check]:
    """What is to be said of a folder that is there, as far as it is more than one person's."""
    found = runs.stat()
    things = list(_things(runs))
    owners = sorted({owner_of(path) for path in things} - {""})
    if not found.st_mode & stat.S_IWGRP:
        yield _of_one(runs, owners)
        return
    yield from _shared(runs, found, things, owners)


def _of_one(runs: Path, owners: list[str]) -> Check:
    others = [name for name in owners if name != owner_of(runs)]
    if not others:
        return Check("people", "ok", f"the folder is {owner_of(runs)}'s alone to write")
    return Check(
        "people",
        "bad",
        f"only {owner_of(runs)} may write the folder, and files of {listed(others)} are in it",
        f"as root `chown -R {owner_of(runs)} {shlex.quote(str(runs))}`, or share it with a group (docs/shared-box.md)",
    )


def _shared(runs: Path, found: os.stat_result, things: list[Path], owners: list[str]) -> Iterator[Check]:
    """Of a folder that its group may write."""
    group = _group_name(found.st_gid)
    typed = shlex.quote(str(runs))
    share = f"`chgrp -R {group} {typed}; chmod -R g+rwX {typed}; find {typed} -type d -exec chmod g+s {{}} +`"
    stays_own = found.st_gid == os.getegid() and owners in ([], [user_name(os.geteuid())])
    if not found.st_mode & stat.S_ISGID and not stays_own:
        words = f"the group {group} may write the folder, and what is made in it is not of that group (no setgid bit)"
        yield Check("people", "warn", words, share)
    if found.st_mode & stat.S_ISVTX and _protects(found.st_mode):
        words = "the folder has the sticky bit, with which the kernel refuses SQLite another person's files"
        yield Check("people", "bad", f"{words} (fs.protected_regular)", f"`chmod -t {typed}`")
    wrong = [path for path in things if _shuts_out(path, found.st_gid)]
    if wrong:
        names = listed(str(path.relative_to(runs)) for path in wrong)
        yield Check("people", "bad", f"the group {group} may write the folder, and not: {names}", share)
    elif found.st_mode & stat.S_ISGID:
        whose = f"; files of {listed(owners)} are in it" if len(owners) > 1 else ""
        yield Check("people", "ok", f"the group {group} shares it{whose}")
    elif stays_own:
        yield Check("people", "ok", f"the folder is {owner_of(runs)}'s")


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _protects(mode: int) -> bool:
    """Whether the kernel refuses O_CREAT for files of others in a folder with the sticky bit (proc_sys_fs(5))."""
    try:
        level = int(_PROTECTED.read_text())
    except (OSError, ValueError):
        return False
    return level >= (1 if mode & stat.S_IWOTH else 2)


def _things(runs: Path) -> Iterator[Path]:
    """What several people must be able to write: the files of the store, and of each run what a trainer opens."""
    store = store_file(runs)
    candidates = [store.with_name(store.name + end) for end in ("", "-wal", "-shm")]
    candidates += [store.with_suffix(end) for end in (".lock", ".write.lock")]
    candidates.append(runs / "backups")
    for folder in sorted(runs.iterdir()):
        if is_run_id(folder.name) and not folder.is_symlink():
            name = folder.name
            candidates += [folder, lock_file(runs, name), log_file(runs, name), checkpoint_dir(runs, name)]
    return (path for path in candidates if os.path.lexists(path))


def _shuts_out(path: Path, gid: int) -> bool:
    """Whether people of a group can't write something: it is of another group, or the group may not."""
    found = path.lstat()
    is_of_all = bool(found.st_mode & stat.S_IWOTH)
    return not is_of_all and (found.st_gid != gid or not found.st_mode & stat.S_IWGRP)


def device_locks() -> Check:
    """Whether the folder of the device locks is one that nobody can take from the others."""
    folder = device_lock.folder()
    try:
        found = folder.lstat()
    except OSError:
        return Check("device locks", "ok", f"{folder} is not there yet; the first run makes it for all users")
    tidy = f"move it away as its owner or root, or name another one for everybody in ${device_lock.FOLDER_VARIABLE}"
    if not stat.S_ISDIR(found.st_mode):
        return Check("device locks", "bad", f"{folder} is no folder, so runs on one device don't wait", tidy)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        words = f"{folder} is {owner_of(folder)}'s and can't be used, so runs of others don't wait for theirs"
        return Check("device locks", "bad", words, tidy)
    whose = "" if found.st_uid in (0, os.geteuid()) else f", made by {owner_of(folder)}, who could delete them"
    return Check("device locks", "ok", f"in {folder}{whose}")
