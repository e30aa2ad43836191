"""Tables as files: what is read back by the libraries that people use is what the store holds."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.trainer.export.filled import PER_EPOCH, STEPS, filled_run
from trainer.errors import TrainerError, UsageError
from trainer.export.tables import FORMATS, TABLES, write_tables
from trainer.store import RunStore, StoreReader
from trainer.store.pages import KEYS, kinds_of, pages


def stored(store: RunStore, table: str, run_id: str) -> list[dict[str, Any]]:
    """The rows of a run by plain SQL, in the order in which they were written, NaN where a measured value is NULL."""
    rows = store.connection.execute(f"SELECT * FROM {table} WHERE run_id = ? ORDER BY rowid", (run_id,)).fetchall()
    found = [{name: row[name] for name in row.keys() if name not in ("run_id", "id")} for row in rows]  # noqa: SIM118
    if table == "metrics":
        found.sort(key=lambda row: (row["name"], row["step"]))
    for row in found:
        for name in {"steps": ["loss"], "metrics": ["value"]}.get(table, []):
            row[name] = math.nan if row[name] is None else row[name]
    return found


def same(one: Any, other: Any) -> bool:
    return one == other or (
        isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    )


def assert_rows(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(found) == len(wanted)
    for row, other in zip(found, wanted, strict=True):
        assert row.keys() == other.keys()
        assert [name for name in row if not same(row[name], other[name])] == []


def from_csv(path: Path, kinds: dict[str, type]) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: kinds[name](text) if text else None for name, text in row.items()} for row in csv.DictReader(file)
        ]


def from_jsonl(path: Path, kinds: dict[str, type]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def from_parquet(path: Path, kinds: dict[str, type]) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


READERS: dict[str, Callable[[Path, dict[str, type]], list[dict[str, Any]]]] = {
    "csv": from_csv,
    "jsonl": from_jsonl,
    "parquet": from_parquet,
}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_row_of_every_table_is_read_back(store: RunStore, tmp_path: Path, format_: str) -> None:
    run_id = filled_run(store)
    counts = write_tables(store, store.run(run_id), tmp_path / "out", format_, force=False)
    assert set(counts) == set(TABLES)
    assert counts["steps"] == STEPS
    assert counts["epochs"] == STEPS // PER_EPOCH
    for table in TABLES:
        found = READERS[format_](tmp_path / "out" / f"{table}.{format_}", kinds_of(store, table))
        wanted = stored(store, table, run_id)
        if format_ == "csv":  # it has no other empty text
            wanted = [{name: None if value == "" else value for name, value in row.items()} for row in wanted]
        assert_rows(found, wanted)
        assert counts[table] == len(found)
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["run"]["id"] == run_id
    assert about["settings"]["dataset"] == "shapes"
    assert about["rows"] == counts
    assert not list(tmp_path.glob(".*"))


def test_pandas_reads_each_format_to_the_same_figures(store: RunStore, tmp_path: Path) -> None:
    run_id = filled_run(store)
    for format_ in FORMATS:
        write_tables(store, store.run(run_id), tmp_path / format_, format_, force=False)
    frames = [
        pd.read_csv(tmp_path / "csv" / "steps.csv"),
        pd.read_parquet(tmp_path / "parquet" / "steps.parquet"),
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1], rtol=1e-14)
    lines = pd.read_json(tmp_path / "jsonl" / "steps.jsonl", lines=True)
    assert lines["loss"].isna().sum() == frames[0]["loss"].isna().sum() == STEPS // 7


def test_infinity_that_the_store_holds_is_kept(store: RunStore, tmp_path: Path) -> None:
    run_id = filled_run(store)
    store.put_epoch(run_id, 9, {"loss": math.inf, "val_loss": -math.inf})
    for format_, read in READERS.items():
        write_tables(store, store.run(run_id), tmp_path / format_, format_, force=False)
        last = read(tmp_path / format_ / f"epochs.{format_}", kinds_of(store, "epochs"))[-1]
        assert (last["loss"], last["val_loss"], last["knn_top1"]) == (math.inf, -math.inf, None)


@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
def test_pages_of_any_size_are_the_same_rows(store: RunStore, rows: int) -> None:
    run_id, other = filled_run(store), filled_run(store, name="other", steps=20)
    for table in KEYS:
        for one in (run_id, other):
            found = list(pages(store, table, one, rows=rows))
            assert all(len(page) <= rows for page in found)
            names = list(kinds_of(store, table))
            in_order = [dict(zip(names, row, strict=True)) for page in found for row in page]
            wanted = [
                {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
                for row in stored(store, table, one)
            ]
            assert_rows(in_order, sorted(wanted, key=lambda row: row["step"]) if table == "checkpoints" else wanted)


def test_nothing_is_written_over_unless_that_is_asked_for(store: RunStore, tmp_path: Path) -> None:
    run = store.run(filled_run(store))
    out = tmp_path / "out"
    write_tables(store, run, out, "csv", force=False)
    before = (out / "steps.csv").read_bytes()
    with pytest.raises(UsageError, match="is there already; name another one, or write over it with --force"):
        write_tables(store, run, out, "jsonl", force=False)
    assert (out / "steps.csv").read_bytes() == before
    write_tables(store, run, out, "jsonl", force=True)
    assert sorted(path.suffix for path in out.iterdir()) == [".json", *[".jsonl"] * len(TABLES)]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match="is there and is no export, so it is left as it is"):
        write_tables(store, run, theirs, "csv", force=True)
    assert (theirs / "thesis.tex").read_text() == "years"


def test_what_goes_wrong_in_the_middle_leaves_what_was_there(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.run(filled_run(store))
    out = tmp_path / "out"
    write_tables(store, run, out, "csv", force=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    epochs = KEYS["epochs"]
    monkeypatch.setitem(KEYS, "epochs", ("no_such_column",))
    with pytest.raises(TrainerError):
        write_tables(store, run, out, "csv", force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(TrainerError):
        write_tables(store, run, tmp_path / "new", "csv", force=False)
    monkeypatch.setitem(KEYS, "epochs", epochs)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "runs") == ["out"]


def test_a_folder_that_can_not_be_made_is_a_sentence(store: RunStore, tmp_path: Path) -> None:
    run = store.run(filled_run(store))
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="can't be written"):
        write_tables(store, run, tmp_path / "file" / "out", "csv", force=False)


def test_parquet_without_its_package_is_a_sentence(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.export.tables.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'simclr-tui\[parquet\]'`; or choose csv or jsonl"):
        write_tables(store, store.run(filled_run(store)), tmp_path / "out", "parquet", force=False)
    assert not (tmp_path / "out").exists()


_MEASURE = """
import resource, sys
from pathlib import Path
from trainer.export.tables import write_tables
from trainer.store import StoreReader
reader = StoreReader.open(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_tables(reader, reader.runs()[0], Path(sys.argv[2]), "csv", force=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_long_run_takes_the_memory_of_a_page(store: RunStore, runs: Path, tmp_path: Path) -> None:
    run_id = filled_run(store)
    values = [(run_id, step, 1, *([0.1] * 8)) for step in range(100, 80_000)]
    store.connection.execute("BEGIN")
    store.connection.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    store.connection.execute("COMMIT")
    words = [sys.executable, "-c", _MEASURE, str(runs), str(tmp_path / "out")]
    grown = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert grown < 20_000, f"{grown:,} KiB; all rows at once would be several times as much"
    with (tmp_path / "out" / "steps.csv").open() as file:
        assert sum(1 for _ in file) == 1 + STEPS + len(values)


def test_a_reader_of_a_store_that_lacks_a_table_exports_the_others(store: RunStore, tmp_path: Path) -> None:
    run = store.run(filled_run(store))
    store.connection.execute("DROP TABLE anatomy")
    reader = StoreReader.open(store.runs_path)
    counts = write_tables(reader, run, tmp_path / "out", "csv", force=False)
    reader.close()
    assert "anatomy" not in counts
    assert counts["steps"] == STEPS
