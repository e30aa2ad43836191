"""What one step looked like from the inside: its layers, gradients and figures, as an object, text and JSON."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

_LARGEST_SHOWN = 8
"""Parameters whose gradients are shown."""
_IMAGES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Layer:
    """The output of a module that has no module within, in the order of the forward pass."""

    name: str
    kind: str
    largest: float
    """Largest magnitude."""
    bad: int
    """Values that are not finite."""
    values: int


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient of a parameter."""

    name: str
    norm: float
    largest: float
    bad: int
    weight_norm: float


class Layers:
    """Watches the modules of a network while it computes. Use as a context manager."""

    def __init__(self, model: nn.Module) -> None:
        """Args: the network."""
        self._model = model
        self._hooks: list[Any] = []
        self.seen: list[Layer] = []

    def __enter__(self) -> Self:
        """Begin to watch."""
        for name, module in self._model.named_modules():
            if next(module.children(), None) is None:
                self._hooks.append(module.register_forward_hook(self._watch(name)))
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the network as it was."""
        for hook in self._hooks:
            hook.remove()

    def _watch(self, name: str) -> Any:
        def look(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                largest, bad = _magnitude(output)
                self.seen.append(Layer(name, type(module).__name__, largest, bad, output.numel()))

        return look

    def gradients(self) -> list[Gradient]:
        """Those of the backward pass, the largest norm first and what is not finite before it."""
        found = []
        for name, parameter in self._model.named_parameters():
            if parameter.grad is not None:
                largest, bad = _magnitude(parameter.grad)
                norm, weight = parameter.grad.norm().item(), parameter.detach().norm().item()
                found.append(Gradient(name, norm, largest, bad, weight))
        return sorted(found, key=lambda one: (one.bad == 0, -one.norm if math.isfinite(one.norm) else -math.inf))


def _magnitude(values: Tensor) -> tuple[float, int]:
    """The largest finite magnitude and how many values are not finite."""
    values = values.detach().float()
    finite = values.isfinite()
    largest = torch.where(finite, values.abs(), 0.0).max().item() if values.numel() else 0.0
    return largest, int((~finite).sum().item())


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step that was taken once more."""

    run_id: str
    name: str
    step: int
    epoch: int
    batch: int
    """Counted from 1."""
    batches: int
    learning_rate: float
    began_after: int
    """The step of the checkpoint that it went on from; 0 is the beginning of the run."""
    compared: int
    """Steps before it that were repeated and had been recorded."""
    same: int
    """Those of them whose loss was the recorded one bit for bit."""
    figures: dict[str, float]
    recorded: dict[str, Any] | None
    layers: list[Layer]
    gradients: list[Gradient]
    views: list[tuple[Any, ...]]
    """Minimum and maximum of each view of the batch."""
    split: str
    images: list[int]
    odd_images: list[int]
    """Images of which a view is not finite."""
    step_mode: str = "eager"
    """How the run's own steps are run (`trainer.stepper`)."""

    @property
    def first_bad_layer(self) -> Layer | None:
        """The first module whose output is not finite."""
        return next((layer for layer in self.layers if layer.bad), None)

    def is_identical(self, name: str) -> bool | None:
        """Whether a figure is the recorded one bit for bit; None where nothing is recorded.

        The store has NULL for what is not finite: such a figure is identical to another one that is not.
        """
        if self.recorded is None:
            return None
        then, now = self.recorded[name], self.figures[name]
        return bool(then == now) if math.isfinite(now) else then is None

    def document(self) -> dict[str, Any]:
        """For scripts. JSON has no NaN: it and infinity are the strings "nan", "inf" and "-inf"."""
        values = dataclasses.asdict(self)
        values["views"] = [{"minimum": low.item(), "maximum": high.item()} for low, high in self.views]
        first = self.first_bad_layer
        values["first_bad_layer"] = None if first is None else first.name
        recorded = values.pop("recorded")
        values["figures"] = {
            name: {
                "recomputed": value,
                "recorded": None if recorded is None else recorded[name],
                "identical": self.is_identical(name),
            }
            for name, value in self.figures.items()
        }
        plain: dict[str, Any] = _plain(values)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def report_text(report: StepReport) -> str:
    """The report for people, with a line at its end."""
    began = f"the checkpoint of step {report.began_after:,}" if report.began_after else "the beginning of the run"
    lines = [
        f"step {report.step:,} of {report.name} ({report.run_id})",
        f"  epoch {report.epoch}, batch {report.batch} of {report.batches}, learning rate {report.learning_rate:.6g}",
        f"  gone on from {began}" + _repeated(report),
        "",
        f"{'figure':<14}{'recomputed':>16}{'recorded':>16}",
    ]
    for name, value in report.figures.items():
        then = None if report.recorded is None else report.recorded[name]
        verdict = {True: "identical", False: "differs", None: ""}[report.is_identical(name)]
        stored = "–" if report.recorded is None else "not finite" if then is None else f"{then:.9g}"
        lines.append(f"{name:<14}{value:>16.9g}{stored:>16}  {verdict}".rstrip())
    if report.step_mode != "eager":
        lines += ["", f"last digits may differ: steps of the run are of mode {report.step_mode}, these are eager"]
    first = report.first_bad_layer
    if first is None:
        lines += ["", "every layer's output is finite"]
    else:
        lines += ["", f"first layer that is not finite: {first.name} ({first.kind}, {first.bad:,} of {first.values:,})"]
    lines += ["", *_layer_lines(report), "", *_gradient_lines(report), "", *_view_lines(report)]
    return "\n".join(lines) + "\n"


def _repeated(report: StepReport) -> str:
    if not report.compared:
        return ""
    steps = "1 step" if report.compared == 1 else f"{report.compared:,} steps"
    return f"; of {steps} before it {report.same:,} with the recorded loss bit for bit"


def _layer_lines(report: StepReport) -> Iterable[str]:
    width = max((len(layer.name) for layer in report.layers), default=5)
    yield f"{'layer':<{width}}  {'kind':<16}{'largest':>12}{'not finite':>12}"
    for layer in report.layers:
        yield f"{layer.name:<{width}}  {layer.kind:<16}{layer.largest:>12.4g}{layer.bad:>12,}"


def _gradient_lines(report: StepReport) -> Iterable[str]:
    shown = report.gradients[:_LARGEST_SHOWN]
    width = max((len(one.name) for one in shown), default=9)
    yield f"{'gradient of':<{width}}  {'norm':>12}{'largest':>12}{'not finite':>12}{'weight norm':>12}"
    for one in shown:
        yield f"{one.name:<{width}}  {one.norm:>12.4g}{one.largest:>12.4g}{one.bad:>12,}{one.weight_norm:>12.4g}"
    left = len(report.gradients) - len(shown)
    if left:
        yield f"and {left} smaller ones"


def _view_lines(report: StepReport) -> Iterable[str]:
    for number, (low, high) in enumerate(report.views, start=1):
        yield f"view {number}: {low:.4g} to {high:.4g}"
    for what, images in (("images", report.images), ("not finite", report.odd_images)):
        if images:
            rest = f" and {len(images) - _IMAGES_SHOWN} more (--json has all)" if len(images) > _IMAGES_SHOWN else ""
            yield f"{what} of {report.split}: {', '.join(map(str, images[:_IMAGES_SHOWN]))}{rest}"
