"""`preview`: the views that a recipe makes, by the trainer's own program, which has torch."""

import argparse
import sys
from pathlib import Path

from simclr_tui.commands.becoming import become


def preview(options: argparse.Namespace, runs: Path) -> int:
    """Become `python -m trainer.preview` with the same words and the same runs folder."""
    return become([sys.executable, "-m", "trainer.preview", "--runs-dir", str(runs), *options.words])
