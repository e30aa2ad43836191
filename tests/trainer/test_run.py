"""The trainer's command line: a person's mistake is one sentence and its exit code, and nothing is lost."""

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.exits import code_of
from tests.trainer.test_process import holder
from trainer.config import PretrainConfig
from trainer.drift import change_settings
from trainer.errors import ConfigError
from trainer.run import _translate, main
from trainer.settings import fields_of
from trainer.start import available_cores, new_pretrain_run
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
        (["--dataset", "folder:/no/such/folder"], "--dataset: /no/such/folder is not a folder; check the path"),
        (["--name", "a\nb\x1b[31m"], "does not fit a line"),
        (["--name", "名前" * 20], "does not fit a line; give at most 60 printable characters"),
        (["--run", "nosuchrun0"], "no run has the id or name 'nosuchrun0'"),
        (["--run", "x", "--preset", "demo"], "a run keeps its preset and its name"),
        (["--run", "x", "--resume-or-start", "y"], "--resume-or-start: not allowed with --run; give one of them"),
        (["--temprature", "1"], "--temprature"),
        (["--cache", "vram", "--augment", "torchvision"], "--cache: vram needs --augment kornia"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(
    runs: Path, said: Said, arguments: list[str], words: str
) -> None:
    assert code_of(main, ["--runs-dir", str(runs), *arguments]) == 2
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


@pytest.fixture
def empty_folder(tmp_path: Path) -> str:
    """A data set that a trainer gives up at once, since it has no images."""
    (tmp_path / "empty").mkdir()
    return f"folder:{tmp_path}/empty"


def test_the_number_of_threads_may_be_left_to_the_run(runs: Path, said: Said, empty_folder: str) -> None:
    """0 is the documented default; it must neither be compared with what it became nor change it."""
    assert main(["--runs-dir", str(runs), "--threads", "0", "--dataset", empty_folder]) == 2
    assert "empty" in said()


def test_a_name_is_never_taken_for_the_beginning_of_an_id(
    store: RunStore, runs: Path, said: Said, empty_folder: str
) -> None:
    other = new_pretrain_run(store, PretrainConfig(dataset=empty_folder), name="other")
    arguments = ["--runs-dir", str(runs), "--resume-or-start", other[:3], "--dataset", empty_folder]
    assert main(arguments) == 2
    assert "empty" in said()
    assert {run.name for run in store.runs()} == {"other", other[:3]}
    assert store.run(other).lifecycle == "created"


def test_another_preset_than_the_runs_own_is_refused(store: RunStore, runs: Path, said: Said) -> None:
    new_pretrain_run(store, PretrainConfig(), preset="demo", name="a")
    assert main(["--runs-dir", str(runs), "--resume-or-start", "a", "--preset", "stl10"]) == 2
    assert "--preset: a was made with preset demo" in said()


def test_a_run_can_be_resumed_from_another_folder_and_with_its_images_elsewhere(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    run = store.run(new_pretrain_run(store, PretrainConfig(dataset="folder:pictures", data_dir="here"), name="a"))
    config = PretrainConfig.from_json(run.config)
    assert config.dataset == f"folder:{tmp_path}/pictures"
    assert config.data_dir == f"{tmp_path}/here"
    moved = PretrainConfig.from_json(change_settings(store, run, {"dataset": "folder:/moved"}).config)
    assert moved.dataset == "folder:/moved"
    assert moved.digest() == config.digest()
    with pytest.raises(ConfigError, match="--dataset: a was made with folder:"):
        change_settings(store, run, {"dataset": "shapes"})


def test_what_is_asked_of_a_run_that_is_coming_up_is_not_dropped(
    store: RunStore, runs: Path, empty_folder: str
) -> None:
    """A pause that was asked for long before is void; one since the launch counts, before the trainer has begun."""
    run_id = new_pretrain_run(store, PretrainConfig(dataset=empty_folder), name="a")
    store.request(run_id, "stop")
    store.lifecycle(run_id, "launched", "launched")
    asked = store.request(run_id, "pause")
    main(["--runs-dir", str(runs), "--run", run_id])
    outcomes = dict(store.connection.execute("SELECT command, outcome FROM commands"))
    assert outcomes["stop"] == "outdated"
    assert outcomes["pause"] != "outdated"
    assert asked


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "--batch-size: the device has too little memory"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "--num-workers: a loader worker was lost",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    ],
)
def test_what_torch_and_the_system_raise_is_told_with_the_remedy(error: Exception, words: str) -> None:
    told = _translate(error)
    assert told is not None
    assert words in str(told)
    assert _translate(ValueError("a bug")) is None


def test_threads_are_settled_when_the_run_is_made(store: RunStore) -> None:
    run = store.run(new_pretrain_run(store, PretrainConfig(), name="a"))
    assert json.loads(run.config)["threads"] == available_cores() > 0


def test_names_made_from_settings_do_not_collide(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    config = PretrainConfig(dataset=f"folder:{tmp_path}/my photos/")
    names = [store.run(new_pretrain_run(store, config)).name for _ in range(3)]
    assert names == ["my photos-resnet18", "my photos-resnet18-2", "my photos-resnet18-3"]
