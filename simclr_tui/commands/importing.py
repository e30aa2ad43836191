"""`import`: a run added from an archive, or from TensorBoard's event files."""

import argparse
from contextlib import closing
from pathlib import Path

from simclr_tui.commands.exporting import counted
from simclr_tui.commands.output import say, say_json
from trainer.adding import AddingStore
from trainer.errors import ExitCode, UsageError
from trainer.paths import typed_path


def import_run(options: argparse.Namespace, runs: Path) -> int:
    """Add a run, and say how to go on.

    Raises:
        UsageError: the path is not there or of no use, or the run is there already.
        TrainerError: what is there is damaged.
        StoreError: it can't be written.
    """
    if "\0" in options.path:
        raise UsageError("PATH: it can't hold a NUL; name an archive")
    path = typed_path(options.path).absolute()
    if not path.exists():
        raise UsageError(f"{path} is not there; name an archive, or a folder of event files")
    return _events(path, options, runs) if path.is_dir() else _archive(path, options, runs)


def _archive(path: Path, options: argparse.Namespace, runs: Path) -> int:
    from trainer.export.importing import import_archive

    with closing(AddingStore.open(runs)) as store:
        found = import_archive(store, path, name=options.name)
    if options.json:
        say_json(
            {"run_id": found.run_id, "name": found.name, "from": str(path), "steps": found.steps}
            | {"checkpoints": found.checkpoints, "left_out": list(found.left_out)}
        )
        return ExitCode.FINISHED
    had = f"{counted(found.steps, 'step')} and {counted(found.checkpoints, 'checkpoint')}"
    say(f"{found.name} ({found.run_id}) is imported with {had}; `simclr-tui show {found.run_id}` shows it")
    for sentence in found.left_out:
        say(f"! the archive lacks {sentence}")
    return ExitCode.FINISHED


def _events(folder: Path, options: argparse.Namespace, runs: Path) -> int:
    from trainer.export.event_run import import_events

    with closing(AddingStore.open(runs)) as store:
        found = import_events(store, folder, name=options.name)
    if options.json:
        say_json(
            {"run_id": found.run_id, "name": found.name, "from": str(folder), "values": found.values}
            | {"steps": found.steps, "epochs": found.epochs, "notes": list(found.notes)}
        )
        return ExitCode.FINISHED
    had = f"{counted(found.values, 'value')}: {counted(found.steps, 'step')}, {counted(found.epochs, 'epoch')}"
    say(f"{found.name} ({found.run_id}) is imported with {had}; `simclr-tui compare {found.run_id} RUN` sets it beside")
    for sentence in found.notes:
        say(f"! {sentence}")
    return ExitCode.FINISHED
