"""The trainer's command line: a person's mistake is one sentence and its exit code, and nothing is lost."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.test_process import holder
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.run import main
from trainer.settings import fields_of
from trainer.start import available_cores, change_settings, new_pretrain_run
from trainer.store import RunStore

Said = Callable[[], str]
SHAPES = ["--dataset", "shapes", "--image-size", "16", "--limit-per-class", "4", "--limit-test-per-class", "2"]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """What was printed to stderr, as one sentence without a traceback."""

    def read() -> str:
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert text.count("\n") == 1
        return text

    return read


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "--epochs: 0 is out of bounds; give 1 to 100000 epochs"),
        (["--epochs", "many"], "'many' is not a whole number"),
        (["--preset", "imagenet"], "--preset: 'imagenet' is not known; choose"),
        (["--dataset", "mnist"], "--dataset: 'mnist' is not known; choose"),
        (["--run", "nosuchrun0"], "no run has the id or name 'nosuchrun0'"),
        (["--run", "x", "--preset", "demo"], "a run keeps its preset and its name"),
        (["--run", "x", "--resume-or-start", "y"], "not allowed with"),
        (["--temprature", "1"], "--temprature"),
        (["--cache", "vram", "--augment", "torchvision"], "--cache: vram needs --augment kornia"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(
    runs: Path, said: Said, arguments: list[str], words: str
) -> None:
    try:
        code: object = main(["--runs-dir", str(runs), *arguments])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert words in said()


def test_a_runs_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, said: Said) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--runs-dir", str(tmp_path / "file" / "runs"), "--preset", "demo"]) == 1
    assert "--runs-dir" in said()


def test_a_second_trainer_is_told_to_try_again(
    store: RunStore, runs: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.store.runs.new_run_id", lambda: "abcdefghij")
    run_id = store.create_run(kind="pretrain", name="a", config=PretrainConfig().to_json())
    with holder(runs):
        assert main(["--runs-dir", str(runs), "--run", run_id]) == 75
    assert "already has a trainer" in said()
    assert store.run(run_id).lifecycle == "created"


@pytest.mark.parametrize(("option", "code"), [("--run", 0), ("--resume-or-start", 0)])
def test_a_finished_run_has_nothing_left_to_do(store: RunStore, runs: Path, option: str, code: int) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config=PretrainConfig().to_json())
    store.lifecycle(run_id, "finished", "finished")
    assert main(["--runs-dir", str(runs), option, run_id]) == code
    assert store.run(run_id).lifecycle == "finished"


def test_a_stopped_run_is_left_alone_by_a_supervisor(store: RunStore, runs: Path) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config=PretrainConfig().to_json())
    store.lifecycle(run_id, "stopped", "stopped")
    assert main(["--runs-dir", str(runs), "--resume-or-start", "a"]) == 0
    assert store.run(run_id).lifecycle == "stopped"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "folder:/no/such/folder"], "/no/such/folder"),
        ([*SHAPES, "--batch-size", "64"], "--batch-size: 64 is more than the 40 images"),
        ([*SHAPES, "--device", "cuda:7"], "--device: cuda:7 is not there"),
        ([*SHAPES, "--split", "unlabeled"], "--split"),
    ],
)
def test_what_only_shows_when_the_run_begins_fails_it_with_a_sentence(
    runs: Path, said: Said, arguments: list[str], words: str
) -> None:
    assert main(["--runs-dir", str(runs), *arguments]) == 2
    assert words in said()
    store = RunStore.open(runs)
    run = store.runs()[0]
    assert (run.lifecycle, run.exit_code) == ("failed", 2)
    assert words in store.events(run_id=run.id)[-1].message
    store.close()


def test_help_shows_every_setting_with_bounds_and_default_without_importing_torch() -> None:
    code = "import sys\ntry:\n import trainer.run; trainer.run.main(['--help'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("False")
    text = " ".join(done.stdout.split())
    for field in fields_of(PretrainConfig):
        assert (field.option if field.kind is not bool else f"--no-{field.option[2:]}") in text
        assert field.help.split()[0] in text
    assert "1 to 100000 epochs; default 500" in text


def test_a_run_takes_other_settings_only_where_they_cannot_change_its_result(store: RunStore) -> None:
    run = store.run(new_pretrain_run(store, PretrainConfig(), name="a"))
    again = change_settings(store, run, {"num_workers": 5, "epochs": 500})
    assert PretrainConfig.from_json(again.config).num_workers == 5
    assert store.events(run_id=run.id)[-1].message == "settings changed: num_workers 2 → 5"
    with pytest.raises(ConfigError, match="--epochs: a was made with 500, and another value would change its result"):
        change_settings(store, run, {"num_workers": 6, "epochs": 3})
    assert store.run(run.id).config == again.config


def test_threads_are_settled_when_the_run_is_made(store: RunStore) -> None:
    run = store.run(new_pretrain_run(store, PretrainConfig(), name="a"))
    assert json.loads(run.config)["threads"] == available_cores() > 0


def test_names_made_from_settings_do_not_collide(store: RunStore) -> None:
    config = PretrainConfig(dataset="folder:/data/my photos/")
    names = [store.run(new_pretrain_run(store, config)).name for _ in range(3)]
    assert names == ["my photos-resnet18", "my photos-resnet18-2", "my photos-resnet18-3"]
