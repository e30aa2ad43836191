"""A ring on the device for the figures of the latest steps, which a step writes without being told where.

The place is a counter on the device too, so that a CUDA graph can hold the writing. Whoever reads a row must have asked
the device for it before the ring comes round to it; what is asked for later comes after in the device's queue.
"""

import torch
from torch import Tensor

RING_STEPS = 1024
"""Steps that a ring holds: about 5 s of steps of 5 ms. The recorder reads at least twice as often as it comes round."""


class MetricsRing:
    """float32 (capacity, figures of a step)."""

    def __init__(self, figures: int, device: torch.device, capacity: int = RING_STEPS) -> None:
        """Args: how many figures a step has, where they are, and for how many steps there is room."""
        self._rows_RF = torch.zeros(capacity, figures, device=device)
        self._slot = torch.zeros((), dtype=torch.int64, device=device)
        self._slots_R1 = torch.arange(capacity, device=device)[:, None]
        self._next = 0

    @property
    def tensors(self) -> list[Tensor]:
        """What `write` changes."""
        return [self._rows_RF, self._slot]

    def write(self, figures_F: Tensor) -> None:
        """Write the figures of a step; work of the device alone."""
        torch.where(self._slots_R1 == self._slot, figures_F, self._rows_RF, out=self._rows_RF)
        self._slot.add_(1).remainder_(len(self._rows_RF))

    def peek(self) -> Tensor:
        """The row that `latest` gives next."""
        return self._rows_RF[self._next]

    def latest(self) -> Tensor:
        """The row of the step that was written last, a view that holds until the ring comes round; once for each."""
        row_F = self.peek()
        self._next = (self._next + 1) % len(self._rows_RF)
        return row_F
