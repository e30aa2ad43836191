"""What can still be read of a damaged store is read, against a reference that knows which rows lay on which page."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run, step_row
from trainer.paths import store_file
from trainer.salvage import TABLES, carry_over, rows_of
from trainer.store.runs import RunStore

STEPS = 2000


@pytest.fixture
def path(runs: Path) -> Path:
    """A closed store with steps that take some forty pages, and a few rows of everything else."""
    with closing(RunStore.open(runs)) as store:
        run_id = make_run(store)
        store.append(run_id, [step_row(step, step / 7) for step in range(1, STEPS + 1)])
        store.put_epoch(run_id, 1, {"loss": 1.0})
        store.event(run_id, "note", "Größe 🎉")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store_file(runs)


def leaves(path: Path, table: str) -> list[int]:
    """Pages that hold rows of a table, in the order of the rows."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
        return [row[0] for row in connection.execute(query, (table,))]


def zero(path: Path, *pages: int) -> None:
    data = bytearray(path.read_bytes())
    for page in pages:
        data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(bytes(data))


def steps(path: Path) -> list[int]:
    return [row["step"] for row in rows_of(path, "steps")]


def test_a_flipped_bit_in_text_costs_a_letter_and_in_settings_the_row(path: Path) -> None:
    """Settings that are not as they were are no one's; a run's manifests have them whole."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET name = CAST(X'41FF' AS TEXT)")
    (row,) = rows_of(path, "runs")
    assert row["name"] == "A\N{REPLACEMENT CHARACTER}"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET config = CAST(X'7BFF7D' AS TEXT)")
    assert list(rows_of(path, "runs")) == []


def test_a_whole_store_is_read_whole(path: Path) -> None:
    assert steps(path) == list(range(1, STEPS + 1))
    assert [row["message"] for row in rows_of(path, "events")][-1] == "Größe 🎉"
    assert {table for table in TABLES if list(rows_of(path, table))} == {"runs", "steps", "epochs", "events"}


@pytest.mark.parametrize("which", ["the first", "one in the middle", "the last", "two apart", "two together"])
def test_a_damaged_page_costs_its_own_rows_and_no_others(path: Path, which: str) -> None:
    pages = leaves(path, "steps")
    assert len(pages) > 20
    middle = len(pages) // 2
    hit = {
        "the first": [0],
        "one in the middle": [middle],
        "the last": [len(pages) - 1],
        "two apart": [3, middle],
        "two together": [middle, middle + 1],
    }[which]
    bounds = last_rowids(path, pages)
    lost = {step for number in hit for step in range(bounds[number] + 1, bounds[number + 1] + 1)}
    zero(path, *(pages[number] for number in hit))
    assert steps(path) == [step for step in range(1, STEPS + 1) if step not in lost]
    assert 0 < len(lost) < STEPS / 5


def last_rowids(path: Path, pages: list[int]) -> list[int]:
    """0, then the largest rowid of each page, read from the page itself (sqlite.org/fileformat2.html, §1.6)."""
    data, found = path.read_bytes(), [0]
    for page in pages:
        content = data[(page - 1) * 4096 : page * 4096]
        assert content[0] == 13  # a leaf of a table
        cells = int.from_bytes(content[3:5], "big")
        at = int.from_bytes(content[8 + 2 * (cells - 1) : 10 + 2 * (cells - 1)], "big")
        _, at = varint(content, at)
        rowid, _ = varint(content, at)
        found.append(rowid)
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            break
    return value, at


def test_reading_straight_through_would_lose_everything_behind_the_damage(path: Path) -> None:
    """The negative control: a plain SELECT stops at the first damaged page."""
    zero(path, leaves(path, "steps")[2])
    read: list[int] = []
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT step FROM steps NOT INDEXED ORDER BY rowid")
        with pytest.raises(sqlite3.DatabaseError):
            read.extend(row[0] for row in rows)
    assert len(read) < len(steps(path)) - 1000


def test_whatever_is_damaged_nothing_is_raised(path: Path) -> None:
    whole, draw = path.read_bytes(), random.Random(3)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(0 if draw.random() < 0.2 else 100, len(data))
            data[at : at + draw.choice([1, 8, 4096])] = draw.randbytes(1) * draw.choice([1, 8, 4096])
        path.write_bytes(bytes(data[: draw.choice([len(data), len(data) // 2])]))
        for table in TABLES:
            for row in rows_of(path, table):
                assert row.get("run_id") or row.get("id")
    path.write_bytes(b"no database")
    assert all(list(rows_of(path, table)) == [] for table in TABLES)


def test_rows_of_nobody_are_left_out(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO steps (run_id, step) VALUES ('../../etc', 1)")
        connection.execute("INSERT INTO runs (id, name) VALUES (x'00', 'blob')")
        connection.execute(
            "INSERT INTO runs (id, name, kind, config, lifecycle) VALUES ('a000000000', 'n', 'k', '{}', 'dancing')"
        )
    assert steps(path) == list(range(1, STEPS + 1))
    assert len(list(rows_of(path, "runs"))) == 1


def test_what_is_carried_over_has_its_buckets(path: Path, tmp_path: Path) -> None:
    from trainer.adding import AddingStore

    with closing(AddingStore.open(tmp_path / "new")) as store:
        carried = carry_over(path, store)
        (run,) = store.runs()
        assert carried["steps"] == STEPS
        assert store.last_step(run.id) == STEPS
        with closing(RunStore.open(path.parent)) as old:
            both = [one.series(run.id, "loss", first=1, last=STEPS, columns=40) for one in (old, store)]
    assert both[0] == both[1]
    assert len(both[0]) > 5
