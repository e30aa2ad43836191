"""What a torture came to: its kills, and a verdict in one line."""

from dataclasses import dataclass, field
from typing import Any

from trainer.torture_compare import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """One kill: where the run was, as its store tells."""

    number: int
    landed: bool
    """False where the run had finished by itself before."""
    step: int
    """The last step that was committed."""
    checkpoint: int
    """The step of the newest checkpoint, from which the next life goes on; 0 where there is none yet."""
    right_after_resume: bool
    workers: str

    def words(self) -> str:
        """One line for people."""
        if not self.landed:
            return f"kill {self.number}: the run had finished already"
        when = "right after a resume" if self.right_after_resume else f"with {self.workers} workers"
        return f"kill {self.number}: after step {self.step}, {when}; goes on from step {self.checkpoint}"


@dataclass(slots=True)
class Outcome:
    """What the torture came to."""

    kills: list[Kill] = field(default_factory=list)
    steps: int = 0
    """Steps of the whole run."""
    comparison: Comparison | None = None
    replayed: int = 0
    identical: int = 0
    exactness: str = "promised"
    device: str = ""

    @property
    def landed(self) -> int:
        """Kills that hit a live trainer."""
        return sum(kill.landed for kill in self.kills)

    @property
    def is_promised(self) -> bool:
        """Whether equal bits are promised here at all."""
        return self.exactness == "promised"

    @property
    def is_good(self) -> bool:
        """Whether it went as promised; where no bits are promised, whether the losses are close."""
        if self.comparison is None or not self.landed:
            return False
        if not self.is_promised:
            return self.comparison.is_close
        return not self.comparison.differences and self.identical == self.replayed

    def summary(self) -> str:
        """One line: `5 kills, 0 differences, replay 12 of 12 identical`."""
        assert self.comparison is not None
        found = len(self.comparison.differences)
        words = f"{self.landed} {'kill' if self.landed == 1 else 'kills'}, "
        if self.is_promised:
            words += f"{found} {'difference' if found == 1 else 'differences'}"
        else:
            worst = self.comparison.largest_relative_difference
            words += f"{'close' if self.comparison.is_close else 'not close'} (losses differ by {worst:.2g} at most)"
        return words + f", replay {self.identical} of {self.replayed} identical"

    def to_json(self) -> dict[str, Any]:
        """What it came to, for scripts."""
        comparison = self.comparison
        return {
            "kills": self.landed,
            "steps": self.steps,
            "device": self.device,
            "exactness": self.exactness,
            "differences": list(comparison.differences) if comparison else [],
            "compared": comparison.compared if comparison else 0,
            "replayed": self.replayed,
            "identical": self.identical,
            "ok": self.is_good,
        }
