"""Work of a device as one CUDA graph: captured once, replayed with a single launch.

Everything that the work reads and writes must stay where it is, have its shape for good, and never be looked at by the
host (docs.pytorch.org, notes/cuda, "CUDA Graphs"; NVIDIA's "CUDA Graph Best Practice for PyTorch"). Memory that it
allocates comes from a pool of the graph's own.
"""

import contextlib
from collections.abc import Callable
from typing import Protocol

import torch

Work = Callable[[], None]

_WARM_UPS = 3
"""Times that the work is done before: libraries choose kernels and take scratch space at the first ones."""


class Capture(Protocol):
    """Turns work into a replay of it."""

    def warm_up(self, work: Work) -> None:
        """Do the work some times as it will be captured."""
        ...

    def capture(self, work: Work) -> Work:
        """Write the work down; what is returned does it."""
        ...


class CudaCapture:
    """By `torch.cuda.CUDAGraph`."""

    def __init__(self, device: torch.device) -> None:
        """Args: the device that does the work."""
        self._device = device

    def warm_up(self, work: Work) -> None:
        """On a side stream, as PyTorch asks for: what autograd keeps of the default one would be waited for."""
        side, current = torch.cuda.Stream(self._device), torch.cuda.current_stream(self._device)
        side.wait_stream(current)
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    work()
        finally:  # work that failed has left kernels there, which would write into what is put back meanwhile
            current.wait_stream(side)

    def capture(self, work: Work) -> Work:
        """As in `Capture`.

        Other threads may allocate meanwhile, as the one that pins batches does: the mode `thread_local` asks only of
        this thread that it leaves that be. Work that fails leaves torch as it was, and raises its own error: the end
        of a capture that failed raises another one, which tells less.
        """
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        current = torch.cuda.current_stream(self._device)
        failures: list[Exception] = []

        def noted() -> None:
            try:
                work()
            except Exception as error:
                failures.append(error)
                raise

        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                noted()
        except Exception as error:
            _clean_up(current, pool)
            raise (failures or [error])[0] from None
        return graph.replay


def _clean_up(current: torch.cuda.Stream, pool: tuple[int, int]) -> None:
    """After a capture that failed, which torch leaves half done before 2.13 (pytorch pull request 180395).

    Its stream stays the current one. The allocator waits for the capture's end and refuses to give memory back
    (`captures_underway.empty()`). And the generator of random numbers takes itself for captured until a capture ends
    well ("Offset increment outside graph capture"). Where torch has cleaned up by itself it refuses this, or it changes
    nothing.

    Args:
        current: the stream that was current.
        pool: of the graph's memory.
    """
    torch.cuda.set_stream(current)
    with contextlib.suppress(RuntimeError):
        torch._C._cuda_endAllocateToPool(current.device_index, pool)
        torch._C._cuda_releasePool(current.device_index, pool)
    with contextlib.suppress(RuntimeError), torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode="thread_local"):
        torch.zeros(1, device=current.device)
    torch.cuda.set_stream(current)
