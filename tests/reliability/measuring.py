"""Benchmarks whose trainer dies, or whose images come slowly, for `Trainer(control=…)`."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor


def _die_without_cache() -> None:
    """A trainer that is killed, as for memory, whenever it measures a trial whose images are not cached."""
    from trainer.benchmark import arm

    take = arm.Arm.take

    def take_or_die(self: Any, batch: Any) -> None:
        if self.config.cache == "none":
            os.kill(os.getpid(), signal.SIGKILL)
        take(self, batch)

    arm.Arm.take = take_or_die  # type: ignore[method-assign]


def _load_slowly() -> None:
    """Images that are read one batch in 200 ms, unless they were read before."""
    from trainer.data.shapes import DrawnImages

    take = DrawnImages.take

    def slowly(self: Any, indices: Any) -> Tensor:
        time.sleep(0.2)
        return take(self, indices)

    DrawnImages.take = slowly  # type: ignore[method-assign]


CONTROLS: dict[str, Callable[[], None]] = {"dies-without-cache": _die_without_cache, "loads-slowly": _load_slowly}
