"""The time of NCCL's collectives is heard from NCCL, which can't run here: a stand-in says what torch's group says."""

import os
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from tests.trainer.ranks import on_ranks
from trainer.distributed import collectives
from trainer.distributed.collectives import time_collectives
from trainer.group import Line
from trainer.pace import Pace

CUDA = torch.device("cuda", 0)
NETWORK: DistributedDataParallel = SimpleNamespace()  # type: ignore[assignment]  # not looked at with NCCL
REFUSAL = "ProcessGroupNCCL OnCompletion hook requires recording start and end events"
"""Of torch 2.15 where TORCH_NCCL_ENABLE_TIMING was not set when the group began."""


def group_that(register: Callable[[Callable[[Any], None]], None]) -> Any:
    """Stands for torch.distributed, whose group takes a hook in its own way."""
    backend = SimpleNamespace(_register_on_completion_hook=register)
    return SimpleNamespace(group=SimpleNamespace(WORLD=SimpleNamespace(_get_backend=lambda _device: backend)))


def test_what_nccl_tells_of_a_collective_is_counted_with_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Callable[[Any], None]] = []
    pace = Pace()
    monkeypatch.setattr(collectives, "PACE", pace)
    monkeypatch.setattr(collectives, "dist", group_that(hooks.append))
    time_collectives(NETWORK, CUDA)
    hooks[0](SimpleNamespace(active_duration=timedelta(milliseconds=250)))
    pace.add_step(1.0)
    assert pace.passed().collective_seconds == 0.25


@pytest.mark.parametrize("error", [ValueError(REFUSAL), RuntimeError("OnCompletion hook already registered")])
def test_where_nccl_does_not_tell_training_goes_on_untimed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_hook: Callable[[Any], None]) -> None:
        raise error

    monkeypatch.setattr(collectives, "dist", group_that(refuse))
    time_collectives(NETWORK, CUDA)


def asked_for(_line: Line) -> str | None:
    """What a rank has asked of NCCL once it has joined the others."""
    return os.environ.get("TORCH_NCCL_ENABLE_TIMING")


def test_ranks_ask_nccl_for_the_events_of_collectives() -> None:
    assert on_ranks(2, asked_for) == ["1", "1"]
