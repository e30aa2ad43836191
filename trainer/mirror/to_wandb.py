"""Weights & Biases, by its own client: a run of the same id, in W&B's own account and project settings.

Every point is a row of the history with `step` as the axis of all charts, since W&B's own count refuses what comes
late, such as an evaluation of an older checkpoint. With each row goes the key of the store's row that it is: what W&B
has of them, on its server or in its files, is where a mirror goes on, so that no row is lost or doubled whatever ended
the one before.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.mirror.mark import Mark, Reached
from trainer.mirror.points import KEYS, Point
from trainer.mirror.sink import PROJECT, About, Sink
from trainer.mirror.wandb_files import history, offline_files

AXIS = "step"
KEY_PREFIX = "mirror/"
"""Before the tables, in the keys under which each row says which one it is; hidden from charts."""

_QUIET_SECONDS, _WRITTEN_SECONDS = 1.0, 10.0
"""A file that did not change for so long is complete; how long that is waited for."""

_FAILED = {"failed": 1, "interrupted": 1}


class WandbSink(Sink):
    """A run of W&B."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._run: Any = None
        self._count = 0

    def open(self, about: About, _mark: Mark) -> Reached:
        """Begin or go on with the run of this id.

        Raises:
            wandb.errors.Error: no login, no network within W&B's own time, or a project that can't be written.
            OSError: the disk refused.
        """
        import wandb

        folder = Path(os.environ.get("WANDB_DIR") or about.folder / "mirrors")
        before = offline_files(folder, about.id)
        _wait_until_written(before)
        self._run = wandb.init(
            id=about.id,
            resume="allow",
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=about.name,
            config=about.settings,
            tags=list(about.tags),
            notes=about.note or None,
            dir=folder,
            settings=_settings(wandb),
        )
        if self._run.disabled:
            raise RuntimeError("WANDB_MODE is disabled, so nothing would be written; unset it or choose offline")
        self._run.define_metric(AXIS, hidden=True)
        self._run.define_metric(KEY_PREFIX + "*", hidden=True)
        self._run.define_metric("*", step_metric=AXIS)
        if self._run.offline:
            self.where = str(Path(self._run.dir).parent)
            reached, self._count = _reached_in(row for path in before for row in history(path))
            return reached
        self.where = str(self._run.url)
        self._count = int(self._run.step)
        return _reached_in([dict(self._run.summary)])[0]

    def write(self, points: Sequence[Point]) -> None:
        """A row a point; W&B's own process sends them on."""
        for point in points:
            row = {AXIS: point.step, KEY_PREFIX + point.table: json.dumps(point.key), **point.values}
            self._run.log(row, step=self._count, commit=True)
            self._count += 1

    def close(self, state: str) -> None:
        """End the run in W&B: as failed where it failed or was cut off, else as finished."""
        self._run.summary["state"] = state
        self._run.finish(exit_code=_FAILED.get(state, 0))


def _wait_until_written(files: Sequence[Path]) -> None:
    """Give W&B's own process, which outlives a mirror that was killed, time to write what it was handed."""
    deadline = time.time() + _WRITTEN_SECONDS
    while time.time() < deadline and any(time.time() - path.stat().st_mtime < _QUIET_SECONDS for path in files):
        time.sleep(_QUIET_SECONDS / 10)


def _settings(wandb: Any) -> Any:
    """Nothing but what is logged: no code, no console, no machine, no packages."""
    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        save_code=False,
        host="",
        quiet=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _reached_in(rows: Iterable[Mapping[str, Any]]) -> tuple[Reached, int]:
    """The highest key of each table in some rows, and one more than W&B's highest count."""
    reached: Reached = {}
    count = 0
    for row in rows:
        count = max(count, int(row.get("_step", -1)) + 1)
        for table in KEYS:
            if (text := row.get(KEY_PREFIX + table)) is not None:
                reached[table] = max(reached.get(table, ()), tuple(json.loads(text)))
    return reached, count
