"""Questions in SQL: whatever is asked, nothing is written anywhere, and nothing goes on for ever."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.trainer.test_store import damage, step_row
from trainer.errors import StoreError, UsageError
from trainer.store import query as query_module
from trainer.store.query import Answer, tables
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

query = partial(query_module.query, seconds=60.0)

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT {what} FROM n"


@pytest.fixture
def reader(runs: Path) -> Iterator[StoreReader]:
    with closing(RunStore.open(runs)) as store:
        run_id = store.create_run(kind="pretrain", name="only", config="{}")
        store.append(run_id, [step_row(step) for step in range(1, 41)])
    with closing(StoreReader.open(runs)) as opened:
        yield opened


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "-shm" not in path.name}


def test_rows_come_under_the_names_of_their_columns(reader: StoreReader) -> None:
    found = query(reader, "SELECT name, count(*) AS steps FROM steps JOIN runs ON id = run_id GROUP BY run_id")
    assert found == Answer(["name", "steps"], [("only", 40)])
    assert query(reader, "SELECT 1 AS one WHERE 0") == Answer(["one"], [])
    assert [row[0] for row in tables(reader).rows][:2] == ["anatomy", "annotations"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM runs",
        "UPDATE runs SET name = 'x'",
        "INSERT INTO runs (id) VALUES ('x')",
        "DROP TABLE steps",
        "CREATE TEMP TABLE t (x)",
        "ATTACH '{folder}/new.db' AS other",
        "ATTACH 'file:{folder}/runs.db?mode=rw' AS other",
        "VACUUM INTO '{folder}/copy.db'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "BEGIN IMMEDIATE",
        "REINDEX",
        "SELECT load_extension('libc.so.6')",
        "SELECT writefile('{folder}/file', 'x')",
        "SELECT 1; DELETE FROM runs",
        "WITH gone AS (SELECT id FROM runs) DELETE FROM runs WHERE id IN gone",
        "EXPLAIN DELETE FROM runs",
    ],
)
def test_what_would_do_something_else_than_read_is_refused(reader: StoreReader, runs: Path, statement: str) -> None:
    before = everything_in(runs)
    with pytest.raises(UsageError):
        query(reader, statement.format(folder=runs))
    assert everything_in(runs) == before


def test_a_connection_that_only_reads_would_write_another_file(reader: StoreReader, runs: Path) -> None:
    """The control: without the authorizer `mode=ro` alone lets a statement make files."""
    reader.connection.execute(f"ATTACH 'file:{runs}/new.db?mode=rwc' AS other")
    reader.connection.execute("CREATE TABLE other.t (x)")
    assert (runs / "new.db").stat().st_size


def test_afterwards_the_reader_is_as_before(reader: StoreReader) -> None:
    with pytest.raises(UsageError):
        query(reader, "nonsense")
    query(reader, "SELECT 1")
    assert reader.schema_version() > 0, "a PRAGMA, which a query may not use"
    assert not reader.connection.in_transaction


def test_what_goes_on_for_ever_is_cut_off_and_what_is_too_much_refused(
    reader: StoreReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"longer than 0.2 s .* --seconds"):
        query(reader, ENDLESS.format(what="max(x)"), seconds=0.2)
    monkeypatch.setattr(query_module, "MOST_ROWS", 1000)
    with pytest.raises(UsageError, match="more than 1,000 rows; add a LIMIT"):
        query(reader, ENDLESS.format(what="x"))
    assert len(query(reader, ENDLESS.format(what="x") + " LIMIT 1000").rows) == 1000


@pytest.mark.parametrize("statement", ["", "  ", "-- nothing", ";", "SELECT nope FROM runs", "SELEC", "\ud800", "a\0b"])
def test_what_is_no_question_is_told_with_where_to_look(reader: StoreReader, statement: str) -> None:
    with pytest.raises(UsageError, match=r"list of tables|lists the tables") as refused:
        query(reader, statement)
    assert "\n" not in str(refused.value)


def test_a_writer_goes_on_while_a_question_is_answered(reader: StoreReader, runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id, written = store.runs()[0].id, itertools.count(1)

        def write() -> int:
            store.event(run_id, "note", "meanwhile")
            return next(written)

        reader.connection.create_function("meanwhile", 0, write)
        assert query(reader, "SELECT meanwhile() FROM steps LIMIT 2").rows == [(1,), (2,)]
        assert [event.message for event in store.events()][1:] == ["meanwhile"] * 2


def test_damage_is_told_as_everywhere(runs: Path, reader: StoreReader) -> None:
    reader.close()
    damage(runs)
    with pytest.raises(StoreError, match="damaged"), closing(StoreReader.open(runs)) as opened:
        query(opened, "SELECT sum(loss), count(DISTINCT epoch) FROM steps")
