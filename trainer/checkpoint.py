"""Checkpoints that survive kill -9, and are checked before they are believed.

Written as: bytes in memory → SHA-256 → temporary file → fsync → rename → fsync of the folder → manifest by the same
way. The manifest names the file and is the commit mark: without it a file was never announced, and a step that is saved
again has a file of its own until the manifest has changed over. torch.load does not notice a flipped
bit (its zip reader is built without CRC checks), so the digest is compared before anything is loaded; the manifest
carries one over itself. What unpacks the bytes trusts neither (`trainer.payload`).
"""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.durable import read_plain_file, sync, write_durably
from trainer.manifest import FORMAT, LARGEST_BYTES, NAME, SHA256
from trainer.payload import PayloadError, unpack
from trainer.seal import is_intact, sealed
from trainer.sharing import make_folder

Report = Callable[[str, str], None]
"""Told (kind, message) of what a person should know."""

Manifest = dict[str, Any]
_DAMAGED = ".damaged"


class UnusableError(ValueError):
    """A checkpoint that is whole and not this run's: of other settings, or of another version."""


class DamagedError(ValueError):
    """A checkpoint whose bytes are not those that were written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A checkpoint on the disk."""

    step: int
    epoch: int
    path: Path
    manifest: Path
    bytes: int
    sha256: str
    seconds: float


def save(folder: Path, payload: dict[str, Any], manifest: dict[str, Any]) -> Saved:
    """Write a checkpoint durably.

    Args:
        folder: of the run's checkpoints; made if need be.
        payload: tensors, numbers, strings and containers of them.
        manifest: `step`, `epoch`, `config_digest` and whatever lets the run be rebuilt without the store.

    Raises:
        OSError: the disk refused; what was there before is untouched.
    """
    started = time.perf_counter()
    make_folder(folder, exist_ok=True)
    # Serialised in memory first: torch.save to a full disk raises RuntimeError, a plain write says ENOSPC.
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"step-{manifest['step']}-{digest[:8]}.pt"
    write_durably(path, data)
    manifest = {**manifest, "format": FORMAT, "file": path.name, "bytes": len(data), "sha256": digest}
    manifest = sealed(manifest)
    manifest_path = _manifest_path(folder, manifest["step"])
    write_durably(manifest_path, json.dumps(manifest, indent=1, sort_keys=True).encode())
    for older in _weights(folder, manifest["step"]):
        if older != path:
            older.unlink(missing_ok=True)
    return Saved(
        step=manifest["step"],
        epoch=manifest["epoch"],
        path=path,
        manifest=manifest_path,
        bytes=len(data),
        sha256=digest,
        seconds=time.perf_counter() - started,
    )


def _manifest_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.json"


def _weights(folder: Path, step: int) -> list[Path]:
    """Files and links of a step's weights, announced or not."""
    return [path for path in folder.glob(f"step-{step}-*.pt") if path.is_symlink() or not path.is_dir()]


def steps_on_disk(folder: Path) -> list[int]:
    """The steps of all checkpoints with a manifest, newest first. Reads only names.

    Raises:
        OSError: the folder is there and can't be listed. That it is empty must not be concluded.
    """
    try:
        names = [NAME.fullmatch(entry.name) for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []
    return sorted((int(name[1]) for name in names if name), reverse=True)


def load(folder: Path, step: int, fits: Callable[[Manifest], bool]) -> tuple[dict[str, Any], Manifest]:
    """Verify and load one checkpoint: its payload, on the CPU, and its manifest.

    Args:
        folder: of the run's checkpoints.
        step: of the checkpoint.
        fits: whether a manifest is of the settings that are wanted.

    Raises:
        DamagedError: its bytes are not those that were written; the message says what is wrong.
        UnusableError: it is of another format or of other settings.
        FileNotFoundError: there is none of that step.
    """
    manifest = _read_manifest(folder, step)
    if manifest.get("format") != FORMAT:
        raise UnusableError(f"it is of format {manifest.get('format')}, and this version reads {FORMAT}")
    if not fits(manifest):
        raise UnusableError("it was made with other settings")
    try:
        data = read_plain_file(folder / manifest["file"], largest_bytes=manifest["bytes"])
    except OSError as error:
        raise DamagedError(f"it cannot be read ({error.strerror})") from error
    if len(data) != manifest["bytes"] or hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise DamagedError("its bytes are not those that were written")
    try:
        payload = unpack(data)
    except PayloadError as error:
        raise DamagedError(str(error)) from error
    if payload["step"] != step:
        raise DamagedError(f"its weights are of step {payload['step']}")
    return payload, manifest


def _read_manifest(folder: Path, step: int) -> Manifest:
    try:
        manifest = json.loads(read_plain_file(_manifest_path(folder, step), largest_bytes=LARGEST_BYTES))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise DamagedError(f"its manifest cannot be read ({reason})") from error
    if not isinstance(manifest, dict) or not is_intact(manifest):
        raise DamagedError("its manifest is not as it was written")
    if not _is_of_step(manifest, step):
        raise DamagedError("its manifest is not one of this checkpoint")
    return manifest


def _is_of_step(manifest: Manifest, step: int) -> bool:
    """Whether a manifest names a file of this step beside it, and has what loading it needs."""
    digest = manifest.get("sha256")
    if type(digest) is not str or not SHA256.fullmatch(digest):
        return False
    whole = all(type(manifest.get(name)) is int for name in ("step", "epoch", "bytes"))
    right_name = manifest.get("file") == f"step-{step}-{digest[:8]}.pt"
    return whole and right_name and manifest["step"] == step and isinstance(manifest.get("reason", ""), str)


def stored_config(folder: Path, step: int) -> dict[str, Any]:
    """The settings that a checkpoint was made with, as its manifest has them; empty where they can't be read."""
    try:
        config = json.loads(_read_manifest(folder, step)["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}


def latest_valid(
    folder: Path, fits: Callable[[Manifest], bool], report: Report, *, owner: bool
) -> tuple[dict[str, Any], Manifest] | None:
    """The newest checkpoint that verifies, or None where no checkpoint was ever announced.

    Args:
        folder: of the run's checkpoints.
        fits: whether a manifest is of the settings that are wanted.
        report: told of each that is passed over.
        owner: True for the run's trainer. It sets damaged ones aside under another name, and deletes none; anybody
            else leaves the folder as it is, since the trainer may be changing it.

    Raises:
        DamagedError: there were checkpoints and none can be used.
    """
    steps = steps_on_disk(folder)
    for step in steps:
        try:
            found = load(folder, step, fits)
        except FileNotFoundError:
            continue  # deleted by its trainer meanwhile
        except UnusableError as error:
            report("checkpoint-skipped", f"checkpoint of step {step} passed over: {error}")
            continue
        except DamagedError as error:
            if owner:
                set_aside(folder, step)
            report(
                "checkpoint-damaged", f"checkpoint of step {step} {'set aside' if owner else 'passed over'}: {error}"
            )
            continue
        if step != steps[0]:
            report("checkpoint-fallback", f"going on from step {step}, since newer checkpoints can't be used")
        return found
    if steps or any(folder.glob(f"*{_DAMAGED}*")):
        raise DamagedError("none that was written verifies")
    return None


def set_aside(folder: Path, step: int) -> None:
    """Rename a damaged checkpoint so that it is neither used nor lost; what was set aside before stays too."""
    for path in (_manifest_path(folder, step), *folder.glob(f"step-{step}-*.pt")):
        if os.path.lexists(path):
            path.replace(_free_name(path))
    sync(folder)


def _free_name(path: Path) -> Path:
    """A name for what is set aside that nothing has yet: `.damaged`, `.damaged-2`, …"""
    number = 1
    while os.path.lexists(free := path.with_name(path.name + _DAMAGED + (f"-{number}" if number > 1 else ""))):
        number += 1
    return free


def remove(folder: Path, step: int) -> None:
    """Delete a checkpoint that is no longer kept, its manifest first so that no half of it is announced."""
    _manifest_path(folder, step).unlink(missing_ok=True)
    if folder.is_dir():
        sync(folder)  # or a power cut could bring back the manifest and not the weights
    for path in _weights(folder, step):
        path.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Delete what a killed trainer left half done: temporary files, and weights that no manifest names."""
    for path in folder.glob("*.tmp"):
        if path.is_symlink() or path.is_file():
            path.unlink()
    announced = set()
    for step in steps_on_disk(folder):
        try:
            announced.add(_read_manifest(folder, step)["file"])
        except FileNotFoundError:
            continue
        except ValueError:
            return  # a damaged manifest: nothing is deleted that it may have named
    for path in folder.glob("step-*.pt"):
        if path.name not in announced and (path.is_symlink() or path.is_file()):
            path.unlink()
