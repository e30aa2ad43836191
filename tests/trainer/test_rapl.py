"""The processors' energy from a folder that looks like the kernel's, with counters that are real files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.trainer.powercap import COUNTED, RANGE_MICROJOULES, SERVER, Powercap
from trainer.rapl import POWERCAP, POWERCAP_VARIABLE, CpuEnergy, NotMeasuredError, powercap, zones


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that goes on only when it is told to."""
    now = [1000.0]
    monkeypatch.setattr("trainer.rapl.time.monotonic", lambda: now[0])

    def tick(seconds: float) -> None:
        now[0] += seconds

    return tick


def test_packages_and_their_memory_are_counted_and_nothing_twice(
    tmp_path: Path, ticks: Callable[[float], None]
) -> None:
    every = SERVER | {"intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0", "dtpm": "pkg"}
    folder = Powercap(tmp_path, every)
    energy = CpuEnergy(tmp_path)
    for number, zone in enumerate(every):
        folder.advance(zone, 10.0 ** (number % 3) * 2)
    ticks(1.0)
    expected = sum(10.0 ** (number % 3) * 2 for number, zone in enumerate(every) if zone in COUNTED)
    assert energy.read() == pytest.approx(expected)
    assert energy.watts == pytest.approx(expected)
    assert [zone.name for zone in zones(tmp_path)] == ["package-0", "dram", "package-1", "dram"]


def test_each_counter_wraps_for_itself(tmp_path: Path, ticks: Callable[[float], None]) -> None:
    folder = Powercap(tmp_path, SERVER)
    folder.put("intel-rapl:0", RANGE_MICROJOULES - 3_000_000)
    energy = CpuEnergy(tmp_path)
    for _ in range(20):
        ticks(1.0)
        folder.advance("intel-rapl:0", 40.0)
        folder.advance("intel-rapl:1", 60.0)
        energy.read()
    assert energy.joules == pytest.approx(20 * 100.0)


def test_a_laptop_has_one_package(tmp_path: Path, ticks: Callable[[float], None]) -> None:
    folder = Powercap(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "uncore"})
    energy = CpuEnergy(tmp_path)
    folder.advance("intel-rapl:0", 15.0)
    folder.advance("intel-rapl:0:0", 9.0)
    ticks(1.0)
    assert energy.read() == pytest.approx(15.0)


def test_a_machine_without_it_says_so(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NotMeasuredError, match="no intel-rapl zone, as in most virtual machines"):
            zones(root)
        energy = CpuEnergy(root)
        assert (energy.joules, energy.read(), energy.watts) == (None, None, None)


def test_memory_alone_is_no_measure_of_processors(tmp_path: Path) -> None:
    Powercap(tmp_path, {"intel-rapl:0:0": "dram"})
    with pytest.raises(NotMeasuredError):
        zones(tmp_path)


@contextmanager
def nobody() -> Iterator[None]:
    """Be a person without rights to what is root's, where the tests are run by root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_counter_for_root_alone_is_named_with_what_can_be_done() -> None:
    with TemporaryDirectory() as place:  # pytest's own folders are closed to everybody else
        root = Path(place)
        root.chmod(0o755)
        folder = Powercap(root, SERVER)
        folder.file("intel-rapl:1").chmod(0o000)
        with nobody():
            with pytest.raises(NotMeasuredError, match=r"intel-rapl:1/energy_uj may be read by root alone") as caught:
                zones(root)
            assert CpuEnergy(root).joules is None
        assert f"sudo chmod a+r {root}/intel-rapl:*/energy_uj" in caught.value.remedy
        folder.file("intel-rapl:1").chmod(0o444)
        with nobody():
            assert CpuEnergy(root).joules == 0.0, "and once that is done it is measured"


@pytest.mark.parametrize("text", ["", "many\n"])
def test_a_counter_that_is_no_number_is_not_measured(tmp_path: Path, text: str) -> None:
    folder = Powercap(tmp_path, SERVER)
    folder.file("intel-rapl:0").write_text(text)
    with pytest.raises(NotMeasuredError, match="intel-rapl:0/energy_uj can't be read"):
        zones(tmp_path)


def test_a_counter_that_is_a_folder_is_not_measured(tmp_path: Path) -> None:
    folder = Powercap(tmp_path, SERVER)
    folder.file("intel-rapl:0").unlink()
    folder.file("intel-rapl:0").mkdir()
    with pytest.raises(NotMeasuredError, match="can't be read"):
        zones(tmp_path)


def test_a_counter_that_goes_away_for_a_while_loses_nothing(tmp_path: Path, ticks: Callable[[float], None]) -> None:
    folder = Powercap(tmp_path, SERVER)
    energy = CpuEnergy(tmp_path)
    away = folder.file("intel-rapl:0").rename(tmp_path / "away")
    ticks(1.0)
    folder.advance("intel-rapl:1", 50.0)
    assert (energy.read(), energy.watts) == (0.0, None)
    away.rename(folder.file("intel-rapl:0"))
    folder.advance("intel-rapl:0", 30.0)
    ticks(1.0)
    assert energy.read() == pytest.approx(80.0)
    assert energy.watts == pytest.approx(40.0), "over the two seconds since the last reading"


def test_another_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert powercap() == POWERCAP
    monkeypatch.setenv(POWERCAP_VARIABLE, str(tmp_path))
    assert powercap() == tmp_path
    Powercap(tmp_path, SERVER)
    assert CpuEnergy().joules == 0.0
