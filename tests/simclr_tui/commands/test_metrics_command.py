"""`metrics`: the series of a run, and their values."""

import csv
import io
import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from tests.simclr_tui.commands.test_commands import COMMAND
from tests.simclr_tui.support import STEPS_PER_EPOCH
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore


def metrics(capsys: pytest.CaptureFixture[str], runs: Path, *words: str, code: int = 0) -> str:
    """What the command prints, or its sentence."""
    assert main(["--runs-dir", str(runs), "metrics", *words]) == code
    told = capsys.readouterr()
    return told.err if code else told.out


def losses(runs: Path, run_id: str) -> list[float]:
    reader = StoreReader.open(runs)
    found = [row["loss"] for row in reader.steps(run_id)]
    reader.close()
    return found


@pytest.fixture
def run_id(runs: Path, some_runs: dict[str, str]) -> str:
    """A finished run with a health figure and a sample of its device."""
    store = RunStore.open(runs)
    for step in (115, 230, 345):
        store.put_metrics(some_runs["done"], step, {"rank_z": step / 10})
    store.beat(some_runs["done"], {"source": "cpu", "gpu_util": 50.0})
    store.close()
    return some_runs["done"]


def test_every_series_is_listed_with_its_figures(runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    every = {one["name"]: one for one in json.loads(metrics(capsys, runs, "done", "--json"))["series"]}
    values = losses(runs, run_id)
    assert every["steps.loss"] == {
        "name": "steps.loss",
        "of": "steps",
        "count": len(values),
        "last": values[-1],
        "low": min(values),
        "high": max(values),
    }
    assert every["metrics.rank_z"]["last"] == 34.5
    assert every["epochs.knn_top1"]["count"] == 15
    assert every["device.gpu_util"]["high"] == 50
    assert "epochs.val_loss" not in every, "nothing was measured of it"
    text = metrics(capsys, runs, "done")
    assert text.splitlines()[0].split() == ["series", "of", "values", "last", "lowest", "highest"]
    assert set(every) == {line.split()[0] for line in text.splitlines()[1:]}
    rows = list(csv.DictReader(io.StringIO(metrics(capsys, runs, "done", "--csv"))))
    assert [row["name"] for row in rows] == list(every)


def test_all_values_are_those_that_are_stored(runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = metrics(capsys, runs, "done", "loss", "rank_z", "epochs.t_epoch", "--points", "0", "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    of: dict[str, list[Any]] = {}
    for row in rows:
        of.setdefault(row["series"], []).append(row)
    assert [float(row["value"]) for row in of["steps.loss"]] == losses(runs, run_id)
    assert [float(row["step"]) for row in of["steps.loss"]] == list(range(1, 346))
    assert [(float(r["step"]), float(r["value"])) for r in of["metrics.rank_z"]] == [
        (115, 11.5),
        (230, 23),
        (345, 34.5),
    ]
    assert [float(r["step"]) for r in of["epochs.t_epoch"]] == [STEPS_PER_EPOCH * n for n in range(1, 16)]


def test_fewer_points_keep_the_lowest_and_the_highest_value(
    runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(
        metrics(capsys, runs, "done", "loss", "--points", "7", "--x", "epoch", "--smooth", "0.1", "--json")
    )
    (series,) = told["series"]
    assert (series["name"], told["x"]) == ("steps.loss", "epoch")
    values = losses(runs, run_id)
    assert len(series["points"]) == 7
    assert min(point["low"] for point in series["points"]) == min(values)
    assert max(point["high"] for point in series["points"]) == max(values)
    assert all(min(values) < point["smoothed"] < max(values) for point in series["points"])
    assert 0 < series["points"][0]["x"] < series["points"][-1]["x"] <= 15


def test_values_below_each_other_name_their_axis(runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = metrics(capsys, runs, "done", "rank_z", "--x", "trained").splitlines()
    assert lines[0].split() == ["trained,", "s", "metrics.rank_z", "lowest", "highest"]
    assert [line.split()[1] for line in lines[1:]] == ["11.5000", "23.0000", "34.5000"]
    assert float(lines[-1].split()[0]) == pytest.approx(15 * 3.5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("done", "nothing"), "done has no series 'nothing'; `simclr-tui metrics done` lists those that it has"),
        (("done", "--csv", "--json"), "--json: give either it or --csv"),
        (("done", "loss", "--points", "-1"), "--points: -1 is below 0; give 0 for all values"),
        (("done", "loss", "--smooth", "2"), "--smooth: 2 is no part of x; give 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(
    words: tuple[str, ...], sentence: str, runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_id
    assert metrics(capsys, runs, *words, code=2) == f"simclr-tui: {sentence}\n"


def test_a_run_without_a_value_says_so(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert some_runs
    assert metrics(capsys, runs, "waiting") == "waiting has measured nothing so far\n"


def test_in_a_terminal_a_series_is_drawn(runs: Path, run_id: str) -> None:
    assert run_id
    ours, theirs = pty.openpty()
    line = [*COMMAND, "--runs-dir", str(runs), "metrics", "done", "loss", "--x", "epoch"]
    done = subprocess.run(
        line, stdout=theirs, stdin=subprocess.DEVNULL, check=False, env=os.environ | {"COLUMNS": "90"}
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert done.returncode == 0
    told = text.decode()
    assert "done · loss of a step" in told
    assert told.count("\n") == 15
    assert "epoch" in told
    assert "lowest" in told
    assert any("⠀" < character <= "⣿" for character in told)
