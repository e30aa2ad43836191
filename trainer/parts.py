"""The parts that a step and an epoch are made of, and how a piece of code says which one it is at.

Whoever times a step hands in a `Part`; whoever does not lets `unmeasured` stand.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

COPY = "copy"
AUGMENTATION = "augmentation"
FORWARD = "forward"
LOSS = "loss"
BACKWARD = "backward"
OPTIMISER = "optimiser"

STEP_PARTS = (COPY, AUGMENTATION, FORWARD, LOSS, BACKWARD, OPTIMISER)
"""Parts of a step, in their order; they are work of the training device."""

HOST_AUGMENTATION = "augmentation on the host"
"""Views that the training process makes itself before a step; told as AUGMENTATION, by the host's clock."""

START = "start"
WAIT = "wait"
LOGGING = "logging"
CHECKPOINT = "checkpoint"
EVALUATION = "evaluation"
UNEXPLAINED = "unexplained"

EPOCH_PARTS = (START, WAIT, *STEP_PARTS, LOGGING, CHECKPOINT, EVALUATION, UNEXPLAINED)
"""What t_epoch is the sum of, in the order in which it is shown: the beginning of an epoch with its workers, waiting
for data, the parts of its steps, and what the host does between steps."""

Part = Callable[[str], AbstractContextManager[None]]
"""Called with the name of a part, it times what is done inside the context that it returns."""


def unmeasured(_part: str) -> AbstractContextManager[None]:
    """A `Part` that times nothing."""
    return nullcontext()
