"""An evaluation that is being chosen: the way, the checkpoint, another data set. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simclr_tui.format import count, percent
from trainer.errors import ConfigError
from trainer.evaluate_config import WAYS, EvaluateConfig
from trainer.store.records import Checkpoint

ANSWERS = {
    "layers": ("which layer is worth most, by kNN and probe", "a minute"),
    "labels": ("how few labels are enough", "some minutes"),
    "invariance": ("what layers still tell of an augmentation", "some minutes"),
    "finetune": ("what training on with few labels gives", "the longest"),
    "map": ("what lies beside what, nearest neighbours", "a minute"),
}
"""What each way answers, and about how long that takes."""


@dataclass(slots=True)
class Wish:
    """What the form holds."""

    checkpoints: Sequence[Checkpoint]
    """Of the run, the newest first."""
    way: str = WAYS[0]
    choice: int = 0
    """Which of the checkpoint's choices."""
    dataset: str = ""

    def move(self, delta: int) -> None:
        """The way before or after."""
        self.way = WAYS[(WAYS.index(self.way) + delta) % len(WAYS)]

    def move_checkpoint(self, delta: int) -> None:
        """The choice before or after."""
        self.choice = (self.choice + delta) % len(self.choices)

    def choose(self, step: int) -> None:
        """The checkpoint of a step, or the newest where there is none of it."""
        self.choice = choice_of(self.choices, step)

    @property
    def step(self) -> int:
        """The step that is chosen, 0 for the newest."""
        return self.choices[min(self.choice, len(self.choices) - 1)][0]

    @property
    def choices(self) -> list[tuple[int, str]]:
        """Steps with their words: the newest (0, whatever that is by then), the best, then all."""
        return checkpoint_choices(self.checkpoints)

    @property
    def values(self) -> dict[str, Any]:
        """The settings of the evaluation, without those that keep their default."""
        values: dict[str, Any] = {"what": self.way}
        if self.step:
            values["step"] = self.step
        if self.dataset.strip():
            values["dataset"] = self.dataset.strip()
        return values

    @property
    def error(self) -> str:
        """What is wrong with it, if anything."""
        try:
            EvaluateConfig(**self.values)
        except ConfigError as error:
            return error.reason
        return ""


def choice_of(choices: Sequence[tuple[int, str]], step: int) -> int:
    """Which of some choices is a step's, or the first where none is."""
    return next((number for number, (at, _) in enumerate(choices) if at == step), 0)


def checkpoint_choices(checkpoints: Sequence[Checkpoint]) -> list[tuple[int, str]]:
    """Steps of checkpoints (the newest first) with their words; 0 is the newest, whatever that is by then."""
    newest = checkpoints[0].step if checkpoints else None
    words = f"newest (step {count(newest)})" if newest is not None else "newest"
    choices = [(0, words)]
    scored = [(one.knn_top1, one) for one in checkpoints if one.knn_top1 is not None]
    if scored:
        top1, best = max(scored, key=lambda pair: (pair[0], pair[1].step))
        choices.append((best.step, f"best (step {count(best.step)}, kNN {percent(top1)} %)"))
    rest = [one for one in checkpoints if one.step != newest]
    return choices + [(one.step, f"step {count(one.step)} (epoch {one.epoch})") for one in rest]
