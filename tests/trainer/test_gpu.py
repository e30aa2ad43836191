"""What the device does: figures where there are any, labelled by where they come from."""

import pynvml
import pytest

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
