"""The run store: what is written can be read, once, by anybody, and nobody makes anybody fail."""

import math
import multiprocessing
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.errors import StoreError, StoreVersionError, UnknownRunError
from trainer.paths import store_file
from trainer.store import STEP_SERIES, RunStore, StepRow, StoreReader, read_series
from trainer.store.connect import connect_reader, immediate, is_passing
from trainer.store.series import BUCKET_SIZES, bucket_size


def step_row(step: int, loss: float | None = 1.0, *, epoch: int = 1) -> StepRow:
    """A row with a given loss."""
    return StepRow(
        step=step,
        epoch=epoch,
        loss=loss,
        acc_top1=0.5,
        acc_top5=0.75,
        acc_mean_pos=2.0,
        lr=1e-3,
        grad_norm=1.0,
        t_data=0.01,
        t_batch=0.02,
    )


def make_run(store: RunStore, name: str = "a") -> str:
    """A run without settings."""
    return store.create_run(kind="pretrain", name=name, config="{}")


def test_every_table_of_the_design_is_there(store: RunStore) -> None:
    rows = store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {row[0] for row in rows}
    assert tables >= {
        "runs",
        "steps",
        "epochs",
        "metrics",
        "device_samples",
        "evaluations",
        "buckets",
        "annotations",
        "checkpoints",
        "events",
        "commands",
        "benchmark_trials",
        "artifacts",
        "anatomy",
    }


def test_what_one_connection_commits_another_reads(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(1), step_row(2, 0.5)])
    store.put_epoch(run_id, 1, {"loss": 0.75, "knn_top1": 0.3})
    reader = StoreReader.open(runs)
    run = reader.run(run_id)
    assert (run.step, run.loss, run.knn_top1, run.lifecycle) == (2, 0.5, 0.3, "created")
    assert [row["loss"] for row in reader.steps(run_id)] == [1.0, 0.5]
    reader.close()


def test_a_replayed_step_is_neither_doubled_nor_changed(store: RunStore) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(1, 1.0), step_row(2, 2.0)])
    store.append(run_id, [step_row(2, 9.0), step_row(3, 3.0)])
    assert [row["loss"] for row in store.steps(run_id)] == [1.0, 2.0, 3.0]


def test_an_immediate_transaction_that_fails_changes_nothing(store: RunStore) -> None:
    run_id = make_run(store)

    def rename_and_fail() -> None:
        with immediate(store.connection) as connection:
            connection.execute("UPDATE runs SET name = 'b'")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rename_and_fail()
    assert store.run(run_id).name == "a"


def test_nobody_comes_between_a_read_and_a_write_of_a_transaction(store: RunStore, runs: Path) -> None:
    """Nor another program, which knows nothing of our lock file: the write lock is taken at the very start."""
    run_id = make_run(store)
    other = sqlite3.connect(store_file(runs), isolation_level=None, timeout=0)
    with immediate(store.connection) as connection:
        name = connection.execute("SELECT name FROM runs").fetchone()[0]
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE runs SET name = 'theirs'")
        connection.execute("UPDATE runs SET name = ?", (name + "b",))
    other.execute("UPDATE runs SET name = name || 'c'")
    other.close()
    assert store.run(run_id).name == "abc"


@pytest.mark.parametrize("count", [1, 15, 16, 17, 300, 5000])
def test_buckets_equal_a_slow_summary_however_the_rows_came(store: RunStore, count: int) -> None:
    """Rows come in batches of random length with gaps of NULL; a batch is even sent twice."""
    draw = random.Random(count)
    losses = [None if draw.random() < 0.1 else draw.gauss(5, 2) for _ in range(count)]
    run_id = make_run(store)
    sent = 0
    while sent < count:
        length = draw.randint(1, 400)
        rows = [step_row(step, losses[step - 1]) for step in range(sent + 1, min(sent + length, count) + 1)]
        store.append(run_id, rows)
        sent += len(rows)
    store.append(run_id, [step_row(count, losses[-1])])
    for size in BUCKET_SIZES:
        stored = store.connection.execute(
            "SELECT bucket, min, max, mean, last, count FROM buckets WHERE run_id = ? AND name = 'loss' AND size = ?",
            (run_id, size),
        )
        found = {row[0]: tuple(row)[1:] for row in stored}
        expected = {}
        for bucket in range(math.ceil(count / size)):
            values = [value for value in losses[bucket * size : (bucket + 1) * size] if value is not None]
            if values:
                mean = math.fsum(values) / len(values)
                expected[bucket] = (min(values), max(values), pytest.approx(mean, rel=1e-12), values[-1], len(values))
        assert found == expected


def test_a_chart_reads_few_points_and_keeps_a_lone_spike(store: RunStore) -> None:
    run_id = make_run(store)
    losses = [1.0] * 30_000
    losses[17_777] = 99.0
    for start in range(0, len(losses), 5000):
        rows = [step_row(start + k + 1, losses[start + k]) for k in range(5000)]
        store.append(run_id, rows)
    points = read_series(store.connection, run_id, "loss", first=1, last=len(losses), columns=100)
    assert len(points) <= 200
    assert max(point.high for point in points) == 99.0
    assert points[-1].last_step == len(losses)
    assert bucket_size(30_000, 100) == 256


def test_a_series_is_read_whole_where_it_is_short(store: RunStore) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(step, float(step)) for step in range(1, 41)])
    points = read_series(store.connection, run_id, "loss", first=11, last=20, columns=100)
    assert [(point.first, point.last) for point in points] == [(step, float(step)) for step in range(11, 21)]


def test_only_known_series_can_be_asked_for(store: RunStore) -> None:
    with pytest.raises(KeyError):
        read_series(store.connection, "x", "loss; DROP TABLE runs", first=1, last=2, columns=10)
    assert "loss" in STEP_SERIES


def test_a_store_of_a_newer_version_is_refused_in_one_sentence(store: RunStore, runs: Path) -> None:
    store.connection.execute("PRAGMA user_version = 999")
    for opening in (RunStore.open, StoreReader.open):
        with pytest.raises(StoreVersionError, match=r"newer version .* upgrade simclr-tui"):
            opening(runs)


@pytest.mark.parametrize("opening", [RunStore.open, StoreReader.open])
def test_a_file_that_is_no_database_is_refused_in_one_sentence(runs: Path, opening: object) -> None:
    runs.mkdir()
    store_file(runs).write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"runs\.db cannot be used as a run store"):
        opening(runs)  # type: ignore[operator]


def test_a_runs_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"--runs-dir: .* cannot be made"):
        RunStore.open(tmp_path / "file" / "runs")


def test_a_reader_in_the_middle_of_a_read_does_not_hold_up_a_writer(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    store.append(run_id, [step_row(step) for step in range(1, 2001)])
    reader = StoreReader.open(runs)
    cursor = reader.connection.execute("SELECT * FROM steps")
    cursor.fetchone()
    store.connection.execute("PRAGMA busy_timeout = 0")
    store.append(run_id, [step_row(2001)])
    assert store.last_step(run_id) == 2001
    cursor.close()
    reader.close()


def test_a_reader_cannot_write(store: RunStore, runs: Path) -> None:
    reader = StoreReader.open(runs)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("DELETE FROM runs")
    reader.close()


def test_writers_side_by_side_never_fail_and_deferred_transactions_would(store: RunStore, runs: Path) -> None:
    """The negative control: a transaction that reads first and writes later is refused, whatever its time-out."""
    run_id = make_run(store)
    errors: list[Exception] = []

    def write(first: int) -> None:
        other = RunStore.open(runs)
        try:
            for step in range(first, first + 100):
                other.append(run_id, [step_row(step)])
        except StoreError as error:
            errors.append(error)
        finally:
            other.close()

    threads = [threading.Thread(target=write, args=(1 + 1000 * k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.steps(run_id)) == 300

    other = RunStore.open(runs)
    other.connection.execute("BEGIN")
    other.connection.execute("SELECT count(*) FROM runs").fetchone()
    store.event(run_id, "test", "somebody else writes")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.connection.execute("UPDATE runs SET name = 'b'")
    other.connection.execute("ROLLBACK")
    other.close()


def _use_inherited(uses: list[Callable[[], object]], results: object) -> None:
    said = []
    for use in uses:
        try:
            use()
            said.append("done")
        except StoreError as error:
            said.append(str(error))
    results.put(said)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_store_that_crossed_a_fork_refuses_to_write_and_to_read(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    reader = StoreReader.open(runs)
    uses: list[Callable[[], object]] = [
        lambda: store.event(run_id, "test", "from a child"),
        store.runs,
        reader.runs,
        reader.schema_version,
        lambda: reader.series(run_id, "loss", first=1, last=9, columns=9),
    ]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_use_inherited, args=(uses, results))
    child.start()
    assert results.get(timeout=60) == ["the run store was opened by another process; open it again in this one"] * 5
    child.join()
    assert [event.kind for event in store.events()] == ["created"]
    assert reader.runs()[0].id == run_id
    reader.close()


def test_a_run_is_found_by_id_by_its_beginning_and_by_name(store: RunStore) -> None:
    first, second = make_run(store, "first"), make_run(store, "second")
    assert store.find(first).id == first
    assert store.find("second").id == second
    assert store.find(first[:6]).id == first
    with pytest.raises(UnknownRunError, match="no run has the id or name 'third'"):
        store.find("third")
    with pytest.raises(UnknownRunError):
        store.find("")


def test_commands_wait_until_they_are_taken(store: RunStore) -> None:
    run_id = make_run(store)
    store.request(run_id, "pause")
    assert [command.command for command in store.pending_commands(run_id)] == ["pause"]
    assert store.run(run_id).pending_command == "pause"
    store.take_commands(run_id, "paused")
    assert store.pending_commands(run_id) == []
    assert store.run(run_id).pending_command is None


def test_what_was_asked_before_the_clock_went_back_is_taken_all_the_same(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that was paused would pause again at each resume, until the clock is where it was."""
    run_id = make_run(store)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    store.request(run_id, "pause")
    monkeypatch.undo()
    store.take_commands(run_id, "paused")
    assert store.pending_commands(run_id) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda store, run_id: store.event(run_id, "x", "y"),
        lambda store, run_id: store.request(run_id, "pause"),
    ],
)
def test_a_transaction_whose_end_failed_too_stands_in_the_way_of_no_later_one(
    store: RunStore, write: Callable[[RunStore, str], object]
) -> None:
    run_id = make_run(store)
    store.connection.execute("BEGIN IMMEDIATE")
    store.connection.execute("DELETE FROM runs")
    write(store, run_id)
    assert [run.id for run in store.runs()] == [run_id]


class _FullFor(sqlite3.Connection):
    """A connection on a disk that refuses so many statements after the one that first met it."""

    refusals = 0

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        if self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *rest)


def test_on_a_disk_that_stays_full_for_a_while_nobody_else_is_kept_from_writing(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    full = sqlite3.connect(store_file(runs), isolation_level=None, factory=_FullFor)

    def delete() -> None:
        with immediate(full) as connection:
            connection.execute("DELETE FROM runs")
            full.refusals = 12
            connection.execute("DELETE FROM events")

    with pytest.raises(StoreError, match="disk is full"):
        delete()
    assert full.refusals == 0, "its end was refused too, again and again"
    other = sqlite3.connect(store_file(runs), isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()
    full.close()
    assert [run.id for run in store.runs()] == [run_id]


def test_pins_that_were_edited_by_hand_are_passed_over(store: RunStore) -> None:
    run_id = make_run(store)
    store.pin_checkpoint(run_id, 7)
    for value in ("²", "-3", "", "7.5", "x"):
        store.connection.execute("INSERT INTO annotations VALUES (?, 'pin-checkpoint', ?, 0)", (run_id, value))
    assert store.pinned_checkpoints(run_id) == {7}


def test_events_after_an_id_come_oldest_first(store: RunStore) -> None:
    run_id = make_run(store)
    for number in range(5):
        store.event(run_id, "test", str(number))
    after = store.events(run_id=run_id)[2].id
    assert [event.message for event in store.events(after=after)] == ["2", "3", "4"]
    assert [event.message for event in store.events(limit=2)] == ["3", "4"]


def test_reading_needs_no_numpy_and_no_torch() -> None:
    code = (
        "import sys, pathlib; from trainer.store import StoreReader\n"
        "import trainer.state, trainer.process, trainer.start, trainer.presets, trainer.options\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'sqlite_utils', 'textual') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def damage(runs: Path) -> None:
    """Overwrite every page of a store but the first, which holds the version and where the schema lies."""
    connection = sqlite3.connect(store_file(runs))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    data = store_file(runs).read_bytes()
    store_file(runs).write_bytes(data[:page_bytes] + b"\xff" * (len(data) - page_bytes))


def test_damaged_pages_are_one_sentence_that_names_the_file_and_a_remedy(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(1)])
    store.close()
    reader = StoreReader(sqlite3.connect(store_file(runs)), runs)
    damage(runs)
    reads: list[Callable[[], object]] = [
        lambda: StoreReader.open(runs),
        lambda: RunStore.open(runs),
        reader.runs,
        lambda: reader.find("a"),
        lambda: reader.series(run_id, "loss", first=1, last=9, columns=9),
        lambda: reader.epoch_means(run_id, 1),
    ]
    for read in reads:
        with pytest.raises(StoreError, match="is damaged") as caught:
            read()
        assert str(store_file(runs)) in str(caught.value)
        assert "`simclr-tui doctor`" in str(caught.value)
        assert ".recover" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not is_passing(caught.value)
    reader.close()


def test_a_lock_in_reading_is_a_sentence_and_passes(store: RunStore, runs: Path) -> None:
    make_run(store)
    store.close()
    locker = sqlite3.connect(store_file(runs), isolation_level=None)
    locker.execute("PRAGMA journal_mode=DELETE")  # in which a writer keeps readers out
    reader = StoreReader(connect_reader(store_file(runs), timeout_seconds=0), runs)
    locker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"cannot be read now \(database is locked\)") as caught:
        reader.runs()
    assert is_passing(caught.value)
    locker.close()
    reader.close()


def test_a_store_without_tables_has_version_0(runs: Path) -> None:
    runs.mkdir()
    store_file(runs).touch()
    reader = StoreReader.open(runs)
    assert reader.schema_version() == 0
    reader.close()


def test_a_store_is_written_without_pandas_which_can_be_had_afterwards(tmp_path: Path) -> None:
    """sqlite-utils would import it, where it is installed, in every trainer and every command."""
    pytest.importorskip("pandas")
    program = (
        "import sys; from pathlib import Path; from trainer.store.runs import RunStore;"
        "RunStore.open(Path(sys.argv[1])).close(); print(sorted(sys.modules.keys() & {'pandas', 'sqlite_utils'}));"
        "import pandas; print(pandas.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['sqlite_utils']", "pandas"], done.stderr
