"""Checkpoints on the disk against their manifests and the store, without torch."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainer.doctor.check import Check, listed, plural
from trainer.manifest import BadManifestError, Manifest, fault_of, manifest_paths, read_manifest
from trainer.room import size

Depth = Literal["sizes", "newest", "all"]
"""Whose bytes are read: nobody's, the newest of each run and more up to a budget, or everybody's."""

BUDGET_BYTES = 8 << 30
"""What is read at most beyond the newest checkpoint of each run: some ten seconds on a disk of today."""

_MOST_FAULTS = 20


@dataclass(slots=True)
class Survey:
    """What lies in the folders of the runs."""

    sound: dict[str, list[Manifest]] = field(default_factory=dict)
    """By run, the newest first: checkpoints against which nothing is known."""
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    """(run, checkpoint, what is wrong with it)."""
    read_bytes: int = 0
    read: int = 0
    left_out_bytes: int = 0
    left_out: int = 0

    def steps(self, run_id: str) -> list[int]:
        """The steps of a run's sound checkpoints, the newest first."""
        return [one.step for one in self.sound.get(run_id, [])]


def survey(folders: Collection[Path], *, depth: Depth, budget_bytes: int = BUDGET_BYTES) -> Survey:
    """Look at every checkpoint, and into as many as the depth says."""
    found = Survey()
    for folder in folders:
        _survey_run(folder, found)
    _read(found, depth, budget_bytes)
    found.faults.sort()
    return found


def _survey_run(folder: Path, found: Survey) -> None:
    run_id = folder.name
    try:
        paths = manifest_paths(folder)
    except OSError as error:
        found.faults.append((run_id, "checkpoints", error.strerror or str(error)))
        return
    sound = found.sound.setdefault(run_id, [])
    for path in paths:
        try:
            manifest = read_manifest(path)
            fault = fault_of(manifest, with_digest=False)
        except BadManifestError as error:
            found.faults.append((run_id, path.stem, f"its manifest is damaged: {error}"))
        except FileNotFoundError:
            # A trainer that prunes takes the manifest first, so both gone is nothing but that.
            if path.exists():
                found.faults.append((run_id, path.stem, "its weights are not there"))
        else:
            if fault is None:
                sound.append(manifest)
            else:
                found.faults.append((run_id, path.stem, fault))


def _read(found: Survey, depth: Depth, budget_bytes: int) -> None:
    """Compare digests: first the newest of each run, which the next start needs, then older ones."""
    newest = [sound[0] for sound in found.sound.values() if sound]
    older = [manifest for sound in found.sound.values() for manifest in sound[1:]]
    for number, manifest in enumerate([*newest, *older]):
        has_to = depth == "all" or (depth == "newest" and number < len(newest))
        may = depth == "newest" and found.read_bytes + manifest.bytes <= budget_bytes
        if not (has_to or may):
            found.left_out += 1
            found.left_out_bytes += manifest.bytes
            continue
        try:
            fault = fault_of(manifest)
        except FileNotFoundError:
            fault = (
                "its weights are not there" if manifest.path.with_name(f"step-{manifest.step}.json").exists() else ""
            )
        found.read += 1
        found.read_bytes += manifest.bytes
        if fault is not None:
            found.sound[manifest.run_id].remove(manifest)
        if fault:
            found.faults.append((manifest.run_id, f"step-{manifest.step}", fault))


def verdict(found: Survey, names: Mapping[str, str], finished: Collection[str] = ()) -> Iterator[Check]:
    """What the survey came to: one line for all, and one for each that is damaged.

    Args:
        found: the survey.
        names: what people call the runs, by id.
        finished: runs that are never started again.
    """
    total = found.read + found.left_out
    if not total and not found.faults:
        yield Check("checkpoints", "ok", "there is none yet")
        return
    words = f"{found.read} of {total} read and compared with their SHA-256 ({size(found.read_bytes)})"
    remedy = ""
    if found.left_out:
        words += f"; of {found.left_out} ({size(found.left_out_bytes)}) only the size was compared"
        remedy = "`simclr-tui doctor --all-checkpoints` reads every one"
    yield Check("checkpoints", "ok", words, remedy)
    for run_id, which, why in found.faults[:_MOST_FAULTS]:
        others = found.steps(run_id)
        if others and run_id in finished:
            remedy = f"`simclr-tui fork {run_id} --step {others[0]}` takes the steps behind its newest sound one again"
        elif others:
            remedy = f"nothing: the next start sets it aside and goes on from step {others[0]}"
            remedy += ", or from a newer one that is sound" if len(others) > 1 else ""
        else:
            remedy = f"put {run_id}/checkpoints back from a copy, since the run has no other one that is sound"
        yield Check("checkpoint", "bad", f"{_named(run_id, names)}, {which}: {why}", remedy)
    if len(found.faults) > _MOST_FAULTS:
        yield Check("checkpoint", "bad", f"{len(found.faults) - _MOST_FAULTS:,} more are damaged", "as above")


def _named(run_id: str, names: Mapping[str, str]) -> str:
    name = names.get(run_id)
    return f"{name} ({run_id})" if name else run_id


def damaged_ones(folders: Collection[Path]) -> Iterator[Check]:
    """Damaged checkpoints that trainers put aside, and temporary files that killed ones left."""
    damaged = [path for folder in folders for path in _files(folder, "*.damaged*")]
    if damaged:
        words = f"{plural(len(damaged), 'file')} of damaged checkpoints ({_size(damaged)}) were set aside: "
        words += listed(str(path.relative_to(path.parents[2])) for path in damaged)
        yield Check("set aside", "warn", words, "delete them once you know that you don't need them")
    halves = [path for folder in folders for path in _files(folder, "*.tmp")]
    if halves:
        words = f"{plural(len(halves), 'temporary file')} ({_size(halves)}), each of a save that goes on or was cut off"
        yield Check("leftovers", "ok", words, "nothing: the next start of the run deletes what was cut off")


def _files(run_folder: Path, pattern: str) -> list[Path]:
    folder = run_folder / "checkpoints"
    return [] if folder.is_symlink() else sorted(folder.glob(pattern))


def _size(paths: Collection[Path]) -> str:
    total = 0
    for path in paths:
        try:
            total += path.lstat().st_size
        except OSError:  # gone meanwhile
            continue
    return size(total)
