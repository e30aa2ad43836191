"""The store from Python, for notebooks and scripts: runs, and what they measured as plain columns. Reads only.

    from trainer.opened import open_runs

    with open_runs("runs") as opened:
        first = opened.run("first")
        steps = opened.columns(first, "steps")

Needs neither torch nor NumPy nor pandas; `frame` gives a DataFrame where pandas is installed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from trainer.errors import StoreError, UsageError
from trainer.paths import runs_dir, store_file
from trainer.quote import quoted
from trainer.state import run_state
from trainer.store.pages import KEYS, kinds_of, pages
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.stored_settings import settings_of

if TYPE_CHECKING:
    import pandas as pd

TABLES = tuple(KEYS)
"""The tables that have rows of a run: steps, epochs, metrics, device_samples, evaluations, …"""


class OpenedRuns:
    """A runs folder that is open to be read, also while its runs go on. A context manager that closes it."""

    def __init__(self, reader: StoreReader) -> None:
        """Args: the reader of the store, which is closed with this."""
        self._reader = reader

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._reader.close()

    def runs(self) -> list[Run]:
        """Every run, the newest first, archived ones and those in the trash too."""
        return self._reader.runs()

    def run(self, name: str) -> Run:
        """One run by its id, the beginning of its id, or its name: the newest of that name.

        Raises:
            UnknownRunError: there is none, or several ids begin so.
        """
        return self._reader.find(name)

    def state(self, run: Run | str) -> str:
        """What a run is at: running, paused, finished, … (`trainer.state.STATES`)."""
        return run_state(self._run(run), self._reader.runs_path)

    def settings(self, run: Run | str) -> dict[str, Any]:
        """The settings of a run by name."""
        return settings_of(self._run(run))

    def columns(self, run: Run | str, table: str = "steps", names: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """What a table holds of a run: a list by column, all of the same length, in the order of steps or of time.

        None where nothing was measured; NaN where a value of `steps` or `metrics` was not finite.

        Args:
            run: the run, or its id or name.
            table: one of TABLES; what its columns mean is in docs/store.md.
            names: the columns that are wanted, by default all of them.

        Raises:
            UsageError: there is no such table or column.
        """
        if table not in KEYS:
            raise UsageError(f"{quoted(table)} is no table with rows of runs; choose from {', '.join(TABLES)}")
        kinds = kinds_of(self._reader, table)
        wrong = [name for name in names or () if name not in kinds]
        if wrong:
            raise UsageError(f"{table} has no column {quoted(wrong[0])}; it has {', '.join(kinds)}")
        wanted = {name: place for place, name in enumerate(kinds) if names is None or name in names}
        found: dict[str, list[Any]] = {name: [] for name in (wanted if names is None else names)}
        for page in pages(self._reader, table, self._run(run).id, with_nan=True):
            for name in found:
                found[name].extend(row[wanted[name]] for row in page)
        return found

    def frame(self, run: Run | str, table: str = "steps", names: Sequence[str] | None = None) -> "pd.DataFrame":
        """The same as a pandas DataFrame.

        Raises:
            UsageError: there is no such table or column, or pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UsageError("a DataFrame needs `pip install pandas`; or take the columns") from error
        return pd.DataFrame(self.columns(run, table, names))

    def metric(self, run: Run | str, name: str) -> tuple[list[int], list[float]]:
        """A series of `metrics` by its name: its steps and its values; two empty lists where there is none."""
        values = self._reader.metrics(self._run(run).id).get(name, [])
        return [step for step, _ in values], [float("nan") if value is None else value for _, value in values]

    def _run(self, run: Run | str) -> Run:
        return run if isinstance(run, Run) else self.run(run)


def open_runs(path: str | Path | None = None) -> OpenedRuns:
    """Open a runs folder to read it.

    Args:
        path: of the folder, by default $SIMCLR_TUI_RUNS, else ./runs.

    Raises:
        StoreError: there is no store in it, or it can't be read.
        StoreVersionError: it was made by a newer version.
    """
    runs = runs_dir(None if path is None else str(path))
    if not store_file(runs).exists():
        raise StoreError(f"there is no run in {runs} yet; name the folder that has the runs.db")
    return OpenedRuns(StoreReader.open(runs))
