"""The free proof of every resume: the steps between checkpoint and crash run again, and are held against their rows.

Nothing is deleted and nothing is doubled: the rows stay, and what the step gives now is compared with them bit for bit.
Where bits are promised, any difference is told at once, with its first step and what changed. Where they are not (see
`trainer.exactness`) the losses may differ by `tolerance`, and the replay is called close; it is called identical only
if every bit is.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from trainer.store.records import StepRow

COMPARED = ("loss", "acc_top1", "acc_top5", "acc_mean_pos", "grad_norm", "lr")
"""Columns of `steps` that are a function of the run; the times are not."""


class Tell(Protocol):
    """Where the result goes: an event of the run."""

    def __call__(self, message: str, *, level: str, step: int | None) -> None:
        """Record it."""


def tolerance(steps: int) -> float:
    """How far apart, relatively, two losses may be so many steps after a shared checkpoint, and still be called close.

    0.5 % at the first step, 15 % more at each further one, never above 15 %: rounding separates two runs of other
    kernels exponentially at first, and then as far as two batches of one run. docs/exactness.md has the measurement
    that this bounds.

    Args:
        steps: since the checkpoint; 1 for the first step after it.
    """
    return min(_CLOSE_AT_FIRST * _GROWTH ** min(steps - 1, _GROWING_STEPS), _CLOSE_AT_MOST)


_CLOSE_AT_FIRST, _GROWTH, _CLOSE_AT_MOST = 0.005, 1.15, 0.15
_GROWING_STEPS = 100
"""Far past the bound; a fall-back may replay thousands of steps, whose power no float holds."""


class ReplayCheck:
    """Compares the steps of one resume with the rows that were stored before it."""

    def __init__(
        self,
        stored: Sequence[Mapping[str, Any]],
        *,
        resumed_after: int,
        doubt: Callable[[int], str],
        changed: str,
        tell: Tell,
    ) -> None:
        """Begin a check.

        Args:
            stored: the rows of `steps` after the checkpoint.
            resumed_after: the checkpoint's step.
            doubt: why a step need not come out the same; empty where bits are promised.
            changed: what changed since those rows were stored and should not matter, in words; empty for nothing.
            tell: where the result goes.
        """
        self._stored = {row["step"]: tuple(row[name] for name in COMPARED) for row in stored}
        self._length = len(self._stored)
        self._resumed_after = resumed_after
        self._doubt = doubt
        self._changed = changed
        self._tell = tell
        self._compared = 0
        self._identical = 0
        self._largest = 0.0
        self._reasons: dict[str, None] = {}
        self._broken_from: int | None = None
        self._far_from: int | None = None

    def compare(self, row: StepRow) -> None:
        """Hold a step that was run again against its row; one that has none is new and passes."""
        before = self._stored.pop(row.step, None)
        if before is None:
            return
        self._compared += 1
        now = tuple(getattr(row, name) for name in COMPARED)
        doubt = self._doubt(row.step)
        if doubt:
            self._reasons[doubt] = None
        if all(map(_is_same, before, now)):
            self._identical += 1
        else:
            self._take_difference(row.step, before, now, doubt)
        if not self._stored:
            self._conclude()

    def end(self) -> None:
        """The run ends or has got past its replay: say how far the comparison came, if it was not all the way."""
        if self._stored and self._compared:
            self._conclude()
        self._stored = {}

    def _take_difference(self, step: int, before: tuple[Any, ...], now: tuple[Any, ...], doubt: str) -> None:
        apart = _apart(before[0], now[0])
        self._largest = max(self._largest, apart)
        if doubt:
            if apart > tolerance(step - self._resumed_after) and self._far_from is None:
                self._far_from = step
            return
        if self._broken_from is not None:
            return
        self._broken_from = step
        name, old, new = next(
            (name, *pair) for name, *pair in zip(COMPARED, before, now, strict=True) if not _is_same(*pair)
        )
        why = "nothing that bits depend on (libraries, device, instruction set, threads) has changed"
        why += f", only {self._changed}" if self._changed else ""
        self._tell(
            f"replay differs from step {step:,} on: {name} was {_number(old)} and is {_number(new)} now"
            f"{_by(_apart(old, new))}; {why}, so look at the machine's memory and its GPU's errors",
            level="warning",
            step=step,
        )

    def _conclude(self) -> None:
        unfinished = bool(self._stored)
        count = self._compared
        so_far = " so far, the run ended before the rest" if unfinished else ""
        if self._identical == count:
            words, level = f"replay {count} of {self._length} identical{so_far}", "info"
        elif self._broken_from is not None:
            words = f"replay {self._identical} of {self._length} identical, differs from step {self._broken_from:,} on"
            words, level = f"{words}{_by(self._largest, 'at most ')}{so_far}", "warning"
        else:
            reasons = f"; bits are not promised: {', '.join(self._reasons)}"
            words, level = f"replay {count} of {self._length} close{so_far} ({self._spread()}){reasons}", "info"
            if self._far_from is not None:
                words = f"replay not close from step {self._far_from:,} on{so_far} ({self._spread()}){reasons}"
                level = "warning"
        self._tell(words, level=level, step=self._far_from if self._broken_from is None else self._broken_from)

    def _spread(self) -> str:
        return f"largest difference {_percent(self._largest)}" if self._largest else "every loss the same, not all else"


def _is_same(left: float | None, right: float | None) -> bool:
    """The same bits; two values that were not finite, which are stored as NULL, are the same."""
    if left is None or right is None:
        return left is right
    return struct.pack("<d", left) == struct.pack("<d", right)


def _apart(before: float | None, now: float | None) -> float:
    """Relative distance; infinite between a number and none."""
    if before is None or now is None:
        return 0.0 if before is now else float("inf")
    if before == now:
        return 0.0
    return abs(now - before) / max(abs(before), abs(now))


def _percent(apart: float) -> str:
    return "one of them is not finite" if apart == float("inf") else f"{100 * apart:.2g} %"


def _by(apart: float, prefix: str = "") -> str:
    return "" if apart == float("inf") else f", {prefix}{_percent(apart)} apart"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.9g}"
