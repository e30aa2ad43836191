"""What of a run is worth having in the clipboard. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simclr_tui.format import UNKNOWN, number, percent
from simclr_tui.model import RunRow
from simclr_tui.run.changed_settings import changed_settings
from trainer.presets import preset_names
from trainer.store.records import TRAINED_KINDS


@dataclass(frozen=True, slots=True)
class Copyable:
    """A text with what it is."""

    id: str
    what: str
    text: str


def copyables(row: RunRow, runs: Path) -> list[Copyable]:
    """What can be copied of a run, the likeliest first."""
    run, folder = row.run, ["--runs-dir", str(runs.absolute())]
    found = [
        Copyable("id", "id", run.id),
        Copyable("name", "name", run.name),
        Copyable("folder", "folder", str((runs / run.id).absolute())),
    ]
    if run.kind in TRAINED_KINDS:
        found.append(Copyable("resume", "command that resumes it", command("resume", run.id, *folder)))
        found.append(Copyable("launch", "command that launches one like it", launch_command(row, folder)))
    found.append(Copyable("figures", "latest figures", figures(row)))
    return found


def command(verb: str, *words: str) -> str:
    """A command line of this program."""
    return shlex.join(["simclr-tui", verb, *words])


def launch_command(row: RunRow, folder: Sequence[str]) -> str:
    """The command that makes a run with the same settings."""
    run = row.run
    words = ["--preset", run.preset] if run.preset in preset_names() else []
    words += ["--name", run.name]
    return command("launch", *words, *(_option(one.name, one.value) for one in changed_settings(run)), *folder)


def _option(name: str, value: Any) -> str:
    """A setting on the command line, with every digit of a number."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option}={value}"


def figures(row: RunRow) -> str:
    """The latest figures in a line, for a message or a notebook."""
    run = row.run
    epoch = UNKNOWN if run.epoch is None else f"{run.epoch}/{row.total_epochs or UNKNOWN}"
    parts = [f"{run.name} ({run.id})", row.state, f"epoch {epoch}"]
    parts += [f"loss {number(run.loss)}", f"kNN {percent(run.knn_top1)} %"]
    return " · ".join(parts)
