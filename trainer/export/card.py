"""The card of an exported encoder: Markdown that says what it is, what it was made of, and how it is loaded. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import Any

from trainer.augment import NORMALISATIONS
from trainer.config import TIMM, PretrainConfig
from trainer.energy_use import CARD, CPU, JOULES_PER_KWH, rank_count
from trainer.options import show
from trainer.store.records import Evaluation, Run

_NO_RESULT = ("data_dir", "device", "threads")
"""Settings that say where it was trained, and nothing about what it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a card is made of."""

    run: Run
    config: PretrainConfig
    step: int
    epoch: int
    checkpoint_sha256: str
    is_averaged: bool
    features: int
    fc: int
    is_torchvisions: bool
    evaluations: Sequence[Evaluation]
    epochs: Sequence[Mapping[str, Any]]


def card_text(card: Card, digests: Mapping[str, str]) -> str:
    """The card.

    Args:
        card: what it is about.
        digests: SHA-256 of the files beside it, by name.
    """
    parts = (_beginning(card), _loading(card), _input(card), _figures(card), _recipe(card), _files(card, digests))
    return "\n".join(line for part in parts for line in part) + "\n"


def loading_lines(card: Card) -> list[str]:
    """The lines of Python that load the encoder with `strict=True`, run in the folder of the files."""
    load = 'encoder.load_state_dict(torch.load("encoder.pt", weights_only=True), strict=True)'
    config = card.config
    if config.backbone.startswith(TIMM):
        name = config.backbone.removeprefix(TIMM)
        made = [f'encoder = timm.create_model("{name}", num_classes=0)']
        return ["import timm, torch", *made, load]
    if not card.is_torchvisions:
        made = ["from trainer.backbones import build_encoder", "from trainer.config import PretrainConfig"]
        wish = f'backbone="{config.backbone}", stem="{config.stem}", width_multiplier={config.width_multiplier:g}'
        return ["import torch", *made, f"encoder, _ = build_encoder(PretrainConfig({wish}))", load]
    classes = f"num_classes={card.fc}" if card.fc else ""
    lines = ["import torch, torchvision", f"encoder = torchvision.models.{config.backbone}({classes})"]
    if config.stem == "small":
        lines.append("encoder.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)")
        lines.append("encoder.maxpool = torch.nn.Identity()")
    return [*lines, *([] if card.fc else ["encoder.fc = torch.nn.Identity()"]), load]


def _beginning(card: Card) -> Iterator[str]:
    config, run = card.config, card.run
    averaged = ", a moving average of the weights" if card.is_averaged else ""
    yield f"# {_plain(run.name)}"
    yield ""
    yield (
        f"The encoder of a {config.method} run: {_plain(config.backbone)} with {card.features} features, after step "
        f"{card.step:,} (epoch {card.epoch} of {config.epochs}){averaged}. Trained on {_plain(config.dataset)}."
    )
    yield ""


def _loading(card: Card) -> Iterator[str]:
    yield from ("## Load it", "", "```python", *loading_lines(card), "```", "")
    if card.fc:
        yield f"The last layer has {card.fc} classes and weights of zero, to be trained. The head is left out."
    else:
        yield "It gives the representation h. The projection head is left out, and there is no last layer."
    yield "`encoder.safetensors` has the same tensors by the same names, for programs that take no pickle."
    yield ""


def _input(card: Card) -> Iterator[str]:
    mean, deviation = NORMALISATIONS[card.config.normalisation]
    size = card.config.image_size
    yield from ("## Input", "")
    yield (
        f"RGB images of {size}×{size} pixels with values from 0 to 1, less {list(mean)}, divided by {list(deviation)}. "
        "Call `encoder.eval()` first: batch norm has statistics of its own."
    )
    yield ""


def _figures(card: Card) -> Iterator[str]:
    yield from ("## Figures", "")
    before = [row for row in reversed(card.epochs) if row["epoch"] <= card.epoch]
    said = {"loss": "loss", "acc_top1": "accuracy within a batch", "knn_top1": "kNN top-1 of h"}
    for name, words in said.items():
        value = next((row[name] for row in before if row[name] is not None), None)
        if value is not None:
            yield f"- {words}, newest by epoch {card.epoch}: {value:.4g}"
    yield from _energy(card)
    rows = [one for one in card.evaluations if one.step == card.step and one.top1 is not None]
    if rows:
        yield from ("", "| data | protocol | features | labels per class | top-1 |", "|---|---|---|---|---|")
        for one in rows:
            labels = one.labels_per_class or "all"
            data, what = _plain(one.dataset) or "own", f"{_plain(one.protocol)} | {_plain(one.layer)}"
            yield f"| {data} | {what} | {labels} | {one.top1:.4f} |"
    else:
        yield "- no evaluation of this step; accuracies of a classifier on h are not known"
    yield ""


def _energy(card: Card) -> Iterator[str]:
    """What was used until the end of the newest epoch that this checkpoint has."""
    row: Mapping[str, Any] = next((row for row in reversed(card.epochs) if row["epoch"] <= card.epoch), {})
    how = "estimated from its power" if card.run.energy_source == "power" else "by its own counter"
    ranks = rank_count(card.run)
    gpu = "the GPU" if ranks == 1 else f"the first of {ranks} GPUs alone"
    for name, words in ((CARD, f"{gpu}, {how}"), (CPU, "the machine's processors and their memory (RAPL)")):
        if row.get(name) is not None:
            kwh = row[name] / JOULES_PER_KWH
            yield f"- energy by epoch {row['epoch']}: {kwh:.3g} kWh of {words}, with whatever else ran there"


def _recipe(card: Card) -> Iterator[str]:
    usual, preset = PretrainConfig(), card.run.preset
    yield from ("## Recipe", "")
    yield (f"Preset {_plain(preset)}. " if preset else "") + "The settings that are not simclr-tui's defaults:"
    yield from ("", "| setting | value |", "|---|---|")
    for one in fields(card.config):
        value = getattr(card.config, one.name)
        if value != getattr(usual, one.name) and one.name not in _NO_RESULT:
            yield f"| {one.name.replace('_', '-')} | {_plain(show(value))} |"
    yield ""


def _files(card: Card, digests: Mapping[str, str]) -> Iterator[str]:
    yield from ("## Files", "", "| file | SHA-256 |", "|---|---|")
    yield f"| checkpoint of step {card.step} of run {card.run.id} | `{card.checkpoint_sha256}` |"
    yield from (f"| {name} | `{digest}` |" for name, digest in digests.items())
    yield ""
    yield f"Written by simclr-tui {version('simclr-tui')} with torch {version('torch')}."


def _plain(text: str) -> str:
    """A text that means nothing to Markdown."""
    return "".join(f"\\{letter}" if letter in "\\|`*_[]<>#" else letter for letter in text)
