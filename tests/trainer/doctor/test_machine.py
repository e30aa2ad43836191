"""What is said of the machine, from its real figures and from those of machines that are not at hand."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.powercap import SERVER, Powercap
from trainer.addresses import notify_file
from trainer.doctor import machine
from trainer.doctor.check import Check
from trainer.doctor.machine import Cgroup

V2 = "0::/user.slice/job\n"
V1 = "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n"


def test_versions_that_are_tested_pass_and_older_ones_are_bad() -> None:
    assert machine.python_version().level == "ok"
    assert machine.python_version((3, 10, 14)).level == "bad"
    assert machine.torch_version().level == "ok"
    assert machine.torch_version("2.11.0+cu128").level == "ok"
    assert machine.torch_version("3.0.0").level == "ok"
    assert machine.torch_version("2.9.1").level == "bad"  # by number: as text it would be above 2.11
    assert machine.torch_version("from git").level == "unknown"


def test_this_machine_is_looked_at_without_an_exception() -> None:
    checks = [machine.processors(), machine.memory(), machine.shared_memory(), machine.open_files()]
    assert all(check.seen for check in checks)
    assert list(machine.gpus())


def test_whether_the_processors_energy_is_measured_is_told_with_the_reason(tmp_path: Path) -> None:
    check = machine.energy(tmp_path)
    assert (check.level, check.remedy) == ("ok", "")
    assert f"not measured: {tmp_path} has no intel-rapl zone" in check.seen
    folder = Powercap(tmp_path, SERVER)
    check = machine.energy(tmp_path)
    assert check.seen == "that of the processors is measured (package-0, dram, package-1, dram)"
    folder.file("intel-rapl:1").write_text("")
    check = machine.energy(tmp_path)
    assert "intel-rapl:1/energy_uj can't be read" in check.seen


def test_a_clock_before_the_newest_event_is_bad() -> None:
    now = time.time()
    assert machine.clock(None).level == "ok"
    assert machine.clock(now - 10).level == "ok"
    assert machine.clock(now + 60).level == "ok"  # of another machine, a minute ahead
    late = machine.clock(now + 7200)
    assert late.level == "bad"
    assert "7,200 s before the newest event" in late.seen.replace("7,199", "7,200")


def test_little_shared_memory_is_told_and_none_too(tmp_path: Path) -> None:
    assert machine.shared_memory(tmp_path / "nowhere").level == "warn"
    assert "--num-workers 0" in machine.shared_memory(tmp_path / "nowhere").remedy


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        (V2, {"user.slice/job/cpu.max": "150000 100000"}, 1.5),
        (V2, {"user.slice/job/cpu.max": "max 100000", "user.slice/cpu.max": "400000 100000"}, 4.0),
        (V2, {"cpu.max": "50000 100000"}, 0.5),
        (V2, {"user.slice/job/cpu.max": "max 100000"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (V2, {}, None),
    ],
    ids=["v2", "v2 above", "v2 in a container", "v2 none", "v1", "v1 none", "nothing mounted"],
)
def test_the_tightest_limit_of_the_control_groups_counts(
    tmp_path: Path, membership: str, files: dict[str, str], cores: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    group = Cgroup(tmp_path, membership)
    assert group.cpu_limit() == cores
    check = machine.processors(group)
    assert check.level == ("warn" if cores is not None and cores < len(os.sched_getaffinity(0)) else "ok")


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_a_memory_limit_that_is_nearly_reached_is_told(tmp_path: Path, version: str) -> None:
    names = {
        "v2": ("user.slice/job/memory.current", "user.slice/job/memory.max"),
        "v1": ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),
    }[version]
    for name, value in zip(names, (7 << 29, 4 << 30), strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    group = Cgroup(tmp_path, V2 if version == "v2" else V1)
    assert group.memory_limit() == (7 << 29, 4 << 30)
    check = machine.memory(group)
    assert check.level == "warn"
    assert "the control group allows 4 GiB" in check.seen


class Nvml:
    """NVML with two GPUs, one of which another person computes on."""

    NVMLError = OSError

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.1"

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(free=20 << 30, total=24 << 30)

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return "NVIDIA Titan RTX"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        if handle:
            raise OSError("Not Supported")
        return 1

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=1 << 30)
        theirs = SimpleNamespace(pid=2**22 + 1, usedGpuMemory=3 << 30)
        return [mine, theirs] if handle else [mine]


def test_other_peoples_processes_on_a_gpu_are_told_and_ones_own_are_not() -> None:
    first, second = (check for check in machine._gpus(Nvml()) if check.name.startswith("GPU"))
    assert (first.level, first.seen) == (
        "ok",
        "NVIDIA Titan RTX, 20 GiB of 24 GiB free, energy by its counter, driver 570.1",
    )
    assert "energy estimated from its power, since it has no counter" in second.seen
    assert second.level == "warn"
    assert "somebody outside this container with 3 GiB" in second.seen


def test_addresses_for_notices_are_named_and_those_that_can_not_be_used_are_bad() -> None:
    assert list(machine.notices()) == []
    file = notify_file()
    file.parent.mkdir(parents=True)
    file.write_text('[to]\nphone = "ntfys://ntfy.sh/hush-hush"\n')
    file.chmod(0o600)
    assert list(machine.notices()) == [Check("notices", "ok", f"{file} has phone")]
    file.chmod(0o644)
    (found,) = machine.notices()
    assert (found.level, found.remedy) == ("bad", f"`chmod 600 {file}`")
    assert "hush" not in str(found)
