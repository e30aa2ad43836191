"""Encoders that are written load with `strict=True` elsewhere and give the run's own h, by the lines of their card."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.errors import CheckpointError, ConfigError, TrainerError, UsageError
from trainer.export.__main__ import main
from trainer.export.encoder import write_encoder
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.start import new_pretrain_run
from trainer.step import TrainState, new_state
from trainer.store import RunStore

SMALL: dict[str, Any] = {"dataset": "shapes", "image_size": 32, "head_width": 16, "projection_size": 8, "threads": 1}


def trained(store: RunStore, *, steps: tuple[int, ...] = (8,), **settings: Any) -> tuple[str, TrainState]:
    """A run with checkpoints, and the state of the last one: weights that no initialisation gives."""
    config = PretrainConfig(**(SMALL | settings))
    run_id = new_pretrain_run(store, config, name="first")
    state = new_state(config, prepare(device="cpu", threads=1), classes=0, data="tests")
    keeper = CheckpointKeeper(store, store.runs_path, run_id, PretrainConfig.from_json(store.run(run_id).config))
    generator = torch.Generator().manual_seed(1)
    for step in steps:
        with torch.no_grad():
            for value in state.model.state_dict().values():
                if value.is_floating_point():
                    value.add_(torch.rand(value.shape, generator=generator) / 50)
        state.step = step
        keeper.save(state.payload(), step=step, epoch=1, reason="interval", knn_top1=None)
    store.put_epoch(run_id, 1, {"loss": 1.25, "knn_top1": 0.31})
    about = {"step": 8, "labels_per_class": 0, "seed": 0, "images": 80, "protocol": "linear", "layer": "h"}
    store.put_evaluations(run_id, [about | {"top1": 0.625}])
    store.lifecycle(run_id, "finished", "finished by a test")
    return run_id, state


def own_features(state: TrainState, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return state.scored_model.eval().encode(images)


SETTINGS: dict[str, dict[str, Any]] = {
    "torchvision": {"backbone": "resnet18", "stem": "imagenet"},
    "small stem and average": {"backbone": "resnet18", "stem": "small", "ema_decay": 0.9},
    "narrow": {"backbone": "resnet-narrow"},
    "other width": {"backbone": "resnet18", "width_multiplier": 0.25},
    "timm": {"backbone": "timm:resnet10t"},
}


def run_cards(folders: list[Path], images: torch.Tensor, work: Path) -> list[torch.Tensor]:
    """What the encoders give that the lines of some cards have loaded, in one process that knows nothing else."""
    torch.save(images, work / "images.pt")
    parts = [f"import os, torch\nimages, found = torch.load({str(work / 'images.pt')!r}, weights_only=True), []\n"]
    for folder in folders:
        text = (folder / "README.md").read_text()
        (lines,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        assert len(lines.splitlines()) <= 6
        parts += [f"os.chdir({str(folder)!r})\n", lines, "with torch.no_grad(): found.append(encoder.eval()(images))\n"]
    parts.append(f"torch.save(found, {str(work / 'found.pt')!r})\n")
    subprocess.run([sys.executable, "-c", "".join(parts)], check=True)
    features: list[torch.Tensor] = torch.load(work / "found.pt", weights_only=True)
    return features


def test_the_lines_of_each_card_load_it_and_give_the_runs_own_h(store: RunStore, tmp_path: Path) -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    wanted, folders = [], []
    for what, settings in SETTINGS.items():
        run_id, state = trained(store, **settings)
        wanted.append(own_features(state, images))
        folders.append(tmp_path / what)
        found = write_encoder(store, store.run(run_id), folders[-1])
        assert (found.step, found.features) == (8, wanted[-1].shape[1])
        plain = torch.load(folders[-1] / "encoder.pt", weights_only=True)
        safe = load_file(folders[-1] / "encoder.safetensors")
        assert plain.keys() == safe.keys()
        assert all(torch.equal(plain[name], safe[name]) for name in plain)
        assert not any("head" in name for name in plain)
    for what, mine, theirs in zip(SETTINGS, wanted, run_cards(folders, images, tmp_path), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-6, msg=what)


def test_with_a_last_layer_a_torchvision_model_of_as_many_classes_loads_it(store: RunStore, tmp_path: Path) -> None:
    run_id, state = trained(store, backbone="resnet18")
    write_encoder(store, store.run(run_id), tmp_path / "out", fc=7)
    model = torchvision.models.resnet18(num_classes=7)
    model.load_state_dict(torch.load(tmp_path / "out" / "encoder.pt", weights_only=True), strict=True)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), torch.zeros(2, 7))
        model.fc = torch.nn.Identity()
        assert torch.equal(model(images), own_features(state, images))
    with pytest.raises(ConfigError, match="is none of torchvision's models; leave it out"):
        write_encoder(store, store.run(trained(store, backbone="resnet-narrow")[0]), tmp_path / "no", fc=7)


def test_the_card_says_what_it_is(store: RunStore, tmp_path: Path) -> None:
    run_id, _ = trained(store, backbone="resnet-narrow", temperature=0.123)
    write_encoder(store, store.run(run_id), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    (row,) = store.checkpoints(run_id)
    for text in (
        "# first",
        "resnet-narrow with 96 features, after step 8 (epoch 1 of ",
        "RGB images of 32×32 pixels with values from 0 to 1, less [0.5, 0.5, 0.5], divided by [0.5, 0.5, 0.5]",
        "| temperature | 0.123 |",
        "- kNN top-1 of h, newest by epoch 1: 0.31",
        "| own | linear | h | all | 0.6250 |",
        f"| checkpoint of step 8 of run {run_id} | `{row.sha256}` |",
    ):
        assert text in card, text
    import hashlib

    for name in ("encoder.pt", "encoder.safetensors"):
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() in card
    with safe_open(tmp_path / "out" / "encoder.safetensors", framework="pt") as file:
        assert file.metadata()["checkpoint_sha256"] == row.sha256
    assert json.loads((tmp_path / "out" / "run.json").read_text())["run"]["id"] == run_id
    assert str(tmp_path) not in card, "where it was trained is nobody's business"


def test_the_card_says_what_energy_it_took_only_where_that_was_measured(store: RunStore, tmp_path: Path) -> None:
    run_id, _ = trained(store, backbone="resnet-narrow")
    write_encoder(store, store.run(run_id), tmp_path / "none")
    assert "energy" not in (tmp_path / "none" / "README.md").read_text()
    row = store.epochs(run_id)[0] | {"energy_joules": 7.2e6, "cpu_energy_joules": 1.8e6}
    del row["run_id"], row["epoch"]
    store.put_epoch(run_id, 1, row)
    store.put_epoch(run_id, 2, row | {"energy_joules": 9e9})  # after this checkpoint
    store.update_run(run_id, energy_source="power")
    write_encoder(store, store.run(run_id), tmp_path / "some")
    card = (tmp_path / "some" / "README.md").read_text()
    assert "- energy by epoch 1: 2 kWh of the GPU, estimated from its power, with whatever else ran there" in card
    assert "- energy by epoch 1: 0.5 kWh of the machine's processors and their memory (RAPL)" in card
    store.update_run(run_id, fingerprint='{"ranks": 8}')
    write_encoder(store, store.run(run_id), tmp_path / "ranks")
    assert "2 kWh of the first of 8 GPUs alone, estimated" in (tmp_path / "ranks" / "README.md").read_text()


def test_a_damaged_checkpoint_is_refused_by_name_and_passed_over_else(store: RunStore, tmp_path: Path) -> None:
    run_id, _ = trained(store, steps=(4, 8), backbone="resnet-narrow")
    weights = next(checkpoint_dir(store.runs_path, run_id).glob("step-8-*.pt"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="the checkpoint of step 8 of first can't be used"):
        write_encoder(store, store.run(run_id), tmp_path / "out", step=8)
    assert not (tmp_path / "out").exists()
    found = write_encoder(store, store.run(run_id), tmp_path / "out")
    assert found.step == 4
    assert "checkpoint of step 8 passed over: its bytes are not those that were written" in found.passed_over
    weights.with_name(next(checkpoint_dir(store.runs_path, run_id).glob("step-4-*.pt")).name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="no checkpoint of first can be used"):
        write_encoder(store, store.run(run_id), tmp_path / "none")
    assert weights.exists(), "nothing of the run is touched"


def test_what_has_no_encoder_is_a_sentence(store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = store.run(new_pretrain_run(store, PretrainConfig(**SMALL), name="new"))
    with pytest.raises(CheckpointError, match="new has no checkpoint; resume it"):
        write_encoder(store, new, tmp_path / "out")
    with pytest.raises(ConfigError, match="new has no checkpoint of step 3; it has none yet"):
        write_encoder(store, new, tmp_path / "out", step=3)
    job = store.run(store.create_run(kind="imported", name="old", config="{}"))
    with pytest.raises(UsageError, match="old is of kind imported, which has no encoder"):
        write_encoder(store, job, tmp_path / "out")
    monkeypatch.setattr("trainer.export.encoder.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'simclr-tui\[safetensors\]'"):
        write_encoder(store, new, tmp_path / "out")
    assert issubclass(CheckpointError, TrainerError)


def test_the_command_hands_over_to_the_trainers_side(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(store, backbone="resnet-narrow")
    words = [
        sys.executable,
        "-m",
        "simclr_tui",
        "--runs-dir",
        str(store.runs_path),
        "export",
        "first",
        "--to",
        "encoder",
    ]
    done = subprocess.run([*words, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["out"], told["step"], told["features"]) == (str(tmp_path / "first-encoder"), 8, 96)
    again = ["--runs-dir", str(store.runs_path), "--run", "first", "--out", str(tmp_path / "first-encoder")]
    assert main(again) == 2
    assert "is there already; name another one, or write over it with --force" in capsys.readouterr().err
    assert main([*again, "--force"]) == 0
    assert main([*again, "--runs-dir", str(tmp_path / "nowhere")]) == 1
