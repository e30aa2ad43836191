"""Event files: TensorBoard's own reader finds every value, at its step and its time."""

import json
import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.trainer.export.filled import PER_EPOCH, STEPS, filled_run, step_row
from trainer.errors import UsageError
from trainer.export.event_writer import write_events
from trainer.export.moments import Moments
from trainer.store import RunStore


def read_back(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def test_tensorboard_reads_every_series_back(store: RunStore, tmp_path: Path) -> None:
    run = store.run(filled_run(store))
    counts = write_events(store, run, tmp_path / "out", force=False)
    found = read_back(tmp_path / "out")
    tags = set(found.Tags()["scalars"])
    assert tags >= {"train_loss", "train_acc_top1", "train_acc_top5", "train_acc_mean_pos", "val_loss", "val_acc_top1"}
    assert tags >= {"lr", "grad_norm", "t_data", "t_batch", "epoch", "knn_top1", "rank_z", "z_std"}
    assert tags >= {"device/gpu_util", "evaluation/linear/h/top1", "evaluation/linear/h/10-per-class/seed-3/top1"}
    assert "val_acc_top5" not in tags, "it was never measured"
    losses = found.Scalars("train_loss")
    assert [one.step for one in losses] == list(range(1, STEPS + 1))
    for one in losses:
        wanted = step_row(one.step).loss
        assert math.isnan(one.value) if wanted is None else one.value == pytest.approx(wanted, rel=1e-7)
    assert next((one.step, one.value) for one in found.Scalars("rank_z")) == (0, 1.0)
    assert math.isnan(found.Scalars("z_std")[2].value)
    assert [one.step for one in found.Scalars("val_loss")] == [PER_EPOCH * epoch for epoch in range(1, 5)]
    assert [one.value for one in found.Scalars("device/gpu_util")] == [1.5, 99.0]
    assert counts == {
        "steps": STEPS,
        "epochs": 4,
        "metrics": 8,
        "device_samples": 2,
        "rank_samples": 0,
        "evaluations": 2,
    }
    assert json.loads((tmp_path / "out" / "run.json").read_text())["rows"] == counts


def test_wall_times_are_those_of_epochs_and_even_between_them(store: RunStore, tmp_path: Path) -> None:
    run_id = filled_run(store)
    begun = store.run(run_id).created_at
    for epoch, at in enumerate((100.0, 200.0, 1300.0, 1400.0), start=1):  # a pause of a thousand seconds
        store.connection.execute(
            "UPDATE epochs SET at = ?, t_epoch = 100 WHERE run_id = ? AND epoch = ?", (begun + at, run_id, epoch)
        )
    store.update_run(run_id, progress_at=begun + 1400)
    write_events(store, store.run(run_id), tmp_path / "out", force=False)
    losses = {one.step: one.wall_time - begun for one in read_back(tmp_path / "out").Scalars("train_loss")}
    assert losses[5] == pytest.approx(50)
    assert losses[20] == pytest.approx(200)
    assert losses[21] == pytest.approx(1210), "it was taken after the pause"
    assert losses[40] == pytest.approx(1400)


def test_moments_never_fall_whatever_the_clock_did(store: RunStore) -> None:
    run = store.run(filled_run(store))
    rows = [
        {"epoch": epoch, "at": run.created_at + at, "t_epoch": 5.0} for epoch, at in ((1, 50.0), (2, 20.0), (3, 90.0))
    ]
    moments = Moments(run, rows)
    times = [moments.at(step) for step in range(60)]
    assert times == sorted(times)
    steps = [moments.step_at(run.created_at + second) for second in range(-5, 120)]
    assert steps == sorted(steps)


def test_without_tensorboards_package_it_is_a_sentence(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.export.event_writer.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--to tensorboard needs `pip install 'simclr-tui\[tensorboard\]'`"):
        write_events(store, store.run(filled_run(store)), tmp_path / "out", force=False)
    assert not (tmp_path / "out").exists()
