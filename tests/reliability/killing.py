"""Kill -9 at chosen kinds of moments, again and again, until a plan of them has been carried out."""

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.trainers import Trainer, until
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import StoreReader

MOMENTS = ("starting", "resumed", "progress", "later", "saving")
"""Before its first step, about its first step and before its first checkpoint, as soon as a step or checkpoint of this
life is there, at a random instant after a random step further on, and while a checkpoint is written there."""

_SAVE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill that hit a live trainer, and what the disk held of the run then."""

    moment: str
    checkpoint_step: int
    stored_step: int


def torment(
    runs: Path, run_id: str, plan: list[str], draw: random.Random, workers: list[str], *, control: str = ""
) -> list[Kill]:
    """Start, kill and start a run again until the plan is done or the run is; then let it finish.

    Args:
        runs: the runs folder.
        run_id: a run that exists.
        plan: of MOMENTS, in order.
        draw: what the random instants come from.
        workers: numbers of loader workers, one for each life in turn; empty leaves the run's own.
        control: how the trainers are broken on purpose.

    Returns:
        The kills that hit.
    """
    kills: list[Kill] = []
    for life, moment in enumerate(plan):
        trainer = Trainer(runs, "--run", run_id, *_given(workers, life), control=control)
        hit = _hit(runs, run_id, trainer, moment, draw)
        if hit is None:
            break
        kills.append(hit)
    last = Trainer(runs, "--run", run_id, *_given(workers, len(plan)), control=control)
    assert last.wait() == 0, last.said()
    return kills


def most_in_one_epoch(kills: list[Kill], steps_per_epoch: int) -> int:
    """How many kills fell into the same epoch, by the checkpoint that they went back to."""
    return max(Counter(kill.checkpoint_step // steps_per_epoch for kill in kills).values(), default=0)


def _given(workers: list[str], life: int) -> list[str]:
    return ["--num-workers", workers[life % len(workers)]] if workers else []


def _hit(runs: Path, run_id: str, trainer: Trainer, moment: str, draw: random.Random) -> Kill | None:
    """Wait for the moment and kill; None where the trainer had ended by then."""
    reader = StoreReader.open(runs)
    folder = checkpoint_dir(runs, run_id)
    before = (reader.last_step(run_id), checkpoint.steps_on_disk(folder))

    def ended() -> bool:
        return not trainer.process.is_alive()

    def moved() -> bool:
        return (reader.last_step(run_id), checkpoint.steps_on_disk(folder)) != before or ended()

    try:
        until(lambda: reader.run(run_id).pid == trainer.pid or ended(), every=0.002)
        if moment == "starting":
            time.sleep(draw.uniform(0.0, 0.05))
        elif moment == "resumed":
            until(lambda: moved() or _is_resumed(reader, run_id), every=0.002)
            time.sleep(draw.uniform(0.0, 0.08))
        else:
            further = draw.randint(1, (reader.run(run_id).total_steps or 24) // 3)
            goal = before[0] + (0 if moment == "progress" else further)
            until(lambda: (moved() and reader.last_step(run_id) >= goal) or ended(), every=0.002)
            if moment == "saving":
                _wait_for_a_save(folder, trainer)
            elif moment == "later":
                time.sleep(draw.uniform(0.0, 0.1))
        trainer.process.kill()
        if trainer.wait() != -9:
            return None
        on_disk = checkpoint.steps_on_disk(folder)
        return Kill(moment, on_disk[0] if on_disk else 0, reader.last_step(run_id))
    finally:
        reader.close()


def _is_resumed(reader: StoreReader, run_id: str) -> bool:
    """Whether the newest life has loaded its checkpoint; one without a checkpoint never does."""
    kinds = [event.kind for event in reader.events(run_id=run_id)]
    lives = [place for place, kind in enumerate(kinds) if kind in ("started", "resumed")]
    return "resumed-from" in kinds[lives[-1] :]


def _wait_for_a_save(folder: Path, trainer: Trainer) -> None:
    """Until the temporary file of a checkpoint is seen, or for a while."""
    deadline = time.monotonic() + _SAVE_SECONDS
    while trainer.process.is_alive() and time.monotonic() < deadline:
        if next(folder.glob("*.tmp"), None) is not None:
            return
