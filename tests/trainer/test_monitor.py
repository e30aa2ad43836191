"""The heartbeat goes on whatever happens to the store."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run
from trainer.errors import StoreError
from trainer.gpu import CpuSampler
from trainer.monitor import Monitor
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_store_that_cannot_be_opened_at_first_is_tried_again(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.05)
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.close()
    away = store_file(runs).with_suffix(".away")
    store_file(runs).rename(away)
    store_file(runs).mkdir()
    with pytest.raises(StoreError):
        RunStore.open(runs)
    samples: list[float] = []

    class Counting(CpuSampler):
        def sample(self) -> dict[str, object]:
            samples.append(time.time())
            return super().sample()

    with Monitor(runs, run_id, Counting()):
        time.sleep(0.5)
        store_file(runs).rmdir()
        away.rename(store_file(runs))
        wait_for(lambda: len(samples) > 1)
    reader = StoreReader.open(runs)
    assert (reader.run(run_id).alive_at or 0) > 0
    reader.close()
