"""`simclr-tui mirror`, and `--mirror` where runs are started."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.simclr_tui.commands.test_commands import call, call_process, sentence
from tests.trainer.mirror.living import mirrored_run
from tests.trainer.mirror.reading import expected, held
from trainer.evaluate_config import EvaluateConfig
from trainer.mirror import names
from trainer.mirror.__main__ import main as mirror
from trainer.mirror.mark import only_mirror
from trainer.mirror.wanted import wanted
from trainer.paths import tensorboard_dir
from trainer.start import new_evaluate_run
from trainer.store import RunStore


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A paused run."""
    return mirrored_run(store)


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signal handlers of the tests, put back after a program was run in their process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_run_is_handed_on_once_however_often_it_is_asked_for(
    runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call_process(runs, "mirror", "first", "--to", "tensorboard")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tensorboard_dir(runs, run_id)
    where = f"{folder}; `tensorboard --logdir {runs}` shows all runs"
    assert done.stdout == f"first is in TensorBoard (56 points handed on): {where}\n"
    files = list(folder.iterdir())
    assert mirror(["--runs-dir", str(runs), "--run", run_id, "--to", "tensorboard", "--follow"]) == 0
    assert capsys.readouterr().out == f"first is in TensorBoard (0 points handed on): {where}\n"
    assert list(folder.iterdir()) == files
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)


@pytest.mark.usefixtures("handlers")
def test_what_can_not_be_written_is_one_sentence(runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    tensorboard_dir(runs, run_id).write_bytes(b"a file")
    assert mirror(["--runs-dir", str(runs), "--run", run_id, "--to", "tensorboard"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("simclr-tui: not all of the run is in TensorBoard (")
    assert text.count("\n") == 1


def test_what_can_not_be_mirrored_is_refused(
    store: RunStore, runs: Path, run_id: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nobody" in sentence(call(runs, "mirror", "nobody", "--to", "wandb"), 2)
    assert "choose tensorboard, wandb, mlflow, trackio" in sentence(call(runs, "mirror", "first", "--to", "excel"), 2)
    job = new_evaluate_run(store, store.run(run_id), EvaluateConfig(run=run_id))
    assert mirror(["--runs-dir", str(runs), "--run", job, "--to", "tensorboard"]) == 2
    assert "is of kind evaluate, which has no curves" in capsys.readouterr().err
    with monkeypatch.context() as missing:
        missing.setattr(names, "find_spec", lambda name: None)
        assert mirror(["--runs-dir", str(runs), "--run", run_id, "--to", "wandb"]) == 2
    assert "--to: wandb needs `pip install 'simclr-tui[wandb]'`" in capsys.readouterr().err
    with only_mirror(runs, run_id, "tensorboard"):
        assert mirror(["--runs-dir", str(runs), "--run", run_id, "--to", "tensorboard"]) == 75
    assert f"a mirror of run {run_id} to tensorboard is at work already" in capsys.readouterr().err


def test_a_child_is_mirrored_where_it_is_told_to_be(
    store: RunStore, runs: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--runs-dir", str(runs), "fork", run_id, "--no-start", "--mirror", "tensorboard"]
    assert main(words) == 0
    assert wanted(runs, capsys.readouterr().out.strip()) == ("tensorboard",)


def test_wrong_loggers_make_no_run(store: RunStore, runs: Path, run_id: str) -> None:
    before = len(store.runs())
    for words in (("demo",), ("launch", "--preset", "demo"), ("fork", run_id), ("resume", run_id)):
        assert "is no logger; choose from" in sentence(call(runs, *words, "--mirror", "tensorbord"), 2)
    refused = sentence(call(runs, "resume", "--all", "--tensorboard"), 2)
    assert refused.startswith("resume --all: each run goes on as it was")
    assert len(store.runs()) == before
