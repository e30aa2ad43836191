"""A fork that is being chosen: the checkpoint, the name, the settings as words. Pure."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simclr_tui.launch.wish import checkpoint_choices, choice_of
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.fork_plan import check_start, fork_config, start_words
from trainer.settings import fields_of, parse
from trainer.store.records import Checkpoint, Run

_FRESH = "fresh_optimizer"


@dataclass(slots=True)
class Branch:
    """What the window holds."""

    run: Run
    checkpoints: Sequence[Checkpoint]
    """Of the run, the newest first."""
    choice: int = 0
    """Which of the choices of a checkpoint."""
    name: str = ""
    words: str = ""
    """Settings as they were typed: `epochs=800 learning-rate=1e-4`."""

    @property
    def choices(self) -> list[tuple[int, str]]:
        """Steps with their words: the newest (0, whatever that is by then), the best, then all."""
        return checkpoint_choices(self.checkpoints)

    def choose(self, step: int) -> None:
        """The checkpoint of a step, or the newest where there is none of it."""
        self.choice = choice_of(self.choices, step)

    def move(self, delta: int) -> None:
        """The choice before or after."""
        self.choice = (self.choice + delta) % len(self.choices)

    @property
    def step(self) -> int:
        """The step that is chosen, 0 for the newest."""
        return self.choices[min(self.choice, len(self.choices) - 1)][0]

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The one that is chosen, as it is now."""
        step = self.step
        return next((one for one in self.checkpoints if not step or one.step == step), None)

    def parsed(self) -> tuple[dict[str, Any], bool]:
        """The settings by name, and whether the optimiser begins anew.

        Raises:
            ConfigError: a word is no setting with a value, or the value is wrong.
        """
        known = {field.name: field for field in fields_of(PretrainConfig)}
        values: dict[str, Any] = {}
        fresh = False
        for word in self.words.split():
            spelt, sign, text = word.removeprefix("--").partition("=")
            name = spelt.replace("-", "_")
            if name == _FRESH and text in ("", "yes"):
                fresh = True
                continue
            if name not in known:
                close = difflib.get_close_matches(name, [*known, _FRESH], n=1)
                remedy = f"did you mean {close[0].replace('_', '-')}?" if close else "name=value, such as epochs=800"
                raise ConfigError(spelt, f"no such setting; {remedy}")
            if not sign or not text:
                raise ConfigError(spelt, f"its value is missing; write {spelt}={known[name].bounds or 'value'}")
            values[name] = parse(known[name], text)
        return values, fresh

    @property
    def error(self) -> str:
        """What is wrong with it, if anything, as a sentence."""
        try:
            values, fresh = self.parsed()
            config = fork_config(self.run, values)
            if self.checkpoint is not None:
                check_start(self.run, self.checkpoint, config, fresh_optimizer=fresh)
        except ConfigError as error:
            reason = error.reason.replace("give --fresh-", "write fresh-")
            reason = reason.replace("an earlier --step", "choose an earlier checkpoint")
            return f"{error.setting.replace('_', '-')}: {reason}"
        except UsageError as error:
            return str(error)
        return ""

    @property
    def told(self) -> str:
        """What the fork would be, in a line; nothing while something is wrong."""
        if self.error or self.checkpoint is None:
            return ""
        values, fresh = self.parsed()
        words = start_words(self.run, self.checkpoint, fork_config(self.run, values))
        return words + (" · with a new optimiser" if fresh else "")

    @property
    def chosen(self) -> dict[str, Any]:
        """What the action needs."""
        values, fresh = self.parsed()
        return {"step": self.step, "name": self.name.strip(), "values": values, "fresh_optimizer": fresh}
