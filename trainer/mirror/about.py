"""What a logger is told of a run beside its figures. Folders of this machine stay here."""

from pathlib import PurePath
from typing import Any

from trainer.mirror.sink import About
from trainer.paths import run_dir
from trainer.serialised import FOLDER
from trainer.store.labels import labels_of
from trainer.store.reader import StoreReader
from trainer.stored_settings import settings_of

_PLACES = ("data_dir",)
"""Settings that say only where something lies on this machine."""


def about(reader: StoreReader, run_id: str) -> About:
    """A run for a logger, as it is now.

    Raises:
        StoreError: the store can't be read.
    """
    run, labels = reader.run(run_id), labels_of(reader, run_id)
    settings = {name: _shown(value) for name, value in settings_of(run).items() if name not in _PLACES}
    more = {"preset": run.preset, "kind": run.kind, "device": run.device, "parent_run_id": run.parent_run_id}
    return About(
        id=run.id,
        name=run.name,
        settings=settings | {name: value for name, value in more.items() if value is not None},
        tags=labels.tags,
        note=labels.note,
        created_at=run.created_at,
        folder=run_dir(reader.runs_path, run.id),
        runs=reader.runs_path,
    )


def _shown(value: Any) -> Any:
    """A setting without the path of a folder of images, of which the last name is kept."""
    if isinstance(value, str) and value.startswith(FOLDER):
        return FOLDER + PurePath(value.removeprefix(FOLDER)).name
    return value
