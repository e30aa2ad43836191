"""A run as one file that another machine's store imports: its rows, its checkpoints, what evaluations made, its log."""

import dataclasses
import hashlib
import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from trainer.durable import open_plain_file
from trainer.errors import BusyError, UsageError
from trainer.export.archive_form import CONTENTS, FILES, Contents, Member, is_inside, rows_name
from trainer.export.tables import json_lines
from trainer.export.target import new_file, unwritable
from trainer.manifest import BadManifestError, fault_of, read_manifest
from trainer.paths import checkpoint_dir, log_file, run_dir
from trainer.seal import sealed
from trainer.state import LIVE_STATES, run_state
from trainer.store.labels import refuse_trashed
from trainer.store.pages import KEYS, kinds_of, pages
from trainer.store.reader import StoreReader
from trainer.store.records import Artifact, Checkpoint, Run

_NOT_PACKED = (
    *("loss", "knn_top1", "pending_command", "host", "boot_id", "pid", "start_ticks", "alive_at", "phase"),
    *("owner", "owner_uid", "runner", "runner_uid"),
)
"""Fields of a run that are of its process, or that its rows say anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """What an archive has."""

    bytes: int
    """Of the archive."""
    rows: dict[str, int]
    """By table."""
    files: int
    checkpoints: int
    left_out: list[str]
    """A sentence for each file that is damaged or gone."""


@dataclass(frozen=True, slots=True)
class _File:
    member: Member
    source: Path


def write_archive(reader: StoreReader, run: Run, out: Path, *, force: bool) -> Packed:
    """Write a run into an archive. Reads only; checkpoints that don't verify are left out and said.

    Args:
        reader: the store.
        run: the run, which must not be alive: its files and its rows are to be of one moment.
        out: the archive.
        force: write over a file that is there.

    Raises:
        UsageError: the run is alive or in the trash, or something is at `out`.
        BusyError: the run went on meanwhile.
        TrainerError: the disk refused.
    """
    _refuse(reader, run)
    try:
        with (
            new_file(out, force=force) as made,
            tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent, ignore_cleanup_errors=True) as folder,
        ):
            checkpoints, artifacts, left_out = _files(reader, run)
            log = log_file(reader.runs_path, run.id)
            others = [_hashed(FILES + "log.txt", log)] if log.is_file() and not log.is_symlink() else []
            packed = [*checkpoints, *artifacts, *others]
            rows, counts = _rows(reader, run, Path(folder), {one.member.name for one in packed})
            contents = Contents(
                run=_row(run),
                members={one.member.name: one.member for one in [*rows, *packed]},
                left_out=tuple(left_out),
            )
            _write(made, contents, [*rows, *packed])
            _refuse_changed(reader, run)
    except OSError as error:
        raise unwritable(out, error) from error
    return Packed(
        bytes=out.stat().st_size,
        rows=counts,
        files=len(packed),
        checkpoints=len(checkpoints) // 2,
        left_out=left_out,
    )


def _refuse(reader: StoreReader, run: Run) -> None:
    refuse_trashed(reader, run)
    state = run_state(run, reader.runs_path)
    if state in LIVE_STATES or (state == "queued" and run.lifecycle != "created"):
        raise UsageError(
            f"{run.name} is {state}, and an archive is of one moment; pause it first, export it, and resume it then"
        )


def _refuse_changed(reader: StoreReader, run: Run) -> None:
    now = reader.run(run.id)
    if (now.lifecycle_at, now.step, now.progress_at) != (run.lifecycle_at, run.step, run.progress_at):
        raise BusyError(f"{run.name} went on while it was packed; pause it and export it again")


def _row(run: Run) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(run).items() if name not in _NOT_PACKED}


def _files(reader: StoreReader, run: Run) -> tuple[list[_File], list[_File], list[str]]:
    """The files of checkpoints and of evaluations that are as they were written, and sentences on the others."""
    checkpoints: list[_File] = []
    artifacts: list[_File] = []
    left_out: list[str] = []
    for row in reader.checkpoints(run.id):
        try:
            checkpoints += _checkpoint(reader.runs_path, row)
        except (BadManifestError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            left_out.append(f"the checkpoint of step {row.step}, {reason}; `simclr-tui doctor` says more")
    for artifact in reader.artifacts(run.id):
        try:
            artifacts.append(_artifact(reader.runs_path, artifact))
        except (BadManifestError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            left_out.append(f"{artifact.name}, {reason}; evaluate the run again")
    return checkpoints, artifacts, left_out


def _checkpoint(runs: Path, row: Checkpoint) -> list[_File]:
    """The weights and the manifest of a checkpoint.

    Raises:
        BadManifestError: they are not as they were written.
        OSError: they can't be read.
    """
    folder = checkpoint_dir(runs, row.run_id)
    manifest = read_manifest(folder / f"step-{row.step}.json")
    fault = fault_of(manifest)
    if fault is None and manifest.sha256 != row.sha256:
        fault = "it is not the one that the store knows"
    if fault is not None:
        raise BadManifestError(fault)
    weights = Member(name=f"{FILES}checkpoints/{manifest.file}", bytes=manifest.bytes, sha256=manifest.sha256)
    return [
        _File(weights, manifest.path),
        _hashed(f"{FILES}checkpoints/step-{row.step}.json", folder / f"step-{row.step}.json"),
    ]


def _artifact(runs: Path, row: Artifact) -> _File:
    path = row.path.removeprefix(f"{row.run_id}/")
    if path == row.path or not path.startswith("evaluations/") or not is_inside(path):
        raise BadManifestError("it does not lie in the run's folder")
    found = _hashed(FILES + path, run_dir(runs, row.run_id) / path)
    if found.member.sha256 != row.sha256:
        raise BadManifestError("its bytes are not those that were written")
    return found


def _hashed(name: str, path: Path) -> _File:
    with open_plain_file(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return _File(Member(name=name, bytes=file.tell(), sha256=digest), path)


def _rows(reader: StoreReader, run: Run, folder: Path, files: set[str]) -> tuple[list[_File], dict[str, int]]:
    """The tables as files in a folder, and how many rows each has; rows of files that are not packed are left out."""
    found, counts = [], {}
    for table in KEYS:
        kinds = list(kinds_of(reader, table))
        path = folder / f"{table}.jsonl"
        counts[table] = 0
        with path.open("w", encoding="utf-8") as file:
            for page in pages(reader, table, run.id):
                kept = [row for row in page if _is_packed(dict(zip(kinds, row, strict=True)), run.id, files)]
                file.writelines(json_lines(kinds, kept))
                counts[table] += len(kept)
        found.append(_hashed(rows_name(table), path))
    return found, counts


def _is_packed(row: dict[str, Any], run_id: str, files: set[str]) -> bool:
    """Whether the file that a row names is packed, if it names one."""
    return "path" not in row or FILES + str(row["path"]).removeprefix(f"{run_id}/") in files


def _write(made: Path, contents: Contents, files: list[_File]) -> None:
    document = json.dumps(sealed(contents.document(version("simclr-tui"))), indent=1).encode()
    with tarfile.open(made, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, CONTENTS, len(document), io.BytesIO(document))
        for one in files:
            with open_plain_file(one.source) as file:
                reading = _Reading(file)
                _add(tar, one.member.name, one.member.bytes, reading)
            if reading.hexdigest() != one.member.sha256:
                raise BusyError(f"{one.source} changed while it was packed; export it again")


def _add(tar: tarfile.TarFile, name: str, size: int, file: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    try:
        tar.addfile(info, file)
    except OSError as error:
        if error.errno is None:  # tarfile's own word for a file that got shorter
            raise BusyError(f"{name} changed while it was packed; export it again") from error
        raise


class _Reading:
    """A file with the SHA-256 of what was read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        return self._digest.hexdigest()
