"""What can be copied of a run, and that the commands among it do what they say."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.commands.parser import parse
from simclr_tui.model import RunRow
from simclr_tui.run.copying import copyables
from tests.simclr_tui.support import add_run
from trainer.config import PretrainConfig
from trainer.presets import load_preset
from trainer.settings import fields_of
from trainer.store.runs import RunStore
from trainer.stored_settings import settings_of


def texts(store: RunStore, runs: Path, run_id: str) -> dict[str, str]:
    return {one.id: one.text for one in copyables(RunRow(store.run(run_id), "paused", 0), runs)}


def test_id_name_folder_commands_and_figures(store: RunStore, runs: Path) -> None:
    run_id = add_run(store, "it's mine", steps=46, lifecycle="paused")
    found = texts(store, runs, run_id)
    assert list(found) == ["id", "name", "folder", "resume", "launch", "figures"]
    assert (found["id"], found["name"], found["folder"]) == (run_id, "it's mine", str(runs / run_id))
    words = shlex.split(found["resume"])
    assert words == ["simclr-tui", "resume", run_id, "--runs-dir", str(runs)]
    assert parse(words[1:]).run == run_id
    assert found["figures"].startswith(f"it's mine ({run_id}) · paused · epoch 2/15 · loss ")
    assert found["figures"].endswith(" · kNN 17.0 %")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.1 + 0.2, "learning_rate": 1.23456789e-5},
        {"persistent_workers": True, "num_workers": 2, "drop_last": False},
        {"seed": 7, "cache": "ram", "ema_decay": 0.99, "backbone": "resnet18"},
    ],
)
def test_the_launch_command_reproduces_the_settings(settings: dict[str, Any], store: RunStore, runs: Path) -> None:
    run_id = add_run(store, "one", **settings)
    words = shlex.split(texts(store, runs, run_id)["launch"])
    options = vars(parse(words[1:]))
    given = {field.name: options[field.name] for field in fields_of(PretrainConfig) if field.name in options}
    made = load_preset(options["preset"]).config(**given)
    wanted = settings_of(store.run(run_id))
    for field in fields_of(PretrainConfig):
        if field.name not in ("threads", "data_dir"):  # settled when a run is made, by the machine and the folder
            assert getattr(made, field.name) == wanted[field.name], field.name


def test_a_run_whose_preset_is_not_known_any_more_is_told_by_its_settings_alone(store: RunStore, runs: Path) -> None:
    config = load_preset("demo").config(temperature=0.3)
    run_id = store.create_run(kind="pretrain", name="old", config=config.to_json(), preset="gone")
    words = shlex.split(texts(store, runs, run_id)["launch"])
    assert "--preset" not in words
    assert "--temperature=0.3" in words
    assert "--backbone=resnet-narrow" in words


def test_an_evaluation_can_not_be_launched_again_by_a_command(store: RunStore, runs: Path) -> None:
    run_id = store.create_run(kind="evaluate", name="job", config="{}")
    assert list(texts(store, runs, run_id)) == ["id", "name", "folder", "figures"]
