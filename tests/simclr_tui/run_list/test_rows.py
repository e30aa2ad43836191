"""Reading the rows of the list: what is kept is what would be read."""

import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.charts.drawn import Drawn
from simclr_tui.compare.reader import read_sides
from simclr_tui.model import Curves, RunRow
from simclr_tui.run_list.rows import RowReader
from tests.simclr_tui.support import Holder, add_run, add_some_runs, evaluation_rows, step_row
from trainer.errors import StoreError
from trainer.store.figures import FigureReader
from trainer.store.labels import write_labels
from trainer.store.reader import StoreReader
from trainer.store.records import Labels
from trainer.store.runs import RunStore


def read(rows: RowReader, reader: StoreReader) -> list[RunRow]:
    return rows.read(reader, {}, time.time())


def plain_rows(runs: Path) -> list[RunRow]:
    """What a reader sees that keeps nothing."""
    with closing(StoreReader.open(runs)) as reader:
        rows = RowReader(runs)
        read(rows, reader)
        return read(rows, reader)


def test_a_store_that_nobody_has_written_to_is_not_read_again(runs: Path, some_runs: dict[str, str]) -> None:
    with closing(StoreReader.open(runs)) as reader:
        rows = RowReader(runs)
        read(rows, reader)
        known = read(rows, reader)  # with the figures
        asked: list[str] = []
        reader.connection.set_trace_callback(asked.append)
        assert read(rows, reader) is known
        assert asked == ["PRAGMA data_version"]
        with closing(RunStore.open(runs)) as store:
            store.update_run(some_runs["done"], exit_code=3)
        again = read(rows, reader)
        assert [one is other for one, other in zip(known, again, strict=True)] == [False, True, True, True]
        assert again[0].run.exit_code == 3


def test_whatever_is_written_the_rows_are_those_of_a_reader_that_keeps_nothing(runs: Path) -> None:
    ids = add_some_runs(runs)
    with closing(StoreReader.open(runs)) as reader, closing(RunStore.open(runs)) as store:
        rows, run_id, rng = RowReader(runs), ids["resting"], random.Random(1)
        writes: list[Callable[[], object]] = [
            lambda: store.append(run_id, [step_row(201 + n, rng) for n in range(30)]),
            lambda: store.put_epoch(run_id, 9, {"knn_top1": 0.99, "t_epoch": 2.0, "images_per_second": 7.0}),
            lambda: store.put_evaluations(run_id, evaluation_rows(run_id, 230)),
            lambda: write_labels(store, run_id, Labels(tags=("a", "b"), note="n", is_pinned=True)),
            lambda: write_labels(store, run_id, Labels()),
            lambda: store.lifecycle(run_id, "finished", "finished"),
            lambda: add_run(store, "another", steps=30, lifecycle="paused"),
        ]
        for number, write in enumerate(writes):
            write()
            read(rows, reader)
            found = read(rows, reader)
            assert found == plain_rows(runs), number
        figures = found[1].figures
        assert (figures.best_knn, figures.linear, figures.images_per_second) == (0.99, 0.353, 7.0)


def test_a_run_that_dies_is_seen_without_a_word_in_the_store(runs: Path, some_runs: dict[str, str]) -> None:
    with closing(StoreReader.open(runs)) as reader:
        rows = RowReader(runs)
        with Holder(runs, some_runs["resting"]) as holder:
            read(rows, reader)
            known = read(rows, reader)
            assert known[1].state in ("starting", "running")
            holder.kill()
            version = reader.data_version()
            found = read(rows, reader)
        assert found[1].state == "interrupted"
        assert reader.data_version() == version
        assert [one is other for one, other in zip(known, found, strict=True)] == [True, False, True, True]
        assert known[1].state != "interrupted", "a list that was handed on stays as it was"


def test_the_first_picture_does_not_wait_for_figures_and_the_next_polls_bring_them(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with closing(StoreReader.open(runs)) as reader:
        rows = RowReader(runs)
        first, second = read(rows, reader), read(rows, reader)
    assert [row.figures.loss for row in first] == [None] * 4
    assert [row.figures.loss is not None for row in second] == [True, True, True, False]


def test_a_mean_is_that_of_the_last_256_steps(runs: Path) -> None:
    """Or of up to fifteen fewer, where the last stretch of sixteen has just begun."""
    with closing(RunStore.open(runs)) as store:
        for name, steps in (("whole", 512), ("begun", 519), ("short", 5)):
            run_id = add_run(store, name, steps=steps)
            losses = [row["loss"] for row in store.steps(run_id)]
            first = max(0, -(-steps // 16) * 16 - 256)
            figures, is_whole = FigureReader().read(store, [store.run(run_id)])
            assert is_whole
            assert figures[run_id].loss == pytest.approx(sum(losses[first:]) / len(losses[first:]))
            assert 241 <= len(losses[first:]) <= 256 or steps < 256


def test_a_damaged_row_is_told_as_everywhere(runs: Path, some_runs: dict[str, str]) -> None:
    with closing(RunStore.open(runs)) as store, store._write() as connection:
        connection.execute("UPDATE runs SET step = 'many' WHERE id = ?", (some_runs["done"],))
    with closing(StoreReader.open(runs)) as reader, pytest.raises(StoreError, match="is damaged"):
        read(RowReader(runs), reader)


def test_colour_and_sign_of_a_run_stay_when_an_older_one_is_deleted(runs: Path, some_runs: dict[str, str]) -> None:
    with closing(RunStore.open(runs)) as store, closing(StoreReader.open(runs)) as reader:
        rows = RowReader(runs)

        def looks() -> dict[str, tuple[str, str]]:
            drawn = [Drawn(row, Curves(run_id=row.run.id)) for row in read(rows, reader)]
            return {one.row.run.name: (one.sign, one.ink) for one in drawn}

        before = looks()
        assert len(set(before.values())) == 4
        store.connection.execute("DELETE FROM runs WHERE id = ?", (some_runs["done"],))
        store.connection.commit()
        assert looks() == {name: look for name, look in before.items() if name != "done"}
        others = [store.run(some_runs[name]) for name in ("resting", "broken")]
        compared = {side.run.name: (side.drawn.sign, side.drawn.ink) for side in read_sides(store, others)}
        assert compared == {name: before[name] for name in ("resting", "broken")}
