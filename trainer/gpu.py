"""What the device does, as figures: NVML for an NVIDIA GPU, else psutil for the CPU, always labelled."""

from collections.abc import Callable
from typing import Any, Protocol

import psutil

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


class CpuSampler:
    """CPU figures of the whole machine and of the trainer's processes, by psutil.

    `gpu_util` is the machine's CPU utilisation: what the device of a CPU run does. `source` says so.
    """

    def __init__(self) -> None:
        """Starts the interval of the first sample."""
        self.name = "CPU"
        self._process = psutil.Process()
        psutil.cpu_percent(None)

    def sample(self) -> dict[str, Any]:
        """CPU utilisation in percent since the last sample, memory in bytes."""
        percent = psutil.cpu_percent(None)
        return {"source": "cpu", "gpu_util": percent, "cpu_percent": percent, **_memory(self._process)}


def _memory(process: psutil.Process) -> dict[str, Any]:
    return {"process_memory_bytes": process.memory_info().rss}


class NvmlSampler:
    """An NVIDIA GPU's figures by NVML, with the machine's CPU beside them."""

    def __init__(self, uuid: str) -> None:
        """Open the GPU of a CUDA uuid (`GPU-…`), so that CUDA_VISIBLE_DEVICES can't point at another one.

        Raises:
            pynvml.NVMLError: NVML or the GPU is not there.
        """
        import pynvml

        pynvml.nvmlInit()
        self._nvml = pynvml
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        self.name = str(pynvml.nvmlDeviceGetName(self._handle))
        self._process = psutil.Process()
        psutil.cpu_percent(None)

    def sample(self) -> dict[str, Any]:
        """Utilisation in percent, memory in bytes, power in watts, temperature in °C, clock in MHz, energy in J."""
        nvml, handle = self._nvml, self._handle
        figures: dict[str, Any] = {"source": "nvml", "cpu_percent": psutil.cpu_percent(None)}
        readings: dict[str, Callable[[], Any]] = {
            "gpu_util": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "gpu_memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
            "gpu_memory_total_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
            "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "energy_joules": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
            "throttle_reasons": lambda: throttle_words(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        }
        for name, read in readings.items():
            try:
                figures[name] = read()
            except nvml.NVMLError:  # a card or a virtual machine that does not tell this one figure
                continue
        return figures | _memory(self._process)


def throttle_words(bits: int) -> str:
    """NVML's throttle reasons as words, empty where the clocks are free."""
    return ", ".join(word for bit, word in _THROTTLE_REASONS.items() if bits & bit)


def make_sampler(uuid: str | None, warn: Callable[[str, str], None]) -> Sampler:
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
