"""The heartbeat goes on whatever happens to the store."""

import functools
import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run
from trainer.energy import Used
from trainer.errors import StoreError
from trainer.gpu import CpuSampler
from trainer.monitor import RANKS_EVERY, Monitor
from trainer.paths import store_file
from trainer.pulse import PHASES, Pulse
from trainer.store import RunStore, StoreReader
from trainer.store.rank_samples import rank_samples


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
    store_file(runs).symlink_to(runs, target_is_directory=True)
    with pytest.raises(StoreError):
        RunStore.open(runs)
    samples: list[float] = []

    class Counting(CpuSampler):
        def sample(self) -> dict[str, object]:
            samples.append(time.time())
            return super().sample()

    with Monitor(runs, run_id, Counting()):
        time.sleep(0.5)
        away.replace(store_file(runs))  # in one step: in between the monitor would make a store
        wait_for(lambda: len(samples) > 1)
    reader = StoreReader.open(runs)
    assert (reader.run(run_id).alive_at or 0) > 0
    reader.close()


class Using(CpuSampler):
    """One beside processors that take 7 J between two samples."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def sample(self) -> dict[str, object]:
        self.taken += 1
        return super().sample()

    def used(self) -> Used:
        return Used(card_joules=2.0 * self.taken, cpu_joules=7.0 * self.taken)


def with_a_run_of_a_version_before(runs: Path) -> tuple[RunStore, str]:
    """A store and a run of which 500 J are told by samples alone."""
    store = RunStore.open(runs)
    run_id = make_run(store)
    query = "INSERT INTO device_samples (run_id, source, at, energy_joules) VALUES (?, 'nvml', ?, ?)"
    store.connection.executemany(query, [(run_id, 1.0, 100.0), (run_id, 2.0, 600.0)])
    store.connection.commit()
    return store, run_id


def test_energy_that_could_not_be_written_comes_with_the_next_sample(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.05)
    store, run_id = with_a_run_of_a_version_before(runs)
    sampler = Using()
    refused = "CREATE TRIGGER refuse BEFORE INSERT ON device_samples BEGIN SELECT RAISE(FAIL, 'full'); END"
    with Monitor(runs, run_id, sampler):
        wait_for(lambda: store.run(run_id).cpu_energy_joules is not None)
        store.connection.execute(refused)
        store.connection.commit()
        before, known = sampler.taken, store.run(run_id).cpu_energy_joules
        wait_for(lambda: sampler.taken > before + 3)
        assert (store.run(run_id).cpu_energy_joules or 0) <= (known or 0) + 7, "one may have been on its way"
        store.connection.execute("DROP TRIGGER refuse")
        store.connection.commit()
        wait_for(lambda: (store.run(run_id).cpu_energy_joules or 0) > (known or 0) + 7)
    run = store.run(run_id)
    rows = store.connection.execute("SELECT count(*) FROM device_samples WHERE run_id = ?", (run_id,)).fetchone()[0] - 2
    store.close()
    assert rows < sampler.taken, "some were refused"
    assert run.cpu_energy_joules == pytest.approx(7.0 * sampler.taken)
    assert run.energy_joules == pytest.approx(500.0 + 2.0 * sampler.taken)


def test_a_store_that_takes_no_sum_at_first_is_opened_again_and_not_beside_itself(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.01)
    store, run_id = with_a_run_of_a_version_before(runs)
    store.connection.execute("CREATE TRIGGER refuse BEFORE UPDATE ON runs BEGIN SELECT RAISE(FAIL, 'full'); END")
    store.connection.commit()
    opened: list[int] = []

    class Noting(Monitor):
        def _opened(self) -> RunStore:
            opened.append(sum(path == store_file(runs) for path in map(_behind, Path("/proc/self/fd").iterdir())))
            return super()._opened()

    gc.disable()
    try:
        with Noting(runs, run_id, Using()):
            wait_for(lambda: len(opened) > 8)
            store.connection.execute("DROP TRIGGER refuse")
            store.connection.commit()
            wait_for(lambda: store.run(run_id).cpu_energy_joules is not None)
    finally:
        gc.enable()
    assert opened[-1] == opened[2], "SQLite keeps a descriptor or two while another connection of the process lives"
    assert (store.run(run_id).energy_joules or 0.0) >= 500.0
    store.close()


def _behind(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # closed meanwhile
        return None


def _is_at(store: RunStore, run_id: str, phase: str) -> bool:
    return store.run(run_id).phase == phase


def test_progress_of_any_phase_is_written_and_silence_is_not(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.05)
    store = RunStore.open(runs)
    run_id = make_run(store)
    pulse = Pulse()
    with Monitor(runs, run_id, CpuSampler(), pulse):
        for phase in PHASES:
            pulse.enter(phase)
            wait_for(functools.partial(_is_at, store, run_id, phase))
        wait_for(lambda: (store.run(run_id).alive_at or 0) > (store.run(run_id).progress_at or 0))
        silent_since = store.run(run_id).progress_at
        alive_at = store.run(run_id).alive_at or 0
        wait_for(lambda: (store.run(run_id).alive_at or 0) > alive_at + 0.2)
        assert store.run(run_id).progress_at == silent_since
        pulse.beat()
        wait_for(lambda: store.run(run_id).progress_at != silent_since)
    store.close()


def test_rows_of_ranks_come_with_every_fifth_beat_and_none_without_ranks(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.02)
    store = RunStore.open(runs)
    together, alone = make_run(store, "together"), make_run(store, "alone")
    given: list[dict[str, object]] = []

    def of_ranks(sample: dict[str, object]) -> list[dict[str, object]]:
        given.append(sample)
        return [sample | {"rank": rank} for rank in (0, 1)]

    with Monitor(runs, together, CpuSampler(), of_ranks=of_ranks), Monitor(runs, alone, CpuSampler()):
        wait_for(lambda: len(given) > 2)
    rows = rank_samples(store, together, seconds=1000.0)
    assert [row["rank"] for row in rows] == [0, 1] * len(given)
    beats = len(store.device_samples(together))
    assert len(given) == beats // RANKS_EVERY
    assert rank_samples(store, alone, seconds=1000.0) == []
    store.close()
