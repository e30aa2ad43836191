"""`preview`: the views that a recipe makes, by the trainer's own program, which has torch."""

import argparse
import os
import sys
from pathlib import Path

from trainer.errors import ExitCode


def preview(options: argparse.Namespace, runs: Path) -> int:
    """Become `python -m trainer.preview` with the same words and the same runs folder."""
    sys.stdout.flush()
    words = [sys.executable, "-m", "trainer.preview", "--runs-dir", str(runs), *options.words]
    os.execv(words[0], words)
    return ExitCode.FINISHED
