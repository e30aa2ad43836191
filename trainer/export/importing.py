"""A run added to a store from an archive: all of it or nothing, and over nothing that is there.

Everything is unpacked, hashed and judged in a folder of its own before the store sees any of it. Then the rows go in,
some at a time since trainers write meanwhile, the folder gets its place, and the row of the run comes last, with its
labels and events, so that nobody sees half a run. Whatever ends the process in between, the next time clears it away.
"""

import itertools
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.adding import AddingStore
from trainer.durable import sync
from trainer.errors import StoreError, UsageError
from trainer.exclusive import only_one
from trainer.export.archive_form import BadArchiveError, Contents, rows_name
from trainer.export.sound_rows import Row, rows_of, run_row
from trainer.export.unpacking import contents_of, opened, unpack
from trainer.manifest import BadManifestError, manifest_paths, read_manifest
from trainer.paths import BEGUN, import_dir, is_run_id, run_dir
from trainer.process import made_by_me, making_runs
from trainer.sharing import make_folder
from trainer.start import checked_name
from trainer.store.pages import KEYS, kinds_of
from trainer.store.records import StepRow
from trainer.store.series import refresh_metric

MOVED = "moved"
"""Beside it once its files are about to get their place: what lies there without a row is then of this import."""

_LAST = ("events", "annotations")
"""Tables whose rows come with that of the run: what shows them looks the run up."""

_ROWS_AT_ONCE = 4096
"""Rows of one transaction: some milliseconds, for which no trainer waits long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What came of an import."""

    run_id: str
    name: str
    steps: int
    checkpoints: int
    left_out: tuple[str, ...]
    """Sentences on what the archive lacks."""


def import_archive(store: AddingStore, archive: Path, *, name: str = "") -> Imported:
    """Add the run of an archive to a store. Commits often, in the end durably.

    Args:
        store: the store.
        archive: the file.
        name: what to call the run, by default as it is called there.

    Raises:
        UsageError: the file is not there, or the store has a run of that id.
        TrainerError: it is no archive, or a damaged one.
        StoreVersionError: a newer version made it.
        BusyError: another import is under way.
        StoreError: the store or the folder can't be written.
    """
    name = checked_name(name)
    with only_import(store.runs_path), opened(archive) as tar:
        contents = contents_of(tar, archive)
        row = run_row(contents, kinds_of_runs(store))
        run_id = row["id"]
        begun = import_dir(store.runs_path, run_id)
        refuse_known(store, run_id)
        clear_left(store)
        if run_dir(store.runs_path, run_id).exists():
            raise UsageError(
                f"{run_dir(store.runs_path, run_id)} is there and the store does not know it; `simclr-tui doctor "
                "--rebuild` adds it, or move it away"
            )
        try:
            make_folder(begun)
            make_folder(begun / run_id)
            unpack(tar, contents, begun, run_id)
            return _bring_in(store, contents, begun, row | ({"name": name} if name else {}), archive)
        except OSError as error:
            raise StoreError(
                f"{begun} can't be written ({error.strerror}); free some space and import it again"
            ) from error
        finally:
            clear(store, run_id)


def kinds_of_runs(store: AddingStore) -> dict[str, type]:
    """The columns of `runs` with their types, as `kinds_of` has those of other tables."""
    names = {"INTEGER": int, "TEXT": str}
    rows = store._rows("PRAGMA table_info(runs)")
    return {row["name"]: names.get(row["type"].upper(), float) for row in rows if row["name"] != "id"}


def only_import(runs: Path) -> AbstractContextManager[None]:
    """See that nobody else imports into a runs folder; raises as `only_one` does."""
    told = "another process imports a run into this folder; try again when it has"
    return only_one(runs / "import.lock", told=told)


def refuse_known(store: AddingStore, run_id: str) -> None:
    """See that the store has no run of an id.

    Raises:
        UsageError: it has one.
    """
    known = store._rows("SELECT name FROM runs WHERE id = ?", (run_id,))
    if known:
        raise UsageError(
            f"the run {run_id} is there already, as {known[0]['name']}, and is left as it is; `simclr-tui rm` and "
            "`simclr-tui trash --empty` make room for it"
        )


def _bring_in(store: AddingStore, contents: Contents, begun: Path, row: Row, archive: Path) -> Imported:
    """Judge everything that was unpacked, then store it, the row of the run last."""
    run_id = row["id"]
    _check_manifests(begun / run_id)
    found = {table: begun / rows_name(table) for table in KEYS}
    kinds = {table: kinds_of(store, table) for table in KEYS}
    counts = {table: sum(1 for _ in rows_of(found[table], table, contents, kinds[table])) for table in KEYS}
    for table in KEYS:
        if table not in _LAST:
            add_rows(store, table, run_id, rows_of(found[table], table, contents, kinds[table]), counts[table])
    last = {table: list(rows_of(found[table], table, contents, kinds[table])) for table in _LAST}
    with making_runs(store.runs_path):
        (begun / MOVED).touch()
        sync(begun)
        (begun / run_id).rename(run_dir(store.runs_path, run_id))
        sync(store.runs_path)
        words = f"imported from {archive.name}, as it was on the machine that it was exported on"
        last["events"].append({"at": time.time(), "level": "info", "kind": "imported", "message": words})
        add_run(store, row, last)
    return Imported(
        run_id=run_id,
        name=row["name"],
        steps=counts["steps"],
        checkpoints=counts["checkpoints"],
        left_out=contents.left_out,
    )


def _check_manifests(folder: Path) -> None:
    """See that whatever the trainer will find beside the checkpoints is one of its manifests."""
    for path in manifest_paths(folder):
        try:
            manifest = read_manifest(path)
        except BadManifestError as error:
            raise BadArchiveError(f"{path.name}: {error}") from error
        if not manifest.path.is_file():
            raise BadArchiveError(f"{path.name} is of a checkpoint that it does not have")


def add_rows(store: AddingStore, table: str, run_id: str, rows: Iterator[Row], count: int = 0) -> None:
    """Add rows of a run, with the buckets of series. Commits often.

    Args:
        store: the store.
        table: one of KEYS.
        run_id: the run, whose row is not there yet.
        rows: columns of the table but the run's id.
        count: how many they are, for samples of a device.
    """
    first_id = int(store._rows("SELECT ifnull(min(id), 1) FROM device_samples")[0][0]) - count
    taken = 0
    while some := [row | {"run_id": run_id} for row in itertools.islice(rows, _ROWS_AT_ONCE)]:
        if table == "steps":
            columns = StepRow.__dataclass_fields__
            named: list[dict[str, Any]] = [{name: row.get(name) for name in columns} for row in some]
            store.add_steps(run_id, [StepRow(**values) for values in named])
            continue
        if table == "device_samples":  # the newest id is taken for what the device does now
            some = [row | {"id": first_id + taken + place} for place, row in enumerate(some)]
        store.add(table, some)
        taken += len(some)
        if table == "metrics":
            _make_buckets(store, run_id, some)


def _make_buckets(store: AddingStore, run_id: str, rows: list[Row]) -> None:
    """The buckets of series of which some values were added: once for each, since one value makes all of it anew."""
    touched = {(row["name"], max(0, row["step"] - 1) // 16): row["step"] for row in rows}
    with store._write() as connection:
        for (name, _), step in touched.items():
            refresh_metric(connection, run_id, name, step)


def add_run(store: AddingStore, row: Row, last: dict[str, list[dict[str, Any]]]) -> None:
    """Add the row of the run, which is this user's, with its labels and events. Commits durably, all or nothing."""
    row = row | made_by_me() | {"runner": None, "runner_uid": None}
    with store._write(durable=True) as connection:
        known = connection.execute("SELECT 1 FROM runs WHERE id = ?", (row["id"],)).fetchone()
        if known is not None:
            raise UsageError(f"the run {row['id']} is there already, since a moment ago; it is left as it is")
        rows = [("runs", row), *((table, one | {"run_id": row["id"]}) for table in last for one in last[table])]
        for table, values in rows:
            marks = ", ".join("?" * len(values))
            query = f"INSERT OR IGNORE INTO {table} ({', '.join(values)}) VALUES ({marks})"
            connection.execute(query, tuple(values.values()))


def clear_left(store: AddingStore) -> None:
    """Clear away what imports left whose process was killed. Commits."""
    for begun in store.runs_path.glob(f"{BEGUN}*"):
        run_id = begun.name.removeprefix(BEGUN)
        if is_run_id(run_id):
            clear(store, run_id)


def clear(store: AddingStore, run_id: str) -> None:
    """Clear away what an import left that did not come to its end; where there is a run, only the folder. Commits.

    Raises:
        StoreError: the folder can't be changed.
    """
    begun = import_dir(store.runs_path, run_id)
    if not begun.exists():
        return
    try:
        if not store._rows("SELECT 1 FROM runs WHERE id = ?", (run_id,)):
            for table in (*KEYS, "buckets"):
                _delete_rows(store, table, run_id)
            folder = run_dir(store.runs_path, run_id)
            if (begun / MOVED).exists() and not (begun / run_id).exists() and folder.exists():
                shutil.rmtree(folder)
        shutil.rmtree(begun)
        sync(store.runs_path)
    except OSError as error:
        raise StoreError(f"{begun} can't be cleared away ({error.strerror}); check the folder's permissions") from error


def _delete_rows(store: AddingStore, table: str, run_id: str) -> None:
    some = f"SELECT rowid FROM {table} WHERE run_id = ? LIMIT {_ROWS_AT_ONCE}"
    is_left = True
    while is_left:
        with store._write() as connection:
            found = connection.execute(f"DELETE FROM {table} WHERE rowid IN ({some})", (run_id,)).rowcount
            is_left = found == _ROWS_AT_ONCE
