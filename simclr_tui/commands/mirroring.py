"""`mirror`: a run's figures handed to another program's logger."""

import argparse
import os
import sys
from pathlib import Path

from simclr_tui.commands.output import open_reader
from trainer.errors import ExitCode
from trainer.mirror.names import check_installed


def mirror(options: argparse.Namespace, runs: Path) -> int:
    """Become the program that mirrors; loggers import what a dashboard does without.

    Raises:
        UsageError: the logger's package is missing, or the run is unknown.
    """
    check_installed(options.to)
    with open_reader(runs) as reader:
        run = reader.find(options.run)
    words = [sys.executable, "-m", "trainer.mirror", "--runs-dir", str(runs), "--run", run.id]
    words += [f"--to={options.to}", *(["--follow"] if options.follow else [])]
    sys.stdout.flush()
    os.execv(words[0], words)
    return ExitCode.FINISHED
