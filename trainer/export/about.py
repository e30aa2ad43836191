"""What an export says of the run that it is of."""

import dataclasses
import json
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainer.export.target import ABOUT, MADE_BY
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.stored_settings import settings_of


def about(run: Run, rows: Mapping[str, int]) -> dict[str, Any]:
    """The run's row, its settings as an object, and how many rows of each table were exported."""
    values = dataclasses.asdict(run)
    del values["config"], values["pending_command"]
    return {
        "made_by": MADE_BY,
        "version": version("simclr-tui"),
        "exported_at": time.time(),
        "run": values,
        "settings": settings_of(run),
        "rows": dict(rows),
    }


def write_about(folder: Path, reader: StoreReader, run: Run, rows: Mapping[str, int]) -> None:
    """Write it into a folder that is being made, as the run is now."""
    text = json.dumps(about(reader.run(run.id), rows), indent=2)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")
