"""The store from Python: what is given is what plain SQL gives, and the example in the docs runs as it stands."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.trainer.export.filled import PER_EPOCH, STEPS, filled_run, step_row
from trainer.errors import StoreError, UnknownRunError, UsageError
from trainer.opened import TABLES, OpenedRuns, open_runs
from trainer.store import RunStore

DOCS = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def opened(store: RunStore, runs: Path) -> Iterator[OpenedRuns]:
    filled_run(store)
    with open_runs(runs) as found:
        yield found


def test_columns_are_lists_of_the_same_length_in_the_order_of_steps(opened: OpenedRuns) -> None:
    columns = opened.columns("first")
    wanted = [step_row(step) for step in range(1, STEPS + 1)]
    assert columns["step"] == [row.step for row in wanted]
    assert columns["lr"] == [row.lr for row in wanted]
    for value, row in zip(columns["loss"], wanted, strict=True):
        assert math.isnan(value) if row.loss is None else value == row.loss
    assert {len(values) for values in columns.values()} == {STEPS}
    assert opened.columns("first", "epochs", ["val_loss", "epoch"]) == {
        "val_loss": [2.0, 1.0, 2 / 3, 0.5],
        "epoch": [1, 2, 3, 4],
    }
    assert opened.columns("first", "epochs", ["val_acc_top5"])["val_acc_top5"] == [None] * (STEPS // PER_EPOCH)


def test_a_frame_has_the_same_figures_with_types_of_their_own(opened: OpenedRuns) -> None:
    run = opened.run("first")
    for table in TABLES:
        frame = opened.frame(run, table)
        assert list(frame.columns) == list(opened.columns(run, table))
        assert len(frame) > 0 or table in ("benchmark_trials", "rank_samples")
    steps = opened.frame(run)
    assert isinstance(steps, pd.DataFrame)
    assert (str(steps["step"].dtype), str(steps["loss"].dtype)) == ("int64", "float64")


def test_runs_states_settings_and_series(opened: OpenedRuns) -> None:
    (run,) = opened.runs()
    assert opened.run(run.id[:6]) == opened.run("first") == run
    assert opened.state("first") == "paused"
    assert opened.settings("first")["dataset"] == "shapes"
    steps, values = opened.metric("first", "z_std")
    assert steps == [0, 10, 20, 30]
    assert values[:2] == [0.5, 0.5]
    assert math.isnan(values[2])
    assert opened.metric("first", "nothing") == ([], [])


def test_mistakes_are_sentences(opened: OpenedRuns, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'stepz' is no table with rows of runs; choose from steps, epochs"):
        opened.columns("first", "stepz")
    with pytest.raises(UsageError, match="steps has no column 'los'; it has step, epoch, loss"):
        opened.columns("first", "steps", ["los"])
    with pytest.raises(UnknownRunError, match="no run has the id or name 'second'"):
        opened.columns("second")
    with pytest.raises(StoreError, match="there is no run in"):
        open_runs(tmp_path / "nowhere")


def test_it_sees_what_is_written_while_it_is_open(store: RunStore, opened: OpenedRuns) -> None:
    run = opened.run("first")
    store.append(run.id, [step_row(STEPS + 1)])
    assert opened.columns(run, "steps", ["step"])["step"][-1] == STEPS + 1


def test_it_needs_neither_torch_nor_numpy(store: RunStore, runs: Path) -> None:
    filled_run(store)
    words = "import sys; from trainer.opened import open_runs; open_runs(sys.argv[1]).columns('first')\n"
    words += "print({'torch', 'numpy', 'pandas', 'textual'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words, str(runs)], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_example_of_the_docs_runs_as_it_stands(store: RunStore, runs: Path) -> None:
    filled_run(store)
    (example,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    words = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(words, cwd=runs.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "first paused 4 0.2" in done.stdout
    assert "loss 0.042 at step 40" in done.stdout
    assert "'layer': ['h', 'h']" in done.stdout
