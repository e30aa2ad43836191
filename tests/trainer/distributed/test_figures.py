"""What each rank does reaches the first one, and says who makes the others wait."""

import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.trainer.powercap import SERVER, Powercap
from tests.trainer.ranks import on_ranks
from trainer.device import prepare
from trainer.distributed import figures
from trainer.distributed.batch_norm import share_batch_norm
from trainer.distributed.figures import Collector, Publisher
from trainer.distributed.network import connected
from trainer.gpu import CpuSampler
from trainer.group import Line
from trainer.ranks import Ranks
from trainer.store import RunStore
from trainer.store.rank_samples import rank_samples
from trainer.straggler import find_straggler

ROUNDS, STEPS = 13, 3
SLEEP_SECONDS = 0.01
"""Of every rank's own work in a step, which a busy machine makes longer by little."""

SLOWED = (1, None)

Rounds = list[list[dict[str, Any]]]


def some_rounds(line: Line, powercap: Path) -> list[Rounds]:
    """Steps of a small network while one rank sleeps longer, and while none does; the first one's rows after each."""
    figures.INTERVAL_SECONDS = 0.01
    machine = prepare(device="cpu", threads=1)
    model = share_batch_norm(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), machine.device)
    network = connected(model, machine)
    x: Tensor = torch.randn(8, 4)
    found = []
    with Publisher(line, machine, CpuSampler(powercap)), Collector(line, machine) as collector:
        while line.ranks.leads and len(collector._told) < line.ranks.world - 1:
            time.sleep(0.01)
        line.share()
        for slowed in SLOWED:
            rounds = []
            for _ in range(ROUNDS):
                for _ in range(STEPS):
                    began = time.perf_counter()
                    time.sleep(SLEEP_SECONDS * (2 if line.ranks.rank == slowed else 1))
                    network(x).square().mean().backward()
                    line.pace.add_step(time.perf_counter() - began)
                time.sleep(0.06)  # so that every rank's figures have come, outside of any step
                line.share()
                rounds.append(collector.rows(CpuSampler(powercap).sample()))
            found.append(rounds)
    return found


def every_five_seconds(rounds: Rounds) -> list[dict[str, Any]]:
    """The rows as a run's monitor stores them."""
    return [row | {"at": 5.0 * number} for number, rows in enumerate(rounds) for row in rows]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """The rows of each of SLOWED, on a machine that measures its processors' energy."""
    powercap = Powercap(tmp_path_factory.mktemp("powercap"), SERVER)
    return [every_five_seconds(rounds) for rounds in on_ranks(3, some_rounds, powercap.root)[0]]


def test_the_rows_are_those_that_the_store_takes(found: list[list[dict[str, Any]]], store: RunStore) -> None:
    store.put_rank_samples("r", found[0])
    assert [row["rank"] for row in rank_samples(store, "r", seconds=3600.0)] == [0, 1, 2] * ROUNDS


def test_a_rank_that_is_slowed_is_named_and_none_where_none_is(found: list[list[dict[str, Any]]]) -> None:
    for rows, slowed in zip(found, SLOWED, strict=True):
        assert [row["rank"] for row in rows] == [0, 1, 2] * ROUNDS
        assert all(row["source"] == "cpu" and row["host"] and row["process_memory_bytes"] > 0 for row in rows)
        named = find_straggler(rows)
        if slowed is None:
            assert named is None
            continue
        assert named is not None
        assert named.rank == slowed
        assert named.delay_seconds == pytest.approx(SLEEP_SECONDS, rel=0.5)
        for row in rows:
            if row["rank"] == slowed:
                assert row["t_step"] - row["t_collective"] > 2 * SLEEP_SECONDS
            else:
                assert row["t_collective"] > 0.5 * SLEEP_SECONDS, "it waits for the one that is slow"


class Interrupted(Line):
    """Whose store can't be reached at first, and then once loses its connection amid a question."""

    def __init__(self) -> None:
        super().__init__(Ranks(rank=1, world=2, local_rank=1), dist.HashStore())  # type: ignore[attr-defined]
        self.asked = 0

    def aside(self, name: str) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("failed to connect")
        if self.asked == 2:
            return SimpleNamespace(set=self._lose)
        return dist.PrefixStore(name, self._store)  # type: ignore[attr-defined]

    def _lose(self, _key: str, _value: str) -> None:
        raise RuntimeError("wait timeout after 5000ms")


def test_figures_come_again_once_the_store_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "INTERVAL_SECONDS", 0.01)
    line = Interrupted()
    machine = prepare(device="cpu", threads=1)
    with Publisher(line, machine, CpuSampler()):
        line._store.wait(["figures/1"], timedelta(seconds=20))
    assert line.asked == 3, "a connection that works is kept"
