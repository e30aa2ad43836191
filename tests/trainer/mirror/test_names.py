"""Loggers are named, refused and missed in a sentence, before anything is made."""

import argparse
import importlib
from pathlib import Path

import pytest

from trainer.errors import UsageError
from trainer.mirror import names
from trainer.mirror.follow import make_sink
from trainer.mirror.names import LOGGERS, Logger, add_mirror_options, chosen, is_installed, logger_names
from trainer.mirror.sink import Sink
from trainer.run import main


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_mirror_options(parser)
    return parser.parse_args(words)


def test_names_are_a_list_with_commas_each_once_and_none_is_no_name() -> None:
    assert logger_names("wandb, tensorboard,wandb") == ("wandb", "tensorboard")
    assert logger_names("none") == ()
    for wrong in ("", "wandb,", "none,wandb", "W&B"):
        with pytest.raises(
            argparse.ArgumentTypeError, match="choose from tensorboard, wandb, mlflow, trackio, or none"
        ):
            logger_names(wrong)


def test_nothing_said_is_not_the_same_as_none() -> None:
    assert chosen(options()) is None
    assert chosen(options("--mirror", "none")) == ()
    assert chosen(options("--tensorboard")) == ("tensorboard",)
    assert chosen(options("--mirror", "none", "--tensorboard")) == ("tensorboard",)


def test_a_missing_package_is_a_sentence_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    for name in LOGGERS:
        with pytest.raises(UsageError, match=rf"--mirror: {name} needs `pip install 'simclr-tui\[{name}\]'`"):
            chosen(options("--mirror", name))


def test_a_folder_that_a_client_has_left_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "left_by_a_client").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(LOGGERS, "wandb", Logger("W", "left_by_a_client", ""))
    assert not is_installed("wandb")
    (tmp_path / "left_by_a_client" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert is_installed("wandb")


def test_a_trainer_without_the_package_ends_before_a_run_is_made(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    assert main(["--runs-dir", str(runs), "--preset", "demo", "--tensorboard"]) == 2
    assert "trainer: --mirror: tensorboard needs `pip install" in capsys.readouterr().err
    assert not runs.exists()


def test_every_logger_has_a_sink_that_is_made_without_its_package() -> None:
    for name in LOGGERS:
        assert isinstance(make_sink(name), Sink)
