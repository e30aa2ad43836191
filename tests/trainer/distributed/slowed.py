"""A trainer whose second rank takes longer over its views, for as long as a file says how many seconds."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from trainer.loader import ViewLoader
from trainer.run import main

VARIABLE = "SLOWED_BY"
_SLOWED = "1"


def slow_down(file: Path) -> None:
    """Let the views of a batch take so much longer in this process."""
    views = ViewLoader.views

    def slower(loader: ViewLoader, *words: Any) -> Tensor:
        if file.exists():
            time.sleep(float(file.read_text()))
        return views(loader, *words)

    setattr(ViewLoader, "views", slower)  # noqa: B010 - in a process of its own


if __name__ == "__main__":
    if os.environ["RANK"] == _SLOWED:
        slow_down(Path(os.environ[VARIABLE]))
    sys.exit(main())
