"""What a capture that fails leaves behind, on a stand-in for torch.cuda: with a device, test_graph_cuda shows it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainer.capture import CudaCapture


class Cuda:
    """Streams by name and captures whose end fails, as torch 2.11 has them; notes what is asked of it."""

    def __init__(self, patch: pytest.MonkeyPatch, *, cleans_up: bool) -> None:
        self.stream = SimpleNamespace(name="main", device="cpu", device_index=0)
        self.side = SimpleNamespace(
            name="side", wait_stream=lambda other: self.asked.append(f"side waits {other.name}")
        )
        self.stream.wait_stream = lambda other: self.asked.append(f"main waits for {other.name}")
        self.current = self.stream
        self.asked: list[str] = []
        self.cleans_up = cleans_up
        self.captures = 0
        replaced: dict[str, Any] = {
            "Stream": lambda _: self.side,
            "current_stream": lambda _=None: self.current,
            "set_stream": lambda stream: setattr(self, "current", stream),
            "stream": lambda stream: _Within(self, stream),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "graph_pool_handle": lambda: (0, 7),
            "graph": lambda *_, **__: _Graph(self),
        }
        for name, value in replaced.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch._C, "_cuda_endAllocateToPool", self._end_pool, raising=False)
        patch.setattr(
            torch._C, "_cuda_releasePool", lambda *which: self.asked.append(f"release {which}"), raising=False
        )

    def _end_pool(self, device: int, pool: tuple[int, int]) -> None:
        if self.cleans_up:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.asked.append(f"end {(device, pool)}")


class _Within:
    def __init__(self, cuda: Cuda, stream: Any) -> None:
        self.cuda, self.stream, self.before = cuda, stream, cuda.current

    def __enter__(self) -> None:
        self.cuda.current = self.stream

    def __exit__(self, *_: object) -> None:
        self.cuda.current = self.before


class _Graph:
    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def __enter__(self) -> None:
        self.cuda.captures += 1
        self.before, self.cuda.current = self.cuda.current, SimpleNamespace(name="capture")

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.cuda.current = self.before


def fail() -> None:
    """Work that does what a capture does not permit."""
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_capture_that_fails_gives_stream_and_pool_back_and_raises_what_the_work_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = Cuda(monkeypatch, cleans_up=False)
    with pytest.raises(torch.OutOfMemoryError):
        CudaCapture(torch.device("cpu")).capture(fail)
    assert cuda.current is cuda.stream
    assert cuda.asked == ["end (0, (0, 7))", "release (0, (0, 7))"]
    assert cuda.captures == 2, "one that ends well lets the generator of random numbers go on"


def test_a_pool_that_torch_gave_back_itself_is_not_given_back_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch, cleans_up=True)
    with pytest.raises(torch.OutOfMemoryError):
        CudaCapture(torch.device("cpu")).capture(fail)
    assert (cuda.asked, cuda.current) == ([], cuda.stream)


def test_a_capture_that_ends_well_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch, cleans_up=False)
    CudaCapture(torch.device("cpu")).capture(lambda: None)()
    assert (cuda.asked, cuda.captures, cuda.current) == ([], 1, cuda.stream)


@pytest.mark.parametrize("fails", [False, True])
def test_what_follows_a_warm_up_waits_for_it_also_where_it_failed(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """What was begun on the side stream would otherwise write into weights that are put back on the main one."""
    cuda, streams = Cuda(monkeypatch, cleans_up=False), []

    def work() -> None:
        streams.append(cuda.current)
        if fails:
            fail()

    if fails:
        with pytest.raises(torch.OutOfMemoryError):
            CudaCapture(torch.device("cpu")).warm_up(work)
    else:
        CudaCapture(torch.device("cpu")).warm_up(work)
    assert streams == [cuda.side] * (1 if fails else 3)
    assert cuda.asked == ["side waits main", "main waits for side"]
    assert cuda.current is cuda.stream
