"""What a kill costs: the training since the newest checkpoint, at most the interval, a step and the writing of one.

Counted in the seconds that the trainer itself measured for its steps, so that a busy machine can't fail it: the steps
after a checkpoint, the last one left out, took less than the interval, or another one would have been written.
"""

import random
import time
from pathlib import Path

from tests.reliability.trainers import Trainer, newest_run, options, until
from trainer.config import PretrainConfig
from trainer.keeper import COST_LIMIT
from trainer.store import RunStore

INTERVAL_SECONDS = 1.0
WRITING_SECONDS = 1.0
"""What may be trained while a checkpoint is written behind; after a kill nothing tells how long that one took."""
KILLS = 2


def newest_checkpoint(store: RunStore, run_id: str) -> int:
    """Its step, 0 where there is none."""
    return max((row.step for row in store.checkpoints(run_id)), default=0)


def lost_seconds(store: RunStore, run_id: str) -> float:
    """Training that has to be done again if the trainer dies now, without the step that was taken last."""
    saved = newest_checkpoint(store, run_id)
    rows = store.steps(run_id, after=saved)
    if newest_checkpoint(store, run_id) != saved:  # written between the two readings
        return 0.0
    return float(sum(row["t_data"] + row["t_batch"] for row in rows[:-1]))


def allowed_seconds(store: RunStore, run_id: str) -> float:
    """The interval, longer where the newest checkpoint cost so much that it would take over 1 % of the time."""
    newest = max(store.checkpoints(run_id), key=lambda row: row.step, default=None)
    return max(INTERVAL_SECONDS, (newest.seconds or 0.0) / COST_LIMIT if newest else 0.0) + WRITING_SECONDS


def started(runs: Path, interval_seconds: float) -> tuple[Trainer, RunStore, str]:
    """A trainer of a run that is too long to end by itself, its store and its run."""
    line = options(checkpoint_seconds=str(interval_seconds), epochs="2000", keep_checkpoints="1000", knn_every="0")
    trainer = Trainer(runs, *line, "--validate-every", "0", "--health-every", "0", "--keep-every-epochs", "0")
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    return trainer, store, newest_run(runs)


def test_a_kill_loses_at_most_the_interval_and_a_step(runs: Path) -> None:
    """At whatever instant between two checkpoints it comes; it comes at some of them, and what is left is the same."""
    draw = random.Random(0)
    trainer, store, run_id = started(runs, INTERVAL_SECONDS)
    reached = 0
    for kill in range(KILLS):
        if kill:
            trainer = Trainer(runs, "--run", run_id)
        # Past what was stored before, so that every time that is added up is of one trainer.
        until(lambda reached=reached: newest_checkpoint(store, run_id) > reached)  # type: ignore[misc]
        first = newest_checkpoint(store, run_id)
        while newest_checkpoint(store, run_id) == first:
            assert lost_seconds(store, run_id) < allowed_seconds(store, run_id)
            assert trainer.process.is_alive(), trainer.said()
        time.sleep(draw.uniform(0.0, INTERVAL_SECONDS))
        trainer.kill()
        assert lost_seconds(store, run_id) < allowed_seconds(store, run_id)
        reached = store.last_step(run_id)
    store.close()


def test_checkpoints_that_are_rarer_would_fail(runs: Path) -> None:
    """The negative control: the same steps with a checkpoint now and then, as at the ends of long epochs."""
    trainer, store, run_id = started(runs, 600)
    until(lambda: lost_seconds(store, run_id) >= INTERVAL_SECONDS + WRITING_SECONDS)
    trainer.kill()
    assert not lost_seconds(store, run_id) < allowed_seconds(store, run_id)
    store.close()


def test_no_more_than_a_minute_is_lost_by_default() -> None:
    assert PretrainConfig().checkpoint_seconds <= 60
