"""The run table made anew from what lies beside the checkpoints, when the store is lost, damaged or lacks runs.

A store that is whole is only added to. One that is damaged is set aside under another name, never deleted; what SQLite
still reads of it is carried over into a new one, which takes its place in one rename.
"""

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.adding import AddingStore
from trainer.config import PretrainConfig
from trainer.doctor import database
from trainer.errors import StoreError, StoreVersionError, UsageError
from trainer.exclusive import refuse_live, refuse_writers
from trainer.manifest import (
    BadManifestError,
    Manifest,
    fault_of,
    is_number,
    manifest_paths,
    read_manifest,
    run_folders,
)
from trainer.paths import store_file
from trainer.process import making_runs
from trainer.retention import Retention, surplus
from trainer.salvage import carry_over
from trainer.sharing import user_name
from trainer.store.backup import Backup, latest_backup, restore_backup
from trainer.summary import SUMMARY

_ENDED = {"final": "finished", "stopped": "stopped", "paused": "paused"}
"""The lifecycle of a run by the reason of its newest checkpoint; by any other it was interrupted."""


@dataclass(slots=True)
class Rebuilt:
    """What came of it."""

    runs: list[str] = field(default_factory=list)
    """Ids of runs that were added from checkpoints."""
    checkpoints: int = 0
    """Checkpoints that were announced anew."""
    carried: dict[str, int] = field(default_factory=dict)
    """Rows by table that were carried over from a damaged store."""
    set_aside: Path | None = None
    """Where the damaged store lies now."""
    passed_over: list[str] = field(default_factory=list)
    """A sentence for each thing that could not be used."""


def rebuild(runs: Path) -> Rebuilt:
    """Add the runs and checkpoints that the store lacks, in a new store where the old one is damaged.

    Raises:
        UsageError: there is no such folder.
        BusyError: a trainer of the folder lives, or a program has the damaged store open.
        StoreError: the store is another program's, can't be read, or there is nothing to make one of.
        StoreVersionError: it was made by a newer version.
    """
    with _telling(runs):
        return _rebuild(runs)


def _rebuild(runs: Path) -> Rebuilt:
    path = store_file(runs)
    refuse_live(runs)
    kind = database.kind_of(path)
    _refuse(path, kind)
    if kind in ("damaged", "not-a-database") or (kind == "store" and not _is_whole(path)):
        return _replace(runs)
    result = Rebuilt()
    found = _read_folders(runs, result)
    if not found and kind != "store":
        raise StoreError(f"{runs} has no checkpoint that a store could be made from; launch a run, or name another one")
    with closing(AddingStore.open(runs)) as store, making_runs(runs):
        add_from_disk(store, found, result, knows_pins=kind == "store")
    return result


@contextmanager
def _telling(runs: Path) -> Iterator[None]:
    """What a disk or SQLite says against it, as a sentence."""
    if not runs.is_dir():
        raise UsageError(f"--runs-dir: {runs} is no folder; name one with runs in it")
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or runs} cannot be read or written ({error.strerror}); check its permissions and its disk"
        ) from error
    except sqlite3.Error as error:
        raise StoreError(f"a store could not be made in {runs} ({error}); free some space or check the disk") from error


def _refuse(path: Path, kind: str) -> None:
    if kind == "newer":
        raise StoreVersionError(f"{path} was made by a newer version of simclr-tui; upgrade simclr-tui")
    if kind in ("foreign", "not-a-file"):
        what = "is a database of another program" if kind == "foreign" else "is no file"
        raise StoreError(f"{path} {what}; move it away, or name another --runs-dir")
    if kind == "unreadable":
        raise StoreError(f"{path} cannot be read now; check its permissions and its disk, and try again")


def _is_whole(path: Path) -> bool:
    try:
        with closing(database.connect(path)) as connection:
            return database.integrity(connection, path, quick=False).level == "ok"
    except sqlite3.Error:
        return False


def _read_folders(runs: Path, result: Rebuilt) -> dict[str, list[Manifest]]:
    """Manifests that can be believed by run, the newest first; what can't be goes to `passed_over`."""
    folders, links = run_folders(runs)
    result.passed_over += links
    found: dict[str, list[Manifest]] = {}
    for folder in folders:
        try:
            paths = manifest_paths(folder)
        except OSError as error:
            result.passed_over.append(f"{folder.name}: {error.strerror or error}")
            continue
        for path in paths:
            try:
                manifest = read_manifest(path)
                found.setdefault(folder.name, []).append(manifest)
            except BadManifestError as error:
                result.passed_over.append(f"{folder.name}/checkpoints/{path.name}: {error}")
            except FileNotFoundError:
                continue
    return found


def add_from_disk(
    store: AddingStore, found: Mapping[str, list[Manifest]], result: Rebuilt, *, knows_pins: bool
) -> None:
    """Add runs and checkpoints that a store does not know yet. Commits.

    Args:
        store: the store.
        found: manifests by run, the newest first.
        result: what came of it, to which is added.
        knows_pins: whether the store was whole, so that it knows what a person pinned of the runs that it knows.
    """
    known = {run.id: {row.step for row in store.checkpoints(run.id)} for run in store.runs()}
    for run_id, manifests in found.items():
        announced = known.get(run_id, set())
        rows = []
        for manifest in manifests:
            if manifest.step in announced:
                continue
            fault = _fault(manifest)
            if fault is None:
                rows.append(_checkpoint_row(manifest))
            else:
                result.passed_over.append(f"{run_id}/checkpoints/{manifest.file}: {fault}")
        if run_id not in known:
            store.add("runs", [_run_row(manifests[0])])
            result.runs.append(run_id)
        if store.add("checkpoints", rows) or run_id not in known:
            is_lost = run_id not in known or not knows_pins
            pinned = _pin(store, run_id, manifests[0].config, {row["step"] for row in rows}) if is_lost else 0
            store.event(run_id, "rebuilt", _words(manifests[0], len(rows), pinned, is_new=run_id not in known))
        result.checkpoints += len(rows)


def _pin(store: AddingStore, run_id: str, config: PretrainConfig, added: set[int]) -> int:
    """Pin what the settings alone would not have kept, since only the lost store knew what a person pinned. Commits.

    A trainer deletes what need not be kept after each checkpoint, so that little else than pins can have kept it.
    """
    asked = Retention(
        newest=config.keep_checkpoints,
        milestones=config.keep_every_epochs > 0,
        pinned=store.pinned_checkpoints(run_id),
    )
    steps = added.intersection(surplus(store.checkpoints(run_id), asked))
    for step in steps:
        store.pin_checkpoint(run_id, step)
    return len(steps)


def _fault(manifest: Manifest) -> str | None:
    try:
        return fault_of(manifest)
    except FileNotFoundError:
        return "it is not there"


def _words(newest: Manifest, checkpoints: int, pinned: int, *, is_new: bool) -> str:
    noun = "1 checkpoint" if checkpoints == 1 else f"{checkpoints} checkpoints"
    if pinned:
        noun += f" ({pinned} of them pinned, since the settings alone would not have kept so many)"
    if not is_new:
        return f"{noun} that the store did not know announced anew"
    loss = newest.summary.get("loss")
    last = f"; the last loss was {loss:.4g}" if is_number(loss) else ""
    return f"rebuilt from {noun}; steps up to {newest.step} are in its weights and no longer in the store{last}"


def _run_row(newest: Manifest) -> dict[str, Any]:
    saved_at = newest.path.with_name(f"step-{newest.step}.json").stat().st_mtime
    lifecycle = _ENDED.get(newest.reason, "interrupted")
    summary = {name: newest.summary.get(name) for name, fits in SUMMARY.items() if fits(newest.summary.get(name))}
    owner_uid = newest.folder.parent.stat().st_uid
    return summary | {
        "id": newest.run_id,
        "name": newest.name,
        "kind": newest.config.kind,
        "preset": newest.preset,
        "created_at": newest.created_at,
        "config": newest.config.to_json(),
        "batch_size": newest.config.batch_size,
        "step": newest.step,
        "epoch": newest.epoch,
        "progress_at": saved_at,
        "lifecycle": lifecycle,
        "lifecycle_at": saved_at,
        "exit_code": 0 if lifecycle == "finished" else None,
        "owner": user_name(owner_uid),
        "owner_uid": owner_uid,
    }


def _checkpoint_row(manifest: Manifest) -> dict[str, Any]:
    return {
        "run_id": manifest.run_id,
        "step": manifest.step,
        "epoch": manifest.epoch,
        "path": f"{manifest.run_id}/checkpoints/{manifest.file}",
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "reason": manifest.reason,
        "knn_top1": manifest.knn_top1,
        "at": manifest.path.stat().st_mtime,
        "verified_at": time.time(),
    }


def _replace(runs: Path) -> Rebuilt:
    """Make a new store beside the damaged one and put it in its place."""
    path, result = store_file(runs), Rebuilt()
    refuse_writers(path)
    with tempfile.TemporaryDirectory(prefix=".rebuild-", dir=runs) as name:
        fresh = store_file(Path(name))
        with closing(AddingStore.open(Path(name))) as store:
            result.carried = carry_over(path, store)
            add_from_disk(store, _read_folders(runs, result), result, knows_pins=False)
            store.connection.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
        made = Backup(path=fresh, at=time.time(), bytes=fresh.stat().st_size)
        result.set_aside = restore_backup(runs, made)
    return result


def restore(runs: Path) -> tuple[Backup, Rebuilt]:
    """Put the newest whole backup in the place of a damaged or missing store, then add what is newer than it.

    What is newer comes from the manifests, and from the damaged store as far as SQLite still reads it.

    Raises:
        UsageError: there is no such folder, or its store is whole.
        BusyError: a trainer of the folder lives, or a program may write to the damaged store.
        StoreError: the store is another program's, there is no whole backup, or no room for it.
        StoreVersionError: the store was made by a newer version.
    """
    with _telling(runs):
        return _restore(runs)


def _restore(runs: Path) -> tuple[Backup, Rebuilt]:
    path, result = store_file(runs), Rebuilt()
    refuse_live(runs)
    kind = database.kind_of(path)
    _refuse(path, kind)
    if kind == "store" and _is_whole(path):
        raise UsageError(f"{path} is whole, so no backup is put in its place; move it away if you want an older one")
    refuse_writers(path)
    backup = latest_backup(runs)
    result.set_aside = restore_backup(runs, backup)
    assert backup is not None  # restore_backup refuses where there is none
    with closing(AddingStore.open(runs)) as store:
        if result.set_aside is not None:
            result.carried = carry_over(result.set_aside, store)
        add_from_disk(store, _read_folders(runs, result), result, knows_pins=False)
    return backup, result
