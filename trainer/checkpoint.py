"""Checkpoints that survive kill -9, and are checked before they are believed.

Written as: bytes in memory → SHA-256 → temporary file → fsync → rename → fsync of the folder → manifest by the same
way. The manifest is the commit mark: without it a file was never announced. torch.load does not notice a flipped
bit (its zip reader is built without CRC checks), so the digest is compared before anything is loaded, and loading
is `weights_only`, so that a file from elsewhere can't run code.
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

FORMAT = 1

Report = Callable[[str, str], None]
"""Told (kind, message) of what a person should know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A checkpoint on the disk."""

    step: int
    epoch: int
    path: Path
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
    folder.mkdir(parents=True, exist_ok=True)
    # Serialised in memory first: torch.save to a full disk raises RuntimeError, a plain write says ENOSPC.
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"step-{manifest['step']}.pt"
    write_durably(path, data)
    manifest = {**manifest, "format": FORMAT, "file": path.name, "bytes": len(data), "sha256": digest}
    write_durably(path.with_suffix(".json"), json.dumps(manifest, indent=1, sort_keys=True).encode())
    return Saved(
        step=manifest["step"],
        epoch=manifest["epoch"],
        path=path,
        bytes=len(data),
        sha256=digest,
        seconds=time.perf_counter() - started,
    )


def write_durably(path: Path, data: bytes) -> None:
    """Put bytes at a path so that a crash leaves the old content or the new one, never a part.

    Raises:
        OSError: the disk refused; the temporary file is removed again.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def steps_on_disk(folder: Path) -> list[int]:
    """The steps of all checkpoints with a manifest, newest first. Reads only names."""
    names = [path.stem.removeprefix("step-") for path in folder.glob("step-*.json")]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def load(folder: Path, step: int, config_digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verify and load one checkpoint: its payload, on the CPU, and its manifest.

    Raises:
        ValueError: it is damaged, of another format or of another config; the message says which.
    """
    manifest_file = folder / f"step-{step}.json"
    try:
        manifest = json.loads(manifest_file.read_bytes())
        data = (folder / f"step-{step}.pt").read_bytes()
    except (OSError, ValueError) as error:
        raise ValueError(f"it cannot be read ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("step") != step:
        raise ValueError("its manifest is not one of this checkpoint and version")
    if len(data) != manifest.get("bytes") or hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
        raise ValueError("its bytes are not those that were written")
    if manifest.get("config_digest") != config_digest:
        raise ValueError("it was made with other settings")
    try:
        payload = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"it cannot be loaded ({type(error).__name__})") from error
    return payload, manifest


def latest_valid(folder: Path, config_digest: str, report: Report) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The newest checkpoint that verifies, or None where no checkpoint was ever announced.

    A damaged one is set aside under another name, never deleted, and reported.

    Raises:
        ValueError: there were checkpoints and none verifies.
    """
    steps = steps_on_disk(folder)
    for step in steps:
        try:
            found = load(folder, step, config_digest)
        except ValueError as error:
            set_aside(folder, step)
            report("checkpoint-damaged", f"checkpoint of step {step} set aside: {error}")
            continue
        if step != steps[0]:
            report("checkpoint-fallback", f"going on from step {step}, since newer checkpoints are damaged")
        return found
    if steps:
        raise ValueError(f"none of {len(steps)} checkpoints verifies")
    return None


def set_aside(folder: Path, step: int) -> None:
    """Rename a damaged checkpoint so that it is neither used nor lost."""
    for suffix in (".json", ".pt"):
        path = folder / f"step-{step}{suffix}"
        if path.exists():
            path.replace(path.with_suffix(suffix + ".damaged"))


def remove(folder: Path, step: int) -> None:
    """Delete a checkpoint that is no longer kept, its manifest first so that no half of it is announced."""
    (folder / f"step-{step}.json").unlink(missing_ok=True)
    (folder / f"step-{step}.pt").unlink(missing_ok=True)
