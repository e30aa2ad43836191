"""The tables of a run as CSV, JSON Lines or Parquet, one file a table, in the memory of a page.

What was never measured is an empty field, in JSON and Parquet null. What was measured and not finite is nan, in JSON
NaN as Python's json, pandas and jq read and write it (RFC 8259 has no word for it). Floats have all their digits.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.export.about import write_about
from trainer.export.target import new_folder, unwritable
from trainer.store.pages import kinds_of, pages
from trainer.store.reader import StoreReader
from trainer.store.records import Run

TABLES = (
    "steps",
    "epochs",
    "metrics",
    "device_samples",
    "rank_samples",
    "evaluations",
    "anatomy",
    "benchmark_trials",
    "events",
)
"""What is exported, empty ones too, so that whoever reads the files finds all of them."""

Page = Sequence[Sequence[Any]]
_Write = Callable[[Page], None]
_ROWS_AT_ONCE = 20_000
"""A page is a row group of Parquet, and small ones are slow to read."""


def write_tables(reader: StoreReader, run: Run, out: Path, format_: str, *, force: bool) -> dict[str, int]:
    """Write the tables of a run into a new folder; how many rows each has. Reads only what is there at each moment.

    Args:
        reader: the store.
        run: the run, which may be alive.
        out: the folder.
        format_: one of FORMATS.
        force: write over an export that is there.

    Raises:
        UsageError: the folder is there already, or the format needs a package that is not installed.
        TrainerError: the disk refused.
        StoreError: the store can't be read.
    """
    if format_ == "parquet" and find_spec("pyarrow") is None:
        raise UsageError("--to parquet needs `pip install 'simclr-tui[parquet]'`; or choose csv or jsonl")
    rows: dict[str, int] = {}
    try:
        with new_folder(out, force=force) as folder:
            for table in TABLES:
                kinds = kinds_of(reader, table)
                if kinds:
                    rows[table] = _write(reader, run, table, kinds, folder / f"{table}.{format_}", FORMATS[format_])
            write_about(folder, reader, run, rows)
    except OSError as error:
        raise unwritable(out, error) from error
    return rows


def _write(reader: StoreReader, run: Run, table: str, kinds: Mapping[str, type], path: Path, opened: "_Opened") -> int:
    count = 0
    with opened(path, kinds) as write:
        for page in pages(reader, table, run.id, with_nan=True, rows=_ROWS_AT_ONCE):
            write(page)
            count += len(page)
    return count


@contextmanager
def csv_file(path: Path, kinds: Mapping[str, type]) -> Iterator[_Write]:
    """A CSV file (RFC 4180 with LF as the end of a line) with a line of names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(kinds)
        yield writer.writerows


@contextmanager
def jsonl_file(path: Path, kinds: Mapping[str, type]) -> Iterator[_Write]:
    """A file with a JSON object a line."""
    with path.open("w", encoding="utf-8") as file:

        def write(page: Page) -> None:
            file.writelines(json_lines(kinds, page))

        yield write


def json_lines(names: Iterable[str], page: Page) -> Iterator[str]:
    """Rows as JSON objects, each with the end of its line."""
    keys = list(names)
    return (json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in page)


@contextmanager
def parquet_file(path: Path, kinds: Mapping[str, type]) -> Iterator[_Write]:
    """A Parquet file whose columns have the types of the store's."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    with parquet.ParquetWriter(path, schema) as writer:

        def write(page: Page) -> None:
            columns = zip(*page, strict=True)
            arrays = [
                pa.array(column, type=field.type, from_pandas=False)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write


_Opened = Callable[[Path, Mapping[str, type]], Any]

FORMATS: dict[str, _Opened] = {"csv": csv_file, "jsonl": jsonl_file, "parquet": parquet_file}
