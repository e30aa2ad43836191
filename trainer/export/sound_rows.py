"""Rows of an archive judged before any of them is stored: one of another kind would spoil the store for its readers."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.export.archive_form import FILES, BadArchiveError, Contents
from trainer.manifest import is_line
from trainer.paths import is_run_id
from trainer.start import checked_name
from trainer.store.labels import checked_note, checked_tag
from trainer.store.records import (
    ARCHIVED,
    LIFECYCLE,
    NOTE,
    PIN_CHECKPOINT,
    PINNED,
    TAG,
    AnatomyRow,
    Artifact,
    Checkpoint,
    Evaluation,
    Event,
    Record,
    Run,
    TrialRow,
)

Row = dict[str, Any]

_LONGEST_LINE = 1 << 20
_RECORDS: dict[str, type[Record]] = {
    "evaluations": Evaluation,
    "anatomy": AnatomyRow,
    "benchmark_trials": TrialRow,
    "events": Event,
    "checkpoints": Checkpoint,
    "artifacts": Artifact,
}
_NEEDED: dict[str, Mapping[str, type]] = {
    "steps": {"step": int, "epoch": int},
    "epochs": {"epoch": int},
    "metrics": {"name": str, "step": int},
    "device_samples": {"at": float},
    "rank_samples": {"at": float, "rank": int},
    "annotations": {"key": str, "value": str},
}
"""Columns that the other tables can't do without."""

_ANNOTATIONS: dict[str, Callable[[str], object]] = {
    TAG: checked_tag,
    NOTE: checked_note,
    PINNED: is_line,
    ARCHIVED: is_line,
    PIN_CHECKPOINT: is_line,
}
_FREE = ("message", "error", "dropped")
"""Columns that may tell what any library said."""

_LEAVES_PROCESS = {"pending_command": None, "loss": None, "knn_top1": None, "phase": None}


def run_row(contents: Contents, kinds: Mapping[str, type]) -> Row:
    """The row of `runs` that an archive has, without what is of a process.

    Args:
        contents: of the archive.
        kinds: the columns of `runs`.

    Raises:
        BadArchiveError: a run can't have such a row.
    """
    row = dict(contents.run)
    if type(row.get("id")) is not str or not is_run_id(row["id"]):
        raise BadArchiveError("its run has no id")
    _check_values("runs", {name: value for name, value in row.items() if name != "id"}, kinds)
    whole = dict.fromkeys(kinds) | dict.fromkeys(("host", "boot_id", "pid", "start_ticks", "alive_at")) | row
    try:
        run = Run.from_row(whole | _LEAVES_PROCESS)  # type: ignore[arg-type]  # read as a Row is
        checked_name(run.name)
        settings = json.loads(run.config)
    except (TypeError, UsageError, ValueError, RecursionError) as error:
        raise BadArchiveError(f"its run's row is none of a run, {error}") from error
    if run.lifecycle not in LIFECYCLE or not isinstance(settings, dict) or not is_line(run.kind):
        raise BadArchiveError("its run's row has a kind, a lifecycle or settings that no run has")
    return row


def rows_of(path: Path, table: str, contents: Contents, kinds: Mapping[str, type]) -> Iterator[Row]:
    """The rows of a table, each judged. Nothing is written.

    Args:
        path: of the table's JSON Lines; where there is no such file, there are no rows.
        table: one of `trainer.store.pages.KEYS`.
        contents: of the archive.
        kinds: the columns of the table in the store that they are to go to.

    Raises:
        BadArchiveError: a row can't be one of that table.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadArchiveError(f"a row of {table} is not JSON") from error
            if not isinstance(row, dict):
                raise BadArchiveError(f"a row of {table} is no JSON object")
            row |= {name: _shown(row[name]) for name in _FREE if name in row}
            _check_values(table, row, kinds)
            _check_row(table, row, contents)
            yield row


def _check_values(table: str, row: Row, kinds: Mapping[str, type]) -> None:
    for name, value in row.items():
        if name not in kinds:
            raise BadArchiveError(f"a row of {table} has a column {name[:40]!r} that this version does not know")
        if value is None:
            continue
        if type(value) is int:
            fits = kinds[name] in (int, float) and abs(value) < 2**63
        elif type(value) is float:
            fits = kinds[name] is float and value == value  # SQLite takes NaN for NULL
        else:
            fits = type(value) is str and kinds[name] is str and _is_text(value)
        if not fits:
            raise BadArchiveError(f"{name} of a row of {table} has a value that it can't have")


def _is_text(value: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in value)


def _shown(message: Any) -> Any:
    """A text without what could drive a terminal."""
    if type(message) is not str:
        return message
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in message)


def _check_row(table: str, row: Row, contents: Contents) -> None:
    run_id = contents.run["id"]
    for name, kind in _NEEDED.get(table, {}).items():
        if type(row.get(name)) not in ((int, float) if kind is float else (kind,)):
            raise BadArchiveError(f"a row of {table} has no {name}")
    record = _RECORDS.get(table)
    if record is not None:
        try:
            record.from_row({"run_id": run_id, "id": 0} | row)  # type: ignore[arg-type]  # read as a Row is
        except TypeError as error:
            raise BadArchiveError(f"a row of {table} is not one: {error}") from error
    if table == "steps" and row["step"] < 1:
        raise BadArchiveError("a row of steps has a step below 1")
    if "path" in row:
        _check_file(table, row, contents)
    if table == "annotations":
        _check_annotation(row)


def _check_file(table: str, row: Row, contents: Contents) -> None:
    """See that a row names a file of the archive, and no other place."""
    name = FILES + str(row["path"]).removeprefix(f"{contents.run['id']}/")
    member = contents.members.get(name)
    if member is None or row["path"] != f"{contents.run['id']}/{name.removeprefix(FILES)}":
        raise BadArchiveError(f"a row of {table} names a file that it does not have")
    if (row["bytes"], row["sha256"]) != (member.bytes, member.sha256):
        raise BadArchiveError(f"a row of {table} is of another file than {name}")


def _check_annotation(row: Row) -> None:
    check = _ANNOTATIONS.get(row["key"])
    try:
        is_good = check is not None and check(row["value"]) is not False
    except UsageError:
        is_good = False
    if not is_good:
        raise BadArchiveError(f"it has a label that a run can't have ({row['key'][:40]!r})")
