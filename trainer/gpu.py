"""What the device does, as figures: NVML for an NVIDIA GPU, else psutil for the CPU, always labelled."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil

from trainer.energy import Counter, PowerSum, Used
from trainer.rapl import CpuEnergy

_THROTTLE_REASONS = {
    0x0000000000000004: "power cap",
    0x0000000000000008: "hardware slowdown",
    0x0000000000000020: "thermal (software)",
    0x0000000000000040: "thermal (hardware)",
    0x0000000000000080: "power brake",
}


class Sampler(Protocol):
    """Something that can say what a device does right now."""

    name: str

    def sample(self) -> dict[str, Any]:
        """The columns of `device_samples` that are known; a figure that can't be had is left out."""
        ...


class EnergySampler(Sampler, Protocol):
    """One that also adds up what is used."""

    def used(self) -> Used:
        """The energy that was used since this was made, as of the last sample."""
        ...


class CpuSampler:
    """CPU figures of the whole machine and of the trainer's processes, by psutil, and the processors' energy by RAPL.

    `gpu_util` and `power_watts` are the machine's CPU utilisation and its processors' power: what the device of a CPU
    run does. `source` says so.
    """

    def __init__(self, powercap: Path | None = None) -> None:
        """Starts the interval of the first sample. Args: the folder of powercap, if not `trainer.rapl.powercap()`."""
        self.name = "CPU"
        self._process = psutil.Process()
        self._energy = CpuEnergy(powercap)
        psutil.cpu_percent(None)

    def sample(self) -> dict[str, Any]:
        """CPU utilisation in percent since the last sample, memory in bytes, energy in J, mean power in W."""
        percent = psutil.cpu_percent(None)
        figures = {"source": "cpu", "gpu_util": percent, "cpu_percent": percent, **_cpu_energy(self._energy)}
        if self._energy.watts is not None:
            figures["power_watts"] = self._energy.watts
        return figures | _memory(self._process)

    def used(self) -> Used:
        """Of the processors alone."""
        return Used(cpu_joules=self._energy.joules)


def _cpu_energy(energy: CpuEnergy) -> dict[str, Any]:
    joules = energy.read()
    return {} if joules is None else {"cpu_energy_joules": joules}


def _memory(process: psutil.Process) -> dict[str, Any]:
    return {"process_memory_bytes": process.memory_info().rss}


class NvmlSampler:
    """An NVIDIA GPU's figures by NVML, with the machine's CPU beside them."""

    def __init__(self, uuid: str, *, powercap: Path | None = None, nvml: Any = None) -> None:
        """Open the GPU of a CUDA uuid (`GPU-…`), so that CUDA_VISIBLE_DEVICES can't point at another one.

        Args:
            uuid: NVML's id of the GPU.
            powercap: the folder of powercap, if not `trainer.rapl.powercap()`.
            nvml: what speaks as pynvml does, if not pynvml.

        Raises:
            pynvml.NVMLError: NVML or the GPU is not there.
        """
        if nvml is None:
            import pynvml

            nvml = pynvml
        nvml.nvmlInit()
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        self.name = str(nvml.nvmlDeviceGetName(self._handle))
        self._process = psutil.Process()
        self._cpu_energy = CpuEnergy(powercap)
        self._counter, self._power = Counter(), PowerSum()
        self._add_up(self._told(self._energy_readings()))
        psutil.cpu_percent(None)

    def used(self) -> Used:
        """Of the card, whoever used it, and of the processors."""
        counted, summed = self._counter.joules, self._power.joules
        return Used(
            card_joules=summed if counted is None else counted,
            cpu_joules=self._cpu_energy.joules,
            is_estimated=counted is None and summed is not None,
        )

    def _energy_readings(self) -> dict[str, Callable[[], Any]]:
        nvml, handle = self._nvml, self._handle
        return {
            "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "energy_joules": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
        }

    def _add_up(self, figures: dict[str, Any]) -> None:
        """Take energy by the card's counter, or by its power where it has none, as before Volta."""
        now = time.monotonic()
        if "energy_joules" in figures:
            self._counter.read(figures["energy_joules"], now)
        elif "power_watts" in figures:
            self._power.read(figures["power_watts"], now)

    def _told(self, readings: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        """Whatever of some figures the card tells; some cards and virtual machines do not tell all of them."""
        figures = {}
        for name, read in readings.items():
            try:
                figures[name] = read()
            except self._nvml.NVMLError:
                continue
        return figures

    def sample(self) -> dict[str, Any]:
        """Utilisation in percent, memory in bytes, power in watts, temperature in °C, clock in MHz, energy in J."""
        nvml, handle = self._nvml, self._handle
        figures: dict[str, Any] = {"source": "nvml", "cpu_percent": psutil.cpu_percent(None)}
        readings: dict[str, Callable[[], Any]] = {
            "gpu_util": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "gpu_memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
            "gpu_memory_total_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
            "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "throttle_reasons": lambda: throttle_words(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        }
        figures |= self._told(readings | self._energy_readings())
        self._add_up(figures)
        return figures | _cpu_energy(self._cpu_energy) | _memory(self._process)


def throttle_words(bits: int) -> str:
    """NVML's throttle reasons as words, empty where the clocks are free."""
    return ", ".join(word for bit, word in _THROTTLE_REASONS.items() if bits & bit)


def make_sampler(uuid: str | None, warn: Callable[[str, str], None]) -> EnergySampler:
    """A sampler of the GPU of that uuid, or of the CPU where there is none.

    Args:
        uuid: NVML's id of the training device, None on a CPU.
        warn: told (kind, message) where the GPU's figures can't be had and the CPU's stand in.
    """
    if uuid is not None:
        import pynvml

        try:
            return NvmlSampler(uuid)
        except pynvml.NVMLError as error:
            warn("nvml", f"NVML can't be asked about the GPU ({error}), so CPU figures stand in and are labelled so")
    return CpuSampler()
