"""What the store itself knows of its place: the file system under it, SQLite's version, and its backups."""

from pathlib import Path

from trainer.doctor.check import Check
from trainer.store.backup import backups, latest_backup
from trainer.store.filesystem import file_system_type
from trainer.store.filesystem import is_network as is_network_type
from trainer.store.guard import sqlite_health


def is_network(runs: Path) -> bool | None:
    """Whether several machines may have files of that folder open; None where it can't be told."""
    kind = file_system_type(runs)
    return is_network_type(kind) if kind else None


def file_system(runs: Path) -> Check:
    """Whether the runs folder lies on a local disk."""
    kind = file_system_type(runs)
    if not kind:
        return Check("file system", "unknown", "the kernel does not say on what the folder lies (/proc/self/mountinfo)")
    if is_network_type(kind):
        words = f"{kind}, a network file system: the store does without its write-ahead log, so all wait for each other"
        return Check("file system", "warn", words, "name a --runs-dir on a local disk")
    return Check("file system", "ok", f"{kind}, a local one")


def sqlite_version() -> Check:
    """The version of SQLite, and what is done where it has the WAL-reset bug."""
    found = sqlite_health()
    sentence, _, remedy = found.sentence.partition(": ")
    if not found.has_wal_reset_bug:
        return Check("SQLite", "ok", f"version {found.version}, without the WAL-reset bug")
    return Check("SQLite", "warn", sentence, remedy)


def newest_backup_at(runs: Path, *, is_quick: bool) -> float | None:
    """UTC seconds at which the newest backup was made, of those that are whole where there is time to look."""
    if is_quick:
        return max((one.at for one in backups(runs)), default=None)
    found = latest_backup(runs)
    return found.at if found is not None else None
