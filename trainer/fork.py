"""Child runs: a run of its own that begins from a checkpoint of another one, with other settings.

The checkpoint's file is linked into the child's folder (copied where the file system has no links), checked there, and
announced with a manifest of its own, so that neither the pruning nor the end of the parent can take it away. Files of
checkpoints are only ever replaced and never written to, so that a link is as good as a copy. The child's row comes
last and in one transaction with its checkpoint: a run that says it is a fork always has what it began from.
"""

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from trainer.changes import Way, changed_results, rule_of
from trainer.config import PretrainConfig
from trainer.durable import flush, sync, write_durably
from trainer.errors import CheckpointError, ConfigError, StoreError, UsageError
from trainer.fork_plan import REASON, check_start, fork_config, start_words
from trainer.manifest import FORMAT, BadManifestError, Manifest, fault_of, manifest_paths, read_manifest
from trainer.paths import checkpoint_dir, new_run_id, run_dir
from trainer.seal import is_intact, sealed
from trainer.sharing import create_anew, make_folder
from trainer.start import LONGEST_NAME, checked_name
from trainer.store.labels import refuse_trashed
from trainer.store.records import Run
from trainer.store.runs import RunStore

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
"""What the system answers where a file can't have a second name: another file system, none with links, too many."""


def new_fork_run(
    store: RunStore,
    parent: Run,
    changes: Mapping[str, Any],
    *,
    step: int = 0,
    name: str = "",
    fresh_optimizer: bool = False,
) -> str:
    """Add a run that goes on from a checkpoint of another one, which may be alive; its id. Commits.

    Args:
        store: the store.
        parent: the run that has the checkpoint.
        changes: settings by name that are not the parent's.
        step: of the checkpoint; 0 takes the newest one that verifies.
        name: of the child, by default made from the parent's.
        fresh_optimizer: begin with a new optimiser instead of the state that the checkpoint has.

    Raises:
        UsageError: the run has no checkpoint, is in the trash, or is not one that trains.
        ConfigError: a setting can't change, has a wrong value, or leaves nothing to train.
        CheckpointError: the checkpoint is damaged.
        StoreError: the child's folder can't be written.
    """
    refuse_trashed(store, parent)
    name = checked_name(name) or _free_name(store, parent)
    config = fork_config(parent, changes)
    child_id = new_run_id()
    try:
        manifest, faults = _first_good(store, parent, config, child_id, step=step, fresh=fresh_optimizer)
        _announce(store, parent, manifest, config, child_id, name, fresh=fresh_optimizer)
    except OSError as error:
        _clear(store.runs_path, child_id)
        raise StoreError(
            f"{error.filename or run_dir(store.runs_path, child_id)} can't be written ({error.strerror}); free some "
            "space and fork again"
        ) from error
    except BaseException:
        _clear(store.runs_path, child_id)
        raise
    for sentence in faults:
        store.event(child_id, "checkpoint-fallback", f"{sentence}; an older one was taken", level="warning")
    return child_id


def _first_good(
    store: RunStore, parent: Run, config: PretrainConfig, child_id: str, *, step: int, fresh: bool
) -> tuple[Manifest, list[str]]:
    """The checkpoint that the child has now, and a sentence for each newer one that is damaged.

    Raises:
        CheckpointError: none can be used.
    """
    faults: list[str] = []
    for path in _candidates(store, parent, step):
        try:
            manifest = _read(path)
            check_start(parent, manifest, config, fresh_optimizer=fresh)
            _take(store.runs_path, manifest, child_id)
        except FileNotFoundError:  # its run has deleted it meanwhile, for newer ones
            faults += [f"the checkpoint of step {step} was deleted for newer ones"] if step else []
        except BadManifestError as error:
            faults.append(f"the checkpoint of step {_step_of(path)} can't be used, {error}")
        else:
            return manifest, faults
    raise CheckpointError(f"{parent.name}: {'; '.join(faults) or 'no checkpoint is left'}; fork from another --step")


def _read(path: Path) -> Manifest:
    manifest = read_manifest(path)
    if not is_intact(json.loads(path.read_bytes())):
        raise BadManifestError("its manifest is not as it was written")
    return manifest


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _candidates(store: RunStore, parent: Run, step: int) -> Iterator[Path]:
    """The manifests to try, the newest first; while they are tried the parent may write newer ones and delete these.

    Raises:
        UsageError: there is none.
        ConfigError: there is none of that step.
    """
    tried: set[Path] = set()
    paths = manifest_paths(run_dir(store.runs_path, parent.id))
    if not paths:
        raise UsageError(f"{parent.name} has no checkpoint to fork from; resume it, or wait for its first one")
    if step and step not in map(_step_of, paths):
        there_are = ", ".join(str(number) for number in sorted(map(_step_of, paths)))
        raise ConfigError("step", f"{parent.name} has no checkpoint of step {step}; it has {there_are}")
    while True:
        fresh = [path for path in paths if path not in tried and (not step or _step_of(path) == step)]
        if not fresh:
            return
        tried.add(fresh[0])
        yield fresh[0]
        paths = manifest_paths(run_dir(store.runs_path, parent.id))


def _take(runs: Path, manifest: Manifest, child_id: str) -> None:
    """Give the child the checkpoint's file, and check its bytes there, where nobody deletes it any more.

    Raises:
        BadManifestError: they are not those that were written.
        FileNotFoundError: the parent has deleted it.
        OSError: the disk refused.
    """
    folder = checkpoint_dir(runs, child_id)
    make_folder(folder, exist_ok=True)
    link_or_copy(manifest.path, folder / manifest.file)
    fault = fault_of(dataclasses.replace(manifest, folder=folder))
    if fault:
        (folder / manifest.file).unlink()
        raise BadManifestError(fault)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or a durable copy where the file system has no links.

    Raises:
        OSError: neither can be made; nothing is left at the target.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    temporary = target.with_name(target.name + ".tmp")
    try:
        with source.open("rb") as original, os.fdopen(create_anew(temporary), "wb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            flush(copy.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _announce(
    store: RunStore,
    parent: Run,
    manifest: Manifest,
    config: PretrainConfig,
    child_id: str,
    name: str,
    *,
    fresh: bool,
) -> None:
    """Write the child's manifest, then its row with that of its checkpoint."""
    fresh = fresh or manifest.fresh_optimizer  # a child's first checkpoint still has the state that it drops
    run = {
        "id": child_id,
        "created_at": time.time(),
        "name": name,
        "kind": config.kind,
        "config": config.to_json(),
        "preset": parent.preset,
        "batch_size": config.batch_size,
        "parent_run_id": parent.id,
        "parent_step": manifest.step,
    }
    results = [field.name for field in changed_results(manifest.config, config)]
    if parent.steps_per_epoch and all(rule_of(name, config).way is not Way.FORK for name in results):
        run |= {"steps_per_epoch": parent.steps_per_epoch, "total_steps": config.epochs * parent.steps_per_epoch}
    if not results:
        # It goes on bit for bit where the parent was, as long as what bits depend on stays the same.
        run |= {"fingerprint": parent.fingerprint, "exactness": parent.exactness}
    _write_manifest(store, parent, manifest, run, fresh=fresh)
    row = {
        "run_id": child_id,
        "step": manifest.step,
        "epoch": manifest.epoch,
        "path": str((checkpoint_dir(store.runs_path, child_id) / manifest.file).relative_to(store.runs_path)),
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "reason": REASON,
        "knn_top1": manifest.knn_top1,
        "verified_at": run["created_at"],
    }
    message = f"{name} forked from {parent.name} at {start_words(parent, manifest, config)}"
    store.create_fork(run, row, message + (" · with a new optimiser" if fresh else ""))


def _write_manifest(store: RunStore, parent: Run, manifest: Manifest, run: dict[str, Any], *, fresh: bool) -> None:
    """Announce the checkpoint in the child's folder; what the parent does with its own makes no difference now."""
    lineage = {"parent_run_id": parent.id, "parent_step": manifest.step}
    values = {
        "format": FORMAT,
        "run_id": run["id"],
        "name": run["name"],
        "preset": run["preset"],
        "created_at": run["created_at"],
        "step": manifest.step,
        "epoch": manifest.epoch,
        "reason": REASON,
        "knn_top1": manifest.knn_top1,
        "config": run["config"],
        "file": manifest.file,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        **lineage,
        "parent_config": manifest.config.to_json(),
        # A child's first checkpoint still has the steps of its parent; the child counts them anew when it begins.
        "parent_steps_per_epoch": manifest.parent_steps_per_epoch or parent.steps_per_epoch,
        "fresh_optimizer": fresh,
        "summary": lineage,
    }
    folder = checkpoint_dir(store.runs_path, run["id"])
    text = json.dumps(sealed(values), indent=1, sort_keys=True)
    write_durably(folder / f"step-{manifest.step}.json", text.encode())
    sync(folder.parent)
    sync(store.runs_path)


def _clear(runs: Path, child_id: str) -> None:
    """Take back the folder of a child that did not come about."""
    with contextlib.suppress(OSError):
        shutil.rmtree(run_dir(runs, child_id))


def _free_name(store: RunStore, parent: Run) -> str:
    """The parent's name with -fork behind it, and a number where that is taken."""
    taken = {run.name for run in store.runs()}
    for number in range(1, len(taken) + 2):
        end = "-fork" if number == 1 else f"-fork-{number}"
        room = LONGEST_NAME - len(end)
        base = parent.name if cell_len(parent.name) <= room else set_cell_size(parent.name, room).rstrip()
        if base + end not in taken:
            return base + end
    raise AssertionError("one of them is free")
