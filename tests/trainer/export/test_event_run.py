"""Event files as a run: what a baseline logged stands where a new run has it, and nothing can be resumed."""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary import Writer

from tests.trainer.export.event_folders import BEGUN, EPOCHS, EVERY, PER_EPOCH, tutorial_points, write
from tests.trainer.export.filled import filled_run
from trainer.adding import AddingStore
from trainer.errors import ConfigError, UsageError
from trainer.export.event_run import import_events
from trainer.export.event_writer import write_events
from trainer.fork import new_fork_run
from trainer.paths import run_dir
from trainer.start import new_evaluate_run, start_run
from trainer.state import run_state
from trainer.store.pages import kinds_of, pages


@pytest.fixture
def there(runs: Path, store: object) -> Iterator[AddingStore]:
    """An empty store, to import into."""
    with closing(AddingStore.open(runs)) as opened:
        yield opened


def rows(store: AddingStore, table: str, run_id: str) -> list[dict[str, Any]]:
    names = list(kinds_of(store, table))
    return [dict(zip(names, row, strict=True)) for page in pages(store, table, run_id) for row in page]


def by_tag(tag: str) -> list[tuple[int, float]]:
    return [(step, value) for name, step, value, _ in tutorial_points() if name == tag]


def test_the_tutorials_tags_are_the_columns_that_runs_have(there: AddingStore, tmp_path: Path) -> None:
    folder = write(tmp_path / "SimCLR", tutorial_points())
    found = import_events(there, folder)
    assert (found.name, found.steps, found.epochs, found.notes) == ("SimCLR", EPOCHS * PER_EPOCH // EVERY, EPOCHS, ())
    steps = rows(there, "steps", found.run_id)
    for column in ("loss", "acc_top1", "acc_top5", "acc_mean_pos"):
        wanted = by_tag(f"train_{column}")
        assert [row["step"] for row in steps] == [step + 1 for step, _ in wanted], "steps count from 1 here"
        assert [row[column] for row in steps] == pytest.approx([value for _, value in wanted], rel=1e-6)
    assert [row["epoch"] for row in steps] == [1 + (row["step"] - 1) // PER_EPOCH for row in steps]
    epochs = rows(there, "epochs", found.run_id)
    assert [row["epoch"] for row in epochs] == list(range(1, EPOCHS + 1))
    for column in ("val_loss", "val_acc_top1", "val_acc_mean_pos"):
        assert [row[column] for row in epochs] == pytest.approx([value for _, value in by_tag(column)], rel=1e-6)
    first = [value for step, value in by_tag("train_loss") if step < PER_EPOCH]
    assert epochs[0]["loss"] == pytest.approx(sum(first) / len(first), rel=1e-6)
    assert [row["at"] for row in epochs] == [BEGUN + 2 * (PER_EPOCH * n - 1) + 1 for n in range(1, EPOCHS + 1)]
    (learning_rate,) = there.metrics(found.run_id)
    assert learning_rate == "lr-AdamW"


def test_its_row_has_an_end_and_no_settings_and_its_times_are_those_of_the_file(
    there: AddingStore, tmp_path: Path
) -> None:
    run = there.run(import_events(there, write(tmp_path / "old", tutorial_points()), name="baseline").run_id)
    assert (run.name, run.kind, run.config, run.lifecycle) == ("baseline", "imported", "{}", "finished")
    assert run_state(run, there.runs_path) == "finished"
    assert (run.step, run.epoch, run.total_steps, run.steps_per_epoch) == (120, EPOCHS, 120, PER_EPOCH)
    assert (run.created_at, run.lifecycle_at) == (BEGUN + 2 * (EVERY - 1), BEGUN + 2 * 119 + 1)
    assert [event.kind for event in there.events(run_id=run.id)] == ["started", "finished", "imported"]
    assert run_dir(there.runs_path, run.id).is_dir()
    assert not list(there.runs_path.glob(".import-*"))


def test_it_can_not_be_resumed_forked_or_evaluated(there: AddingStore, tmp_path: Path) -> None:
    run = there.run(import_events(there, write(tmp_path / "old", tutorial_points())).run_id)
    from trainer.evaluate_config import EvaluateConfig

    with pytest.raises(UsageError, match="nothing left to resume"):
        start_run(there, run.id)
    with pytest.raises((UsageError, ConfigError), match="is of kind imported and trains nothing"):
        new_fork_run(there, run, {})
    with pytest.raises(UsageError, match="is of kind imported"):
        new_evaluate_run(there, run, EvaluateConfig())


def test_without_a_tag_of_epochs_they_end_where_validation_lies(there: AddingStore, tmp_path: Path) -> None:
    points = [(tag, step + 1, value, at) for tag, step, value, at in tutorial_points(with_epoch=False)]
    found = import_events(there, write(tmp_path / "old", points))
    steps = rows(there, "steps", found.run_id)
    assert [row["step"] for row in steps] == list(range(EVERY, 1 + EPOCHS * PER_EPOCH, EVERY)), "they count from 1"
    assert [row["epoch"] for row in steps] == [1 + (row["step"] - 1) // PER_EPOCH for row in steps]
    assert there.run(found.run_id).steps_per_epoch == PER_EPOCH


def test_what_is_logged_again_after_a_restart_counts_once(there: AddingStore, tmp_path: Path) -> None:
    points = tutorial_points()
    folder = write(tmp_path / "old", points[: len(points) // 2], suffix=".0")
    write(
        folder,
        [(tag, step, 7.0, at) for tag, step, _, at in points[len(points) // 4 :] if tag == "train_loss"],
        suffix=".1",
    )
    found = import_events(there, folder)
    losses = {row["step"]: row["loss"] for row in rows(there, "steps", found.run_id)}
    assert losses[120] == 7.0
    assert losses[5] == pytest.approx(by_tag("train_loss")[0][1], rel=1e-6)
    assert len(losses) == EPOCHS * PER_EPOCH // EVERY


def test_the_newer_form_of_scalars_is_read_too(there: AddingStore, tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "new"))
    for step in range(1, 6):
        writer.add_scalar("train_loss", 1 / step, step)
    writer.close()
    found = import_events(there, tmp_path / "new")
    assert [row["loss"] for row in rows(there, "steps", found.run_id)] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_a_value_that_was_not_finite_stays_so(there: AddingStore, tmp_path: Path) -> None:
    points = [("train_loss", 1, 2.0, BEGUN), ("train_loss", 2, math.nan, BEGUN), ("x", 1, math.inf, BEGUN)]
    found = import_events(there, write(tmp_path / "old", points))
    assert [row["loss"] for row in rows(there, "steps", found.run_id)] == [2.0, None]
    assert there.metrics(found.run_id) == {"x": [(1, None)]}


def test_an_exported_run_comes_back_with_the_same_figures(there: AddingStore, tmp_path: Path) -> None:
    mine = filled_run(there)
    write_events(there, there.run(mine), tmp_path / "out", force=False)
    found = import_events(there, tmp_path / "out")
    for table, column in (
        ("steps", "loss"),
        ("steps", "lr"),
        ("steps", "epoch"),
        ("epochs", "val_loss"),
        ("epochs", "at"),
    ):
        before = [row[column] for row in rows(there, table, mine)]
        after = [row[column] for row in rows(there, table, found.run_id)]
        assert after == [None if value is None else pytest.approx(value, rel=1e-6) for value in before], (table, column)
    ranks, wanted = dict(there.metrics(found.run_id)["rank_z"]), dict(there.metrics(mine)["rank_z"])
    assert ranks == pytest.approx(wanted, rel=1e-6)


def test_a_file_whose_writer_was_killed_is_read_up_to_there_and_said(there: AddingStore, tmp_path: Path) -> None:
    folder = write(tmp_path / "old", tutorial_points())
    (path,) = folder.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = import_events(there, folder)
    assert 0 < found.steps < EPOCHS * PER_EPOCH // EVERY
    assert len(found.notes) == 1
    assert "can't be read, as where its writer was killed" in found.notes[0]
    path.write_bytes(data[:200] + b"X" + data[201:])
    assert import_events(there, folder).values < len(tutorial_points())


def test_folders_without_a_run_or_with_several_are_sentences(there: AddingStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no event files of TensorBoard"):
        import_events(there, tmp_path / "empty")
    write(tmp_path / "both" / "a", tutorial_points(epochs=1))
    write(tmp_path / "both" / "b", tutorial_points(epochs=1))
    with pytest.raises(UsageError, match=r"event files of several runs \(a, b\); name the folder of one of them"):
        import_events(there, tmp_path / "both")
    write(tmp_path / "silent", [])
    with pytest.raises(UsageError, match="event files without a scalar"):
        import_events(there, tmp_path / "silent")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "events.out.tfevents.1").write_text("no events")
    with pytest.raises(UsageError, match="event files without a scalar"):
        import_events(there, tmp_path / "text")
    assert there.runs() == []


def test_names_are_free_and_fit_a_line(there: AddingStore, tmp_path: Path) -> None:
    folder = write(tmp_path / "SimCLR" / "version_0", tutorial_points(epochs=1))
    names = [import_events(there, folder).name for _ in range(2)]
    assert names == ["SimCLR-version_0", "SimCLR-version_0-2"]
    long = write(tmp_path / ("x" * 100), tutorial_points(epochs=1))
    assert len(import_events(there, long).name) <= 60


def test_a_store_that_fails_half_way_has_nothing_of_it(
    there: AddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    folder = write(tmp_path / "old", tutorial_points())
    monkeypatch.setattr("trainer.export.event_run.add_run", fail)
    with pytest.raises(Exception, match="No space left on device"):
        import_events(there, folder)
    for table in ("runs", "steps", "epochs", "metrics", "buckets", "events"):
        assert there.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
    assert [path.name for path in there.runs_path.iterdir() if path.is_dir()] == []
