"""Which GPU is meant and which is free; what NVML says is given, since a test machine may have none."""

import itertools
import os

import pytest

from trainer.devices import Gpu, check_next, describe, device_name, free_first, gpus, no_gpu_is_free, settle, visible
from trainer.errors import ConfigError, ExitCode


def gpu(uuid: str, free: int = 0, processes: int = 0) -> Gpu:
    """A GPU of a model."""
    return Gpu(uuid=uuid, name="Titan RTX", free_bytes=free, processes=processes)


THREE = [gpu("GPU-aa11", 5, 1), gpu("GPU-bb22", 7), gpu("GPU-bb33", 9)]


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (None, ["GPU-aa11", "GPU-bb22", "GPU-bb33"]),
        ("", []),
        ("-1", []),
        ("2,0", ["GPU-bb33", "GPU-aa11"]),
        (" 1 , 2 ", ["GPU-bb22", "GPU-bb33"]),
        ("0,-1,1", ["GPU-aa11"]),
        ("0,7,1", ["GPU-aa11"]),
        ("1,1", ["GPU-bb22"]),
        ("GPU-bb22", ["GPU-bb22"]),
        ("GPU-aa", ["GPU-aa11"]),
        ("GPU-bb", []),
        ("GPU-zz,0", []),
        ("MIG-GPU-aa11/1/0", ["MIG-GPU-aa11/1/0"]),
        ("²", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(listed: str | None, found: list[str]) -> None:
    assert [one.uuid for one in visible(THREE, listed)] == found


@pytest.mark.parametrize(
    ("setting", "number", "name"),
    [
        ("cpu", 3, "cpu"),
        ("auto", 0, "cpu"),
        ("next", 0, "cpu"),
        ("auto", 3, "GPU-aa11"),
        ("cuda", 3, "GPU-aa11"),
        ("cuda:2", 3, "GPU-bb33"),
        ("cuda:3", 3, "cuda-3"),
        ("cuda", 0, "cuda-0"),
        ("next", 3, "next"),
    ],
)
def test_a_setting_means_a_device(setting: str, number: int, name: str) -> None:
    assert device_name(setting, THREE[:number]) == name


def test_the_free_gpu_with_most_memory_comes_first_in_whatever_order_they_are() -> None:
    for order in itertools.permutations(THREE):
        assert [one.uuid for one in free_first(order)] == ["GPU-bb33", "GPU-bb22"]


def test_the_chosen_gpu_is_the_only_one_that_cuda_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    settle(THREE[2])
    assert visible(THREE, os.environ["CUDA_VISIBLE_DEVICES"]) == [THREE[2]]


def test_devices_have_names_for_people() -> None:
    assert describe("cpu") == "the CPU"
    assert describe("next") == "the next free GPU"
    assert describe("cuda-1") == "GPU 1"
    assert describe("GPU-aa11", THREE) == "Titan RTX (GPU-aa11)"
    assert describe("GPU-zz") == "GPU-zz"


def test_no_free_gpu_is_told_with_the_way_to_wait() -> None:
    error = no_gpu_is_free(THREE)
    assert str(error) == (
        "--device next: all 3 GPUs are in use; add --queue to wait for one, or name a device to share it"
    )
    assert error.exit_code == ExitCode.TRY_AGAIN


def test_a_run_of_a_gpu_does_not_go_on_on_a_cpu_unasked() -> None:
    check_next(False, "a")
    with pytest.raises(ConfigError, match=r"--device: the GPU that a began on is not there"):
        check_next(True, "a")


def test_a_machine_without_nvml_has_no_gpu() -> None:
    """On a machine with NVML: as many as it shows."""
    import pynvml

    try:
        pynvml.nvmlInit()
        number = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        number = 0
    if os.environ.get("CUDA_VISIBLE_DEVICES") is None:
        assert len(gpus()) == number
