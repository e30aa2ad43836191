"""What a person may do with checkpoints: read them back, keep them, copy one. Each tells what came of it."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simclr_tui.format import count, size
from trainer.errors import UsageError
from trainer.paths import home_or_here
from trainer.retention import reads_back

if TYPE_CHECKING:
    from trainer.store.records import Checkpoint
    from trainer.store.runs import RunStore

HOW_TO_LOAD = 'torch.load(FILE, map_location="cpu", weights_only=True)["model"] holds the encoder and the head'
"""What an exported file is good for."""


def do(store: "RunStore", run_id: str, deed: str, steps: Sequence[int], target: Path | None = None) -> str:
    """Check, pin, unpin or export checkpoints of a run; the sentence that says what came of it.

    Raises:
        UsageError: one of them is not there any more, or is damaged, or the target can't be written.
    """
    run = store.run(run_id)
    known = {row.step: row for row in store.checkpoints(run_id)}
    gone = [step for step in steps if step not in known]
    if gone and deed != "unpin":
        raise UsageError(f"{run.name} has no checkpoint of step {count(gone[0])} any more; retention let it go")
    rows = [known[step] for step in steps if step in known]
    if deed == "check":
        return _checked(run.name, rows, verify(store, rows))
    if deed == "export":
        return _export(store, rows[0], target or home_or_here())
    for step in steps:
        (store.pin_checkpoint if deed == "pin" else store.unpin_checkpoint)(run_id, step)
    words = "stays for good" if deed == "pin" else "is left to retention again"
    return f"step {count(steps[0])} of {run.name} {words}"


def verify(store: "RunStore", rows: "Sequence[Checkpoint]") -> set[int]:
    """Read checkpoints; the steps of those whose bytes are not right.

    One that its trainer deletes meanwhile is none of them. A damaged one is left where it is, since its trainer may be
    at work there: it only counts for nothing from now on.
    """
    damaged = set()
    for row in rows:
        is_good = reads_back(store.runs_path / row.path, row.bytes, row.sha256)
        still_there = {one.step: one.sha256 for one in store.checkpoints(row.run_id)}
        if still_there.get(row.step) != row.sha256:
            continue
        store.set_verified(row.run_id, row.step, time.time() if is_good else None)
        if not is_good:
            damaged.add(row.step)
    return damaged


def _checked(name: str, rows: "Sequence[Checkpoint]", damaged: set[int]) -> str:
    if damaged:
        steps = ", ".join(map(count, sorted(damaged)))
        raise UsageError(f"damaged: step {steps} of {name}; it counts for nothing now, and the one before is used")
    what = f"step {count(rows[0].step)}" if len(rows) == 1 else f"all {len(rows)} checkpoints"
    return f"{what} of {name} read back right ({size(sum(row.bytes for row in rows))})"


def _export(store: "RunStore", row: "Checkpoint", target: Path) -> str:
    source = store.runs_path / row.path
    if target.is_dir():
        target = target / f"{row.run_id}-step-{row.step}.pt"
    if target.exists():
        raise UsageError(f"{target} is there already; name another file")
    if not reads_back(source, row.bytes, row.sha256):
        raise UsageError(f"step {count(row.step)} does not read back right, so it was not copied; c checks the others")
    partial = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{target} can't be written ({error.strerror}); name another file") from error
    return f"copied to {target} ({size(row.bytes)}); {HOW_TO_LOAD}"
