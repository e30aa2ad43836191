"""A run on the processors, from its first step to its end, beside counters that go on with the clock."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.reliability.trainers import TINY, UNSCORED
from tests.trainer.powercap import RANGE_MICROJOULES, SERVER, Powercap
from trainer.energy_use import CARD, CPU, energy_of, epoch_joules
from trainer.rapl import POWERCAP_VARIABLE
from trainer.run import main
from trainer.store import RunStore, StoreReader

JOULES = {"intel-rapl:0": 2.0, "intel-rapl:0:0": 1.0, "intel-rapl:0:1": 0.5, "intel-rapl:1": 3.0}
"""What each zone takes in a tick; 5.5 of it are counted."""
PAUSED, FINISHED = 75, 0
AWAY = 50_000.0
"""Joules that others take while the run is paused."""


@contextmanager
def ticking(folder: Powercap) -> Iterator[list[float]]:
    """Let the counters go on; what was counted of them in all."""
    spent = [0.0]
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.02):
            for zone, joules in JOULES.items():
                folder.advance(zone, joules)
            spent[0] += 5.5

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield spent
    finally:
        over.set()
        thread.join()


def pause_after_an_epoch(runs: Path) -> None:
    """As the dashboard does."""
    with closing(RunStore.open(runs)) as store:
        while not (found := store.runs()) or not store.epochs(found[0].id):
            time.sleep(0.02)
        store.request(found[0].id, "pause")


def test_a_paused_runs_energy_is_that_of_its_trainers_lives_and_its_epochs_add_up_to_it(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Powercap(tmp_path / "powercap", SERVER)
    folder.put("intel-rapl:1", RANGE_MICROJOULES - 20_000_000)  # so that it wraps soon
    monkeypatch.setenv(POWERCAP_VARIABLE, str(folder.root))
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.05)
    settings = TINY | {"--epochs": "4"} | {f"--{name.replace('_', '-')}": value for name, value in UNSCORED.items()}
    words = [word for pair in settings.items() for word in map(str, pair)] + ["--no-evaluate-at-end"]
    pausing = threading.Thread(target=pause_after_an_epoch, args=(runs,))
    with ticking(folder) as spent:
        pausing.start()
        assert main(["--runs-dir", str(runs), "--headless", "--name", "a", *words]) == PAUSED
        pausing.join()
        first_life = spent[0]
    folder.advance("intel-rapl:1", AWAY)  # others use the machine meanwhile
    with ticking(folder) as spent:
        assert main(["--runs-dir", str(runs), "--headless", "--resume-or-start", "a"]) == FINISHED
        second_life = spent[0]
    reader = StoreReader.open(runs)
    run = reader.runs()[0]
    rows = reader.epochs(run.id)
    reader.close()
    assert run.cpu_energy_joules is not None
    assert 0 < run.cpu_energy_joules <= first_life + second_life < AWAY
    assert (run.energy_joules, run.energy_source) == (None, None), "there is no card"
    each = dict(epoch_joules(rows, CPU))
    assert set(each) == {1, 2, 3, 4}
    assert sum(each.values()) == pytest.approx(rows[-1][CPU])
    assert rows[-1][CPU] <= run.cpu_energy_joules
    assert energy_of(run, rows, CPU).at_end == run.cpu_energy_joules
    assert energy_of(run, rows, CARD).so_far is None
