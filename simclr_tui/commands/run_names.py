"""`--run-names`: the names that a shell completes, a line each; asked at every tab, so it imports next to nothing."""

import re
from pathlib import Path

from trainer.errors import ExitCode
from trainer.paths import check_runs_dir, store_file
from trainer.store.reader import StoreReader

MOST = 1000
_SAFE = re.compile(r"[\w@%+,./][\w@%+,./-]*", re.ASCII)
"""Names that are one word to every shell, so that none is ever expanded, split or run there."""


def say_run_names(runs: Path) -> int:
    """Print the newest runs' names, or the id of a run whose name is no plain word; nothing where there is no store.

    Raises:
        StoreError: the store can't be read.
    """
    check_runs_dir(runs)
    if store_file(runs).exists():
        reader = StoreReader.open(runs)
        try:
            rows = reader.names(MOST)
        finally:
            reader.close()
        words = [name if _SAFE.fullmatch(name) else run_id for run_id, name in rows]
        print(*dict.fromkeys(words), sep="\n")  # noqa: T201
    return ExitCode.FINISHED
