"""The encoder of a run for other programs: safetensors, a plain state_dict, and a card that says what it is.

The weights are those that evaluations score: the average where the run keeps one. The head is left out, since what
comes after pretraining uses h.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError, ConfigError, UsageError
from trainer.export.about import write_about
from trainer.export.card import Card, card_text
from trainer.export.target import new_folder, unwritable
from trainer.model import SimCLRModel, build_model
from trainer.paths import checkpoint_dir
from trainer.payload import misfits
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

SAFETENSORS, STATE_DICT, CARD = "encoder.safetensors", "encoder.pt", "README.md"

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written."""

    step: int
    epoch: int
    features: int
    """D of h."""
    tensors: int
    passed_over: list[str]
    """A sentence for each newer checkpoint that can't be used."""


def write_encoder(
    reader: StoreReader, run: Run, out: Path, *, step: int = 0, fc: int = 0, force: bool = False
) -> Exported:
    """Write the encoder of a checkpoint into a new folder. Reads only what is there, also of a run that is alive.

    Args:
        reader: the store.
        run: the run.
        out: the folder.
        step: of the checkpoint; 0 takes the newest one that verifies.
        fc: classes of a last layer of zeros, which a torchvision model of as many classes loads; 0 leaves it out.
        force: write over an export that is there.

    Raises:
        UsageError: the run has no encoder, the folder is there, or safetensors is not installed.
        ConfigError: the encoder has no such last layer, or can't be built.
        CheckpointError: there is no checkpoint, it is damaged, or it is of other settings.
        TrainerError: the disk refused.
    """
    config = _config(run, fc)
    payload, manifest, passed_over = _checkpoint(reader, run, config, step)
    model = _model(run, config, payload)
    state = encoder_state(model.encoder)
    if fc:
        state |= {"fc.weight": torch.zeros(fc, model.feature_size), "fc.bias": torch.zeros(fc)}
    card = Card(
        run=run,
        config=config,
        step=payload["step"],
        epoch=manifest["epoch"],
        checkpoint_sha256=manifest["sha256"],
        is_averaged="ema" in payload,
        features=model.feature_size,
        fc=fc,
        is_torchvisions=is_torchvisions(config),
        evaluations=reader.evaluations(run.id),
        epochs=reader.epochs(run.id),
    )
    try:
        with new_folder(out, force=force) as folder:
            _write(folder, state, card)
            write_about(folder, reader, run, {})
    except OSError as error:
        raise unwritable(out, error) from error
    return Exported(
        step=card.step, epoch=card.epoch, features=card.features, tensors=len(state), passed_over=passed_over
    )


def _config(run: Run, fc: int) -> PretrainConfig:
    """The settings of a run that has an encoder, which can have such a last layer."""
    if run.kind not in TRAINED_KINDS:
        raise UsageError(f"{run.name} is of kind {run.kind}, which has no encoder; name a run that trains")
    if find_spec("safetensors") is None:
        raise UsageError("--to encoder needs `pip install 'simclr-tui[safetensors]'`")
    config = PretrainConfig.from_json(run.config)
    if fc and not is_torchvisions(config):
        raise ConfigError("fc", f"{config.backbone} of this width is none of torchvision's models; leave it out")
    return config


def is_torchvisions(config: PretrainConfig) -> bool:
    """Whether the encoder is one of torchvision's models, with another stem at most."""
    return config.backbone.startswith("resnet") and config.backbone != "resnet-narrow" and config.width_multiplier == 1


def encoder_state(encoder: nn.Module) -> State:
    """The tensors of an encoder, each with memory of its own, on the CPU."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in encoder.state_dict().items()}


def _checkpoint(
    reader: StoreReader, run: Run, config: PretrainConfig, step: int
) -> tuple[dict[str, Any], Mapping[str, Any], list[str]]:
    """Payload and manifest of the checkpoint, and a sentence for each that was passed over."""
    folder = checkpoint_dir(reader.runs_path, run.id)
    passed_over: list[str] = []

    def report(_kind: str, message: str) -> None:
        passed_over.append(message)

    try:
        found = (
            checkpoint.load(folder, step, _fits(config))
            if step
            else checkpoint.latest_valid(folder, _fits(config), report, owner=False)
        )
    except FileNotFoundError as error:
        there_are = ", ".join(map(str, sorted(checkpoint.steps_on_disk(folder)))) or "none yet"
        raise ConfigError("step", f"{run.name} has no checkpoint of step {step}; it has {there_are}") from error
    except ValueError as error:
        which = f"the checkpoint of step {step} of {run.name} can't" if step else f"no checkpoint of {run.name} can"
        remedy = "name another --step, or restore the folder from a copy"
        raise CheckpointError(f"{which} be used, {error}; {remedy}") from error
    if found is None:
        raise CheckpointError(f"{run.name} has no checkpoint; resume it, or wait for its first one")
    return *found, passed_over


def _fits(config: PretrainConfig) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a checkpoint was made with settings of the same result, as a manifest says."""

    def fits(manifest: Mapping[str, Any]) -> bool:
        try:
            texts = [manifest["config"], *manifest.get("was", [])]
            return any(PretrainConfig.from_json(text).digest() == config.digest() for text in texts)
        except (ConfigError, AttributeError, KeyError, TypeError, ValueError):
            return False

    return fits


def _model(run: Run, config: PretrainConfig, payload: Mapping[str, Any]) -> SimCLRModel:
    """The network with the weights that are scored, each of which has its place."""
    model = build_model(config, classes=payload["classes"])
    weights: State = payload.get("ema") or payload["model"]
    wrong = misfits(model, weights)
    if wrong:
        raise CheckpointError(
            f"the checkpoint of {run.name} is of another architecture than its settings say ({len(wrong)} tensors "
            f"differ, such as {min(wrong)}); restore its folder from a copy"
        )
    model.load_state_dict(weights)
    return model


def _write(folder: Path, state: State, card: Card) -> None:
    from safetensors.torch import save_file

    about = {"format": "pt", "made_by": "simclr-tui", "run": card.run.id, "step": str(card.step)}
    about |= {"backbone": card.config.backbone, "checkpoint_sha256": card.checkpoint_sha256}
    save_file(state, folder / SAFETENSORS, metadata=about)
    torch.save(state, folder / STATE_DICT)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (SAFETENSORS, STATE_DICT)}
    (folder / CARD).write_text(card_text(card, digests), encoding="utf-8")


def described(found: Exported, run: Run, out: Path, *, as_json: bool) -> str:
    """What was written, in a line or as one JSON document."""
    if as_json:
        values = {"run_id": run.id, "to": "encoder", "out": str(out), "step": found.step, "epoch": found.epoch}
        values |= {"features": found.features, "tensors": found.tensors, "passed_over": found.passed_over}
        return json.dumps(values, indent=2)
    where = f"at step {found.step:,} (epoch {found.epoch})"
    line = f"{out} has the encoder of {run.name} {where}: {found.features} features"
    return "\n".join([line, *(f"! {sentence}" for sentence in found.passed_over)])
