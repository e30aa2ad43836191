"""Figures on their way from the device to the host, which goes on meanwhile."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Transfer:
    """One copy of many small tensors, as they are at this place in the device's queue.

    From CUDA it goes to page-locked memory, since only such a copy leaves the host alone, with an event behind it
    that is asked for later. On a CPU the copy is made at once.
    """

    def __init__(self, rows: Sequence[Tensor]) -> None:
        """Args: tensors of one shape, on one device. What is written to them later is not copied."""
        values = torch.stack(list(rows))
        self._event: torch.cuda.Event | None = None
        self._values = values
        if values.is_cuda:
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(values.device))

    @property
    def has_arrived(self) -> bool:
        """Whether `values` would not wait. Waits for nothing."""
        return self._event is None or self._event.query()

    def values(self) -> list[list[float]]:
        """The figures of each row, once they have arrived; waits until then."""
        if self._event is not None:
            self._event.synchronize()
        rows: list[list[float]] = self._values.tolist()
        return rows
