"""The small JSON beside each checkpoint, read without torch and without trust.

Whatever a person, a sync tool or a half-written disk made of it ends in one sentence and never in a path: the name of
the weights is believed only where it has the form that the trainer gives it, and links are not followed.
"""

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import PretrainConfig
from trainer.durable import open_plain_file
from trainer.errors import ConfigError
from trainer.paths import is_run_id
from trainer.seal import is_intact

FORMAT = 1
"""Of checkpoints and manifests, as `trainer.checkpoint` writes them."""

LARGEST_BYTES = 1 << 20
"""A manifest has a few kilobytes; what is larger is no manifest and is not read."""

NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})\.json")
"""Of a manifest: the step it is of."""

_FILE = re.compile(r"step-(\d{1,18})-[0-9a-f]{8}\.pt")
_PARENT_STEPS = "parent_steps_per_epoch"
SHA256 = re.compile(r"[0-9a-f]{64}")
"""In hexadecimal."""

_LARGEST_INTEGER = 2**63 - 1


class BadManifestError(ValueError):
    """A manifest that can't be believed; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a manifest says of its checkpoint and its run."""

    folder: Path
    run_id: str
    name: str
    preset: str | None
    created_at: float
    step: int
    epoch: int
    reason: str
    knn_top1: float | None
    config: PretrainConfig
    file: str
    bytes: int
    sha256: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the run's row, of manifests that have them."""
    parent_steps_per_epoch: int | None = None
    """Of the checkpoint that a fork begins from: by how many steps an epoch its step is counted."""
    fresh_optimizer: bool = False
    """Of that checkpoint: its optimiser's state is to be dropped."""

    @property
    def path(self) -> Path:
        """Of the weights."""
        return self.folder / self.file


def run_folders(runs: Path) -> tuple[list[Path], list[str]]:
    """The folders that have the form of a run's, sorted, and a sentence for each that is passed over.

    Raises:
        OSError: the runs folder can't be listed.
    """
    found, passed_over = [], []
    for entry in sorted(os.scandir(runs), key=lambda entry: entry.name):
        if not is_run_id(entry.name):
            continue
        if entry.is_symlink():
            passed_over.append(f"{entry.name} is a link and no folder of its own; move the real folder here")
        elif entry.is_dir(follow_symlinks=False):
            found.append(Path(entry.path))
    return found, passed_over


def manifest_paths(run_folder: Path) -> list[Path]:
    """The manifests of a run's folder, the newest step first. Reads only names.

    Raises:
        OSError: the folder of its checkpoints can't be listed, or is a link to somewhere else.
    """
    folder = run_folder / "checkpoints"
    if folder.is_symlink():
        raise OSError(f"{folder} is a link and no folder of its own")
    if not folder.is_dir():
        return []
    by_step = {int(match[1]): path for path in folder.iterdir() if (match := NAME.fullmatch(path.name))}
    return [by_step[step] for step in sorted(by_step, reverse=True)]


def read_manifest(path: Path) -> Manifest:
    """What a manifest says, once everything in it that is used is seen to be of the right kind.

    Raises:
        BadManifestError: it can't be believed; the sentence says why.
        FileNotFoundError: there is none, or no more.
    """
    try:
        values = json.loads(_read_small_file(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadManifestError):
            raise
        raise BadManifestError("it is not JSON") from error
    if not isinstance(values, dict):
        raise BadManifestError("it is no JSON object")
    if not is_intact(values):
        raise BadManifestError("it is not as it was written")
    if values.get("format") != FORMAT:
        raise BadManifestError(f"it is of format {str(values.get('format'))[:20]!r}, and this version reads {FORMAT}")
    return _checked(path, values)


def _read_small_file(path: Path) -> bytes:
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_BYTES:
            raise BadManifestError(f"it has {size:,} bytes, which no manifest has")
        return file.read(LARGEST_BYTES)


def _open(path: Path) -> io.BufferedReader:
    """A plain file.

    Raises:
        BadManifestError: it is something else, or can't be read.
        FileNotFoundError: it is not there.
    """
    try:
        return open_plain_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "is no plain file" if error.errno is None else f"can't be read ({error.strerror})"
        raise BadManifestError(f"{path.name} {'is a link' if path.is_symlink() else reason}") from error


def _checked(path: Path, values: dict[str, Any]) -> Manifest:
    step = _whole(values, "step")
    if path.name != f"step-{step}.json":
        raise BadManifestError(f"it is of step {step}, and its name says another one")
    run_id = path.parent.parent.name
    if values.get("run_id") != run_id:
        raise BadManifestError("it is of another run than its folder")
    file = _text(values, "file")
    match = _FILE.fullmatch(file)
    if not match or int(match[1]) != step:
        raise BadManifestError("the file that it names is none of a checkpoint of that step")
    if not SHA256.fullmatch(_text(values, "sha256")):
        raise BadManifestError("its sha256 is none")
    return Manifest(
        folder=path.parent,
        run_id=run_id,
        name=_line(values, "name"),
        preset=None if values.get("preset") is None else _line(values, "preset"),
        created_at=_number(values, "created_at"),
        step=step,
        epoch=_whole(values, "epoch"),
        reason=_line(values, "reason"),
        knn_top1=None if values.get("knn_top1") is None else _number(values, "knn_top1"),
        config=_config(values),
        file=file,
        bytes=_whole(values, "bytes"),
        sha256=values["sha256"],
        summary=_summary(values),
        parent_steps_per_epoch=_whole(values, _PARENT_STEPS) if values.get(_PARENT_STEPS) else None,
        fresh_optimizer=values.get("fresh_optimizer") is True,
    )


def _summary(values: dict[str, Any]) -> dict[str, Any]:
    """Further columns of the run's row; whether each is of the right kind is for who uses it to see."""
    found = values.get("summary")
    lineage: dict[str, Any] = {name: values[name] for name in ("parent_run_id", "parent_step") if name in values}
    return lineage | (found if isinstance(found, dict) else {})


def _config(values: dict[str, Any]) -> PretrainConfig:
    try:
        return PretrainConfig.from_json(_text(values, "config"))
    except ConfigError as error:
        raise BadManifestError(f"its settings are not usable ({str(error)[:120]})") from error
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise BadManifestError("its settings are no JSON object of settings") from error


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number from 0 up that SQLite can hold."""
    return type(value) is int and 0 <= value <= _LARGEST_INTEGER


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that SQLite can hold."""
    return type(value) in (int, float) and abs(value) <= _LARGEST_INTEGER and math.isfinite(value)


def is_line(value: Any) -> bool:
    """Whether a value is a short text that can be shown in a line."""
    return type(value) is str and len(value) <= 1000 and value.isprintable()


def _whole(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if not is_whole(value):
        raise BadManifestError(f"its {name} is no whole number from 0 up")
    return int(value)  # type: ignore[arg-type]


def _number(values: dict[str, Any], name: str) -> float:
    value = values.get(name)
    if not is_number(value):
        raise BadManifestError(f"its {name} is no finite number")
    return float(value)  # type: ignore[arg-type]


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if type(value) is not str:
        raise BadManifestError(f"its {name} is no text")
    return value


def _line(values: dict[str, Any], name: str) -> str:
    value = _text(values, name)
    if not is_line(value):
        raise BadManifestError(f"its {name} is too long, or has characters that can't be shown in a line")
    return value


def fault_of(manifest: Manifest, *, with_digest: bool = True) -> str | None:
    """What is wrong with a checkpoint's weights, or None.

    Args:
        manifest: that announces them.
        with_digest: read the file and compare its SHA-256; without, only its presence and size.

    Raises:
        FileNotFoundError: they are not there.
    """
    try:
        file = _open(manifest.path)
    except BadManifestError as error:
        return str(error)
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != manifest.bytes:
            return f"it has {size:,} bytes instead of {manifest.bytes:,}"
        if not with_digest:
            return None
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"it can't be read ({error.strerror})"
    return None if digest == manifest.sha256 else "its bytes are not those that were written"
