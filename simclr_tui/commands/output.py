"""What commands share: opening the store, columns for people, one JSON document for scripts."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from trainer.errors import UnknownRunError
from trainer.paths import check_runs_dir, store_file
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.stored_settings import settings_of


@contextmanager
def open_reader(runs: Path) -> Iterator[StoreReader]:
    """The store of a runs folder, to read.

    Raises:
        UnknownRunError: there is no store, or it is only being made, hence no run.
        StoreError: it can't be read.
    """
    check_runs_dir(runs)
    if not store_file(runs).exists():
        raise UnknownRunError(_no_run(runs))
    reader = StoreReader.open(runs)
    try:
        if reader.schema_version() == 0:
            raise UnknownRunError(_no_run(runs))
        yield reader
    finally:
        reader.close()


def _no_run(runs: Path) -> str:
    return f"there is no run in {runs} yet; `simclr-tui launch` makes one (or name --runs-dir)"


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201


def one_line(text: str) -> str:
    """Text of files, names and settings in one line of a terminal, whatever is in it."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def say_csv(heading: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under a heading as comma-separated values (RFC 4180); what is None is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    say(text.getvalue().removesuffix("\n"))


def section(title: str, lines: Sequence[str]) -> None:
    """Print lines under a title, after an empty line."""
    say(f"\n{title}")
    for line in lines:
        say(f"  {line}")


def say_json(value: Any) -> None:
    """Print a value as a JSON document, in which a number that is not finite is null (RFC 8259, section 6)."""
    say(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_json(run: Run, state: str) -> dict[str, Any]:
    """A run for scripts: its row, its derived state, and its settings as an object."""
    values = dataclasses.asdict(run)
    del values["config"]
    fingerprint = values.pop("fingerprint")
    objects = {"config": settings_of(run), "fingerprint": json.loads(fingerprint) if fingerprint else None}
    return {"id": run.id, "name": run.name, "state": state, **values, **objects}


def padding(text: str, width: int) -> str:
    """The blanks that are missing to a width in terminal cells; some characters take two."""
    return " " * (width - cell_len(text))


def columns(heading: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a heading, as wide as they need to be; the columns in `right` are right-aligned."""
    table = [list(heading), *map(list, rows)]
    widths = [max(cell_len(row[number]) for row in table) for number in range(len(heading))]
    lines = (
        "  ".join(
            padding(cell, width) + cell if number in right else cell + padding(cell, width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
    return "\n".join(lines)
