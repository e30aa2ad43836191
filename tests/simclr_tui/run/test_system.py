"""What the machine does: the processes of a run and of others, by real ones and a stand-in for NVML."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from simclr_tui.run import system
from simclr_tui.run.system import GpuLook, ProcessLook, SystemReader
from simclr_tui.run.system_words import from_zero, gpu_words, held_back, host_lines, process_rows, trends, workers_words
from tests.simclr_tui.support import Holder
from trainer.process import boot_id, start_ticks
from trainer.store.reader import StoreReader
from trainer.store.records import Run

BUSY = "import time\nwhile True: sum(range(1000))"


def run_of(runs: Path, run_id: str) -> Run:
    reader = StoreReader.open(runs)
    found = reader.run(run_id)
    reader.close()
    return found


class Nvml:
    """A GPU on which two processes compute, and that does not tell its power."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """As pynvml's."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, _handle: int) -> str:  # noqa: N802
        return "GPU-1"

    def nvmlDeviceGetName(self, _handle: int) -> str:  # noqa: N802
        return "NVIDIA H100"

    def nvmlDeviceGetComputeRunningProcesses(self, _handle: int) -> list[SimpleNamespace]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=(n + 1) << 30) for n, pid in enumerate(self._pids)]

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=3 << 30, total=80 << 30)

    def nvmlDeviceGetUtilizationRates(self, _handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=93)

    def nvmlDeviceGetPowerUsage(self, _handle: int) -> int:  # noqa: N802
        raise self.NVMLError("not supported")

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:  # noqa: N802
        return 64

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle: int) -> int:  # noqa: N802
        return 4


def test_the_trainer_of_a_run_and_its_children_are_found_with_their_cpu_and_memory(
    runs: Path, some_runs: dict[str, str]
) -> None:
    reader = SystemReader(runs)
    with Holder(runs, some_runs["resting"]) as holder:
        run = run_of(runs, some_runs["resting"])
        first = reader.read(run)
        time.sleep(0.2)
        look = reader.read(run)
    (trainer,) = [one for one in look.processes if one.role == "trainer"]
    assert trainer.pid == holder.process.pid
    assert (trainer.memory_bytes or 0) > 1 << 20
    assert trainer.threads == 1
    assert "trainer.process" in trainer.command or "-c" in trainer.command
    assert [one.cpu_percent for one in first.processes] == [None], "a share is one since the reading before"
    assert trainer.cpu_percent is not None
    assert workers_words(look).startswith("the trainer and no worker")
    assert look.host.memory_total_bytes
    assert {name for name, _ in host_lines(look.host)} == {"host", "CPU", "memory", "disk"}
    gone = reader.read(run)
    assert gone.processes == ()
    assert gone.note == "resting has no live trainer, so it has no process"


def test_a_run_of_another_machine_is_not_looked_for_here(run: Run, runs: Path) -> None:
    import dataclasses

    other = dataclasses.replace(run, host="elsewhere", pid=1)
    assert "was trained on elsewhere, which is another machine" in SystemReader(runs).read(other).note
    assert "has had no trainer yet" in SystemReader(runs).read(dataclasses.replace(run, pid=None)).note


def test_whose_process_is_on_the_gpu(runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        with Holder(runs, some_runs["resting"]) as holder:
            gone = 2**22 + 12345  # a process outside the container, say
            nvml = Nvml(holder.process.pid, busy.pid, gone)
            monkeypatch.setattr(system, "_gpus", lambda: system.read_gpus(nvml))
            run = run_of(runs, some_runs["resting"])
            reader = SystemReader(runs)
            reader.read(run)
            time.sleep(0.3)
            look = reader.read(run)
    finally:
        busy.kill()
        busy.wait()
    assert [one.role for one in look.processes] == ["trainer", "", ""]
    assert [one.pid for one in look.processes] == [holder.process.pid, gone, busy.pid], "the largest of others first"
    assert look.processes[0].gpu_memory_bytes == 1 << 30
    mine = look.processes[2]
    assert (mine.cpu_percent or 0) > 5
    assert mine.user
    assert look.processes[1] == ProcessLook(pid=gone, gpu=0, gpu_memory_bytes=3 << 30)
    rows = process_rows(look)
    assert rows[1][:5] == ["other", str(gone), "–", "#0", "3 GiB"]
    assert rows[1][-1] == "not told"
    assert "2 other on the GPUs" in workers_words(look)
    assert gpu_words(look.gpus[0]) == "93 % · 3 GiB of 80 GiB · 64 °C · ▲ held back: power cap"
    assert gpu_words(GpuLook(uuid="u", name="n", index=0)) == "it tells nothing of itself"


def test_other_ranks_of_the_run_are_no_strangers(run: Run, runs: Path) -> None:
    """As under torchrun: processes beside the trainer with the same parent. Under another parent they are not known."""
    for launcher, roles in (("torch.distributed.run", ["trainer", "rank", "rank"]), ("sh", ["trainer"])):
        with subprocess.Popen(
            [sys.executable, "-c", _RANKS, launcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            first = int(parent.stdout.readline())
            rank = replace(run, host=os.uname().nodename, boot_id=boot_id(), pid=first, start_ticks=start_ticks(first))
            look = SystemReader(runs).read(rank)
        assert [one.role for one in look.processes] == roles
    assert "the trainer and no worker" in workers_words(look)


_RANKS = """
import subprocess, sys
words = [sys.executable, "-c", "input()", "trainer.run"]
ranks = [subprocess.Popen(words, stdin=subprocess.PIPE) for _ in range(3)]
print(ranks[0].pid, flush=True)
sys.stdin.read()
"""


def test_without_nvml_there_is_no_gpu_and_nothing_fails(runs: Path) -> None:
    look = SystemReader(runs).read(None)
    assert look.processes == () or look.gpus
    assert look.host.name == os.uname().nodename


def test_the_processors_power_beside_a_card_is_what_their_energy_advanced_by() -> None:
    joules = [(0.0, 10.0), (1.0, 60.0), (3.0, 260.0), (4.0, 0.0), (5.0, None), (6.0, 70.0), (7.0, 270.0)]
    samples = [{"source": "nvml", "at": at, "cpu_energy_joules": value} for at, value in joules]
    assert trends(samples, 3) == [("CPU power", "▃▅█", "200 W")], "of the second trainer from its second sample on"
    assert trends([sample | {"source": "cpu"} for sample in samples], 3) == [], "that has its own power"


def test_trends_are_drawn_from_zero_and_reasons_counted() -> None:
    samples = [
        {"source": "nvml", "gpu_util": 0.0, "power_watts": 100.0, "throttle_reasons": ""},
        {"source": "nvml", "gpu_util": 50.0, "power_watts": 200.0, "throttle_reasons": "power cap"},
        {"source": "nvml", "gpu_util": 100.0, "power_watts": None, "throttle_reasons": "power cap, power brake"},
        {"source": "nvml", "gpu_util": 100.0, "power_watts": None, "throttle_reasons": None},
    ]
    assert trends(samples, 4) == [("utilisation", "▁▅██", "100 %"), ("power", "▅█", "200 W")]
    assert held_back(samples) == "power cap in 50 %, power brake in 25 %"
    assert held_back([]) == ""
    assert from_zero([], 5, 1.0) == ""
    assert from_zero([99.0, 100.0], 2, 100.0) == "██", "what hardly moves is not drawn as if it did"
