"""What the device does: figures where there are any, labelled by where they come from."""

from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.trainer.powercap import SERVER, Powercap
from trainer.energy import Used
from trainer.gpu import CpuSampler, NvmlSampler, make_sampler, throttle_words


def test_cpu_figures_are_labelled_and_in_bounds() -> None:
    sampler = CpuSampler()
    sum(range(10**6))
    sample = sampler.sample()
    assert sample["source"] == "cpu"
    assert 0 <= sample["gpu_util"] <= 100
    assert sample["process_memory_bytes"] > 10**6


def test_a_gpu_that_cannot_be_asked_is_told_and_the_cpu_stands_in() -> None:
    told: list[str] = []
    sampler = make_sampler("GPU-00000000-0000-0000-0000-000000000000", lambda kind, message: told.append(message))
    if not isinstance(sampler, CpuSampler):
        pytest.fail("no GPU has that id")
    assert "CPU figures stand in" in told[0]


def test_no_gpu_is_no_reason_for_a_warning() -> None:
    told: list[str] = []
    assert isinstance(make_sampler(None, lambda *words: told.extend(words)), CpuSampler)
    assert told == []


def test_throttle_reasons_are_words() -> None:
    assert throttle_words(0) == ""
    assert throttle_words(pynvml.nvmlClocksThrottleReasonSwPowerCap) == "power cap"
    both = pynvml.nvmlClocksThrottleReasonHwThermalSlowdown | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
    assert throttle_words(both) == "thermal (hardware), power brake"


def test_every_figure_of_an_nvidia_gpu_is_a_column_of_the_store() -> None:
    """Runs only where there is one."""
    try:
        pynvml.nvmlInit()
        uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))
    except pynvml.NVMLError:
        pytest.skip("no NVIDIA GPU here")
    sample = NvmlSampler(uuid).sample()
    assert sample["source"] == "nvml"
    assert 0 <= sample["gpu_util"] <= 100


class Nvml:
    """What speaks as pynvml does of a card that has a counter of energy, or only power, or tells neither."""

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = NVML_CLOCK_SM = 0

    def __init__(self, *, millijoules: int | None = None, milliwatts: int | None = None) -> None:
        self.millijoules = millijoules
        self.milliwatts = milliwatts

    def nvmlInit(self) -> None: ...  # noqa: N802 - NVML's own names

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str:  # noqa: N802
        return f"card {handle}"

    def nvmlDeviceGetPowerUsage(self, _: str) -> int:  # noqa: N802
        return self._told(self.milliwatts)

    def nvmlDeviceGetTotalEnergyConsumption(self, _: str) -> int:  # noqa: N802
        return self._told(self.millijoules)

    def _told(self, value: int | None) -> int:
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value

    def __getattr__(self, name: str) -> Any:
        """Every other function, which this card does not have."""

        def refuse(*_: object) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

        return refuse


def test_a_cards_energy_is_what_its_counter_advanced_by_since_the_trainer_began(tmp_path: Path) -> None:
    nvml = Nvml(millijoules=7_000_000_000, milliwatts=412_000)
    sampler = NvmlSampler("GPU-1", powercap=tmp_path, nvml=nvml)
    assert sampler.used() == Used(card_joules=0.0)
    nvml.millijoules = 7_000_000_412
    sample = sampler.sample()
    assert (sample["energy_joules"], sample["power_watts"]) == (7_000_000.412, 412.0)
    assert sampler.used().card_joules == pytest.approx(0.412)
    nvml.millijoules = 0  # the driver was loaded again
    sampler.sample()
    assert sampler.used().card_joules == pytest.approx(0.412)


def test_a_card_without_a_counter_is_estimated_from_its_power_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [50.0]
    monkeypatch.setattr("trainer.gpu.time.monotonic", lambda: now[0])
    nvml = Nvml(milliwatts=200_000)
    sampler = NvmlSampler("GPU-1", powercap=tmp_path, nvml=nvml)
    now[0], nvml.milliwatts = 51.0, 300_000
    assert "energy_joules" not in sampler.sample()
    assert sampler.used() == Used(card_joules=250.0, is_estimated=True)


def test_a_slice_of_a_card_that_tells_neither_is_not_measured(tmp_path: Path) -> None:
    sampler = NvmlSampler("MIG-1", powercap=tmp_path, nvml=Nvml())
    assert not {"energy_joules", "power_watts"} & sampler.sample().keys()
    assert sampler.used() == Used()


def test_the_processors_are_counted_beside_a_card_and_apart_from_it(tmp_path: Path) -> None:
    folder = Powercap(tmp_path, SERVER)
    nvml = Nvml(millijoules=0)
    sampler = NvmlSampler("GPU-1", powercap=tmp_path, nvml=nvml)
    folder.advance("intel-rapl:0", 80.0)
    folder.advance("intel-rapl:0:0", 55.0)
    nvml.millijoules = 300_000
    assert sampler.sample()["cpu_energy_joules"] == pytest.approx(80.0)
    used = sampler.used()
    assert used.card_joules == pytest.approx(300.0)
    assert used.cpu_joules == pytest.approx(80.0)


def test_a_run_on_the_processors_has_their_power_and_no_cards_energy(tmp_path: Path) -> None:
    folder = Powercap(tmp_path, SERVER)
    sampler = CpuSampler(tmp_path)
    folder.advance("intel-rapl:1", 65.0)
    sample = sampler.sample()
    assert sample["source"] == "cpu"
    assert sample["cpu_energy_joules"] == pytest.approx(65.0)
    assert sample["power_watts"] > 0
    used = sampler.used()
    assert used.cpu_joules == pytest.approx(65.0)
    assert used.card_joules is None
    assert not {"cpu_energy_joules", "power_watts"} & CpuSampler(tmp_path / "none").sample().keys()
