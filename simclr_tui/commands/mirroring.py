"""`mirror`: a run's figures handed to another program's logger."""

import argparse
import sys
from pathlib import Path

from simclr_tui.commands.becoming import become
from simclr_tui.commands.output import open_reader


def mirror(options: argparse.Namespace, runs: Path) -> int:
    """Become the program that mirrors; loggers import what a dashboard does without.

    Raises:
        UsageError: the run is unknown.
    """
    with open_reader(runs) as reader:
        run = reader.find(options.run)
    words = [sys.executable, "-m", "trainer.mirror", "--runs-dir", str(runs), "--run", run.id]
    words += [f"--to={options.to}", *(["--follow"] if options.follow else [])]
    return become(words)
