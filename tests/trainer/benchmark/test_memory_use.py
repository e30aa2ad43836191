"""The cache in RAM is one tensor that workers map, and what is told of memory counts it once."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from tests.trainer.test_workers import Told
from trainer.benchmark import memory_use
from trainer.benchmark.memory_use import host_bytes
from trainer.config import PretrainConfig
from trainer.data.split import ImageSource, Indices, TensorImages, to_memory
from trainer.device import prepare
from trainer.loader import ViewLoader

WORKERS = 2
IMAGES, SIDE = 4000, 64
CACHE_BYTES = IMAGES * 3 * SIDE * SIDE


class CopyingImages(TensorImages):
    """The negative control: a cache that each worker makes for itself."""

    is_own = False

    def take(self, indices: Indices) -> Tensor:
        if not self.is_own:
            self.tensor, self.is_own = self.tensor.clone().share_memory_(), True
        return super().take(indices)


def in_memory() -> TensorImages:
    """The images as a run with `cache=ram` has them."""
    source = TensorImages(torch.full((IMAGES, 3, SIDE, SIDE), 7, dtype=torch.uint8))
    return to_memory(source, shared=True)


def shared_bytes(pid: int) -> int:
    """Shared memory of a process, that of others divided among those who have it mapped."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss_Shmem:"))


def read_by_workers(images: ImageSource) -> tuple[int, list[int]]:
    """Shared memory of the trainer and that of each worker, once they have read all images."""
    config = PretrainConfig(dataset="shapes", image_size=SIDE, batch_size=500, cache="ram", num_workers=WORKERS)
    loader = ViewLoader(images, config, prepare(device="cpu", threads=1), workers=WORKERS, job=Told())  # type: ignore[arg-type]
    for epoch in (1, 2):
        for _ in loader.epoch(epoch):
            pass
    workers = [shared_bytes(child.pid) for child in multiprocessing.active_children() if child.pid is not None]
    own = shared_bytes(os.getpid())
    loader.close()
    return own, workers


def test_workers_map_one_cache_and_do_not_copy_it() -> None:
    held = in_memory()
    before = shared_bytes(os.getpid()) - CACHE_BYTES
    own, workers = read_by_workers(held)
    assert len(workers) == WORKERS
    assert min(workers) > 0.3 * CACHE_BYTES  # each of them has all of it
    assert own - before + sum(workers) < 1.2 * CACHE_BYTES


def test_a_cache_of_each_worker_would_be_seen() -> None:
    held = in_memory()
    before = shared_bytes(os.getpid()) - CACHE_BYTES
    own, workers = read_by_workers(CopyingImages(held.tensor))
    assert own - before + sum(workers) > 2.8 * CACHE_BYTES


def test_what_is_told_of_the_host_counts_it_once() -> None:
    """Against the resident sets, in which every worker has all of it again."""
    held = in_memory()
    config = PretrainConfig(dataset="shapes", image_size=SIDE, batch_size=500, cache="ram", num_workers=WORKERS)
    loader = ViewLoader(held, config, prepare(device="cpu", threads=1), workers=WORKERS, job=Told())  # type: ignore[arg-type]
    for epoch in (1, 2):
        for _ in loader.epoch(epoch):
            pass
    workers = multiprocessing.active_children()
    resident = sum(psutil.Process(child.pid).memory_info().rss for child in workers)
    resident += psutil.Process().memory_info().rss
    assert host_bytes() < resident - 1.8 * CACHE_BYTES
    loader.close()


def test_where_the_kernel_tells_no_proportional_size_the_resident_one_stands_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = host_bytes()

    def refuse(_pid: int) -> Any:
        return None

    monkeypatch.setattr(memory_use, "proportional_bytes", refuse)
    assert host_bytes() > 0.5 * exact
    assert memory_use._process_bytes(2**22 + 1) == 0
