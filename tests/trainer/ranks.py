"""Ranks in processes of their own, connected by gloo, for tests on a CPU."""

import io
import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import torch

from trainer.group import PATIENCE, joined
from trainer.ranks import ranks_of

_SECONDS = 120.0


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def on_ranks(world: int, work: Callable[..., Any], *arguments: Any, patience: timedelta = PATIENCE) -> list[Any]:
    """What `work(line, *arguments)` gives on each of so many ranks, in their order, with a timeout of their group.

    Raises:
        AssertionError: a rank failed, with its traceback.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch.distributed", "trainer.group"])
    port = free_port()
    started = []
    for rank in range(world):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_be, args=(theirs, rank, world, port, work, arguments, patience))
        process.start()
        theirs.close()
        started.append((process, ours))
    found = []
    for _, ours in started:
        found.append(_read(ours.recv_bytes()) if ours.poll(_SECONDS) else ("nothing within the time", None))
    for process, _ in started:
        process.join(5)
        if process.is_alive():
            process.kill()
    assert not any(problem for problem, _ in found), "\n".join(problem for problem, _ in found if problem)
    return [value for _, value in found]


def _be(
    answer: Connection,
    rank: int,
    world: int,
    port: int,
    work: Callable[..., Any],
    arguments: Any,
    patience: timedelta,
) -> None:
    torch.set_num_threads(1)
    words = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in words.items()}
    try:
        with joined(ranks_of(os.environ), patience) as line:
            answer.send_bytes(_written(("", work(line, *arguments))))  # not `send`, which shares tensors' memory
    except BaseException:
        answer.send_bytes(_written((f"rank {rank}:\n{traceback.format_exc()}", None)))


def _written(value: Any) -> bytes:
    box = io.BytesIO()
    torch.save(value, box)
    return box.getvalue()


def _read(text: bytes) -> Any:
    return torch.load(io.BytesIO(text), weights_only=True)
