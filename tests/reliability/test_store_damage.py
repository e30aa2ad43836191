"""A page of the store that is not what was written: told in a sentence, or everything can be read."""

import contextlib
import io
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from tests.trainer.test_store import make_run, step_row
from tests.trainer.test_store_migrations import READS, knn_row
from trainer.errors import StoreError, TrainerError
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader
from trainer.store.backup import backup
from trainer.store.damage import refuse_damaged

PAGE_BYTES = 4096


def noise(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    return draw.randbytes(PAGE_BYTES)


def zeros(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    return bytes(PAGE_BYTES)


def ones(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    return b"\xff" * PAGE_BYTES


def another(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """A write that went to the wrong place: a page that is whole, of another table perhaps."""
    return draw.choice(others)


def torn(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """Half of one page and half of another, as after a power loss without a journal."""
    return page[:2048] + draw.choice(others)[2048:]


def flipped(page: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """A single bit."""
    changed = bytearray(page)
    changed[draw.randrange(PAGE_BYTES)] ^= 1 << draw.randrange(8)
    return bytes(changed)


WAYS: list[Callable[[bytes, list[bytes], random.Random], bytes]] = [noise, zeros, ones, another, torn, flipped]


@pytest.fixture
def run_id(runs: Path) -> str:
    """The run of a store with rows in all of its tables, all in one file."""
    store = RunStore.open(runs)
    run_id = make_run(store)
    for first in range(1, 1500, 100):
        store.append(run_id, [step_row(step, 1.0 / step, epoch=1 + first // 500) for step in range(first, first + 100)])
        store.beat(run_id, {"source": "cpu", "gpu_util": 50.0, "cpu_percent": 50.0})
        store.event(run_id, "test", f"at step {first}", step=first)
    for epoch in (1, 2, 3):
        store.put_epoch(run_id, epoch, {"loss": 1.0 / epoch, "knn_top1": 0.3, "t_epoch": 1.0})
        store.put_metrics(run_id, 500 * epoch, {f"rank_{layer}": 3.0 for layer in range(30)})
    checkpoint = {"run_id": run_id, "step": 500, "epoch": 1, "path": "x", "bytes": 1, "sha256": "0", "reason": "epoch"}
    store.put_checkpoint(checkpoint)
    store.put_evaluations(run_id, [knn_row(0.4)])
    store.put_artifact(
        {"run_id": run_id, "name": "a", "kind": "map", "step": 1, "path": "x", "bytes": 1, "sha256": "0"}
    )
    store.request(run_id, "pause")
    store.close()
    return run_id


def writes(store: RunStore, run_id: str) -> list[Callable[[], object]]:
    """One write of each kind."""
    return [
        lambda: store.append(run_id, [step_row(step) for step in range(1490, 1600)]),
        lambda: store.beat(run_id, {"source": "cpu"}),
        lambda: store.event(run_id, "test", ""),
        lambda: store.lifecycle(run_id, "started", ""),
        lambda: store.put_epoch(run_id, 4, {"loss": 1.0}),
        lambda: store.put_metrics(run_id, 9, {"a": 1.0}),
        lambda: store.take_commands(run_id, "done"),
        lambda: store.request(run_id, "stop"),
        lambda: store.forget_checkpoint(run_id, 500),
        lambda: make_run(store, "another"),
    ]


def attempt(call: Callable[[], Any], said: list[str]) -> Any:
    """Call something; an error must be a sentence for a person, and is added to what was said."""
    try:
        return call()
    except TrainerError as error:
        said.append(str(error))
        return None


def use_all(runs: Path, run_id: str) -> list[str]:
    """Use a damaged store in every way; the sentences that came of it. Any other exception comes out."""
    said: list[str] = []
    reader = attempt(lambda: StoreReader.open(runs), said)
    if reader is not None:
        for read in READS.values():
            attempt(lambda read=read: read(reader, run_id), said)  # type: ignore[misc]
        attempt(lambda: refuse_damaged(reader), said)
        reader.close()
    for line in (["ls"], ["ls", "--json"], ["show", run_id], ["show", run_id, "--json"]):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*line, "--runs-dir", str(runs)])
        assert code in (0, 1, 2)
        assert "Traceback" not in err.getvalue()
        if code:
            assert len(err.getvalue().strip().splitlines()) == 1, err.getvalue()
            said.append(err.getvalue())
    attempt(lambda: backup(runs), said)
    store = attempt(lambda: RunStore.open(runs), said)
    if store is not None:
        for write in writes(store, run_id):
            attempt(write, said)
        store.close()
    assert not any("\n" in sentence.strip() for sentence in said)
    return said


TABLES = ("runs", "steps", "epochs", "metrics", "buckets", "device_samples", "evaluations", "artifacts", "checkpoints",
          "rank_samples", "events", "commands")  # fmt: skip
STRANGE = ("x'00ff'", "3.5", "'words'", "NULL")


@pytest.mark.parametrize("table", TABLES)
def test_a_value_of_another_type_in_any_column_is_a_sentence_or_can_be_read(
    runs: Path, run_id: str, table: str
) -> None:
    """As a page has it that was written to the place of another one: each column by itself, then all but the key."""
    with contextlib.closing(sqlite3.connect(store_file(runs))) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[5]]
        kept = connection.execute(f"SELECT rowid, {', '.join(columns)} FROM {table}").fetchall()
        restore = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE rowid = ?"
        for value in STRANGE:
            for changed in (*([name] for name in columns), columns):
                connection.execute(f"UPDATE {table} SET {', '.join(f'{name} = {value}' for name in changed)}")
                connection.commit()
                read_all(runs, run_id, show=len(changed) > 1)
                connection.executemany(restore, [(*row[1:], row[0]) for row in kept])
                connection.commit()


def read_all(runs: Path, run_id: str, *, show: bool) -> None:
    """Every read of a store gives something or a sentence; any other exception comes out."""
    reader = StoreReader.open(runs)
    for read in READS.values():
        attempt(lambda read=read: read(reader, run_id), [])  # type: ignore[misc]
    reader.close()
    for line in (["ls"], ["show", run_id], ["show", run_id, "--json"]) if show else ():
        err = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            code = main([*line, "--runs-dir", str(runs)])
        assert code in (0, 1, 2)
        assert "Traceback" not in err.getvalue()


def damage_often(runs: Path, run_id: str, folder: Path, count: int, seed: int) -> int:
    """Overwrite a random page of a copy in a random way, so often; how many were told of."""
    whole = store_file(runs).read_bytes()
    pages = [whole[start : start + PAGE_BYTES] for start in range(0, len(whole), PAGE_BYTES)]
    told = 0
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        way, place = WAYS[number % len(WAYS)], draw.randrange(len(pages))
        changed = [*pages[:place], way(pages[place], pages, draw), *pages[place + 1 :]]
        copy = folder / f"copy-{number}"
        copy.mkdir()
        store_file(copy).write_bytes(b"".join(changed))
        try:
            told += bool(use_all(copy, run_id))
        except Exception as error:
            raise AssertionError(f"seed {seed}, number {number}: {way.__name__} of page {place + 1}") from error
        shutil.rmtree(copy)
    return told


def test_a_whole_store_makes_nobody_say_anything(runs: Path, run_id: str) -> None:
    assert use_all(runs, run_id) == []


def test_random_damage_is_a_sentence_or_everything_can_be_read(runs: Path, run_id: str, tmp_path: Path) -> None:
    assert damage_often(runs, run_id, tmp_path, 24, 0) > 8


@pytest.mark.reliability
def test_a_hundred_random_damages_are_sentences_or_all_can_be_read(runs: Path, run_id: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    assert damage_often(runs, run_id, tmp_path, 100, seed) > 30


def test_damage_that_is_read_without_care_is_an_error_of_sqlite(runs: Path, run_id: str) -> None:
    """The negative control: the connection itself says things that no person should have to read."""
    data = store_file(runs).read_bytes()
    half = len(data) // 2
    store_file(runs).write_bytes(data[:half] + random.Random(0).randbytes(len(data) - half))
    reader = StoreReader.open(runs)
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        reader.connection.execute("SELECT count(*), sum(loss) FROM steps").fetchall()
    with pytest.raises(StoreError, match="is damaged"):
        refuse_damaged(reader)
    reader.close()
