"""Which GPU a run comes to, and when; what NVML says is given, the locks and the line are real."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.test_device_lock import user
from tests.trainer.test_queue import Waiters
from trainer import device_lock, devices, queue, turn
from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested
from trainer.device_lock import DeviceLock, let_go_of_all, open_lock, user_of
from trainer.devices import Gpu
from trainer.errors import BusyError, ConfigError, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.job import Job
from trainer.process import identity
from trainer.ranks import Ranks
from trainer.report import make_reporter
from trainer.start import new_pretrain_run
from trainer.store import RunStore
from trainer.store.queue import queue_rows
from trainer.turn import correct, take_device

Given = Callable[..., None]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """A way to give a machine with GPUs: UUID = (free memory, processes that compute)."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "untouched")
    monkeypatch.setattr(turn, "POLL_SECONDS", 0.05)

    def give(**there: tuple[int, int]) -> None:
        found = [
            Gpu(uuid=f"GPU-{name}", name="Titan RTX", free_bytes=free, processes=processes)
            for name, (free, processes) in there.items()
        ]
        monkeypatch.setattr(devices, "gpus", lambda: found)

    return give


def job(store: RunStore, device: str) -> Job:
    """The job of a run on that device, as its trainer has it."""
    run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes", device=device))
    control = Control(store, run_id)
    return Job(store.run(run_id), store, store.runs_path, control, make_reporter(headless=False))


def events(one: Job, kind: str) -> list[str]:
    """What events of a kind say."""
    return [event.message for event in one.store.events(run_id=one.run.id) if event.kind == kind]


def taken(lock: DeviceLock | None) -> str:
    """The device whose lock is held, shared; it is let go."""
    assert lock is not None
    with user(lock.name) as other:
        assert other.do("other") == str(os.getpid())
    lock.close()
    return lock.name


@pytest.mark.parametrize("in_line", [False, True])
def test_next_takes_the_free_gpu_with_the_most_memory(store: RunStore, given: Given, in_line: bool) -> None:
    given(a=(10, 1), b=(5, 0), c=(7, 0))
    one = job(store, "next")
    assert taken(take_device(one, in_line=in_line)) == "GPU-c"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-c"
    assert events(one, "device") == ["trains on Titan RTX (GPU-c), the free GPU with the most memory"]
    assert queue_rows(store) == []


def test_next_leaves_a_gpu_to_the_run_that_has_it(store: RunStore, given: Given) -> None:
    given(b=(5, 0), c=(7, 0))
    with user("GPU-c"):
        assert taken(take_device(job(store, "next"), in_line=False)) == "GPU-b"


def test_next_with_no_free_gpu_is_told_to_queue(store: RunStore, given: Given) -> None:
    given(a=(10, 1), b=(5, 0))
    with user("GPU-b"), pytest.raises(BusyError, match=r"--device next: all 2 GPUs are in use; add --queue to wait"):
        take_device(job(store, "next"), in_line=False)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "untouched"


@pytest.mark.parametrize("in_line", [False, True])
def test_next_on_a_machine_without_a_gpu_is_the_cpu(store: RunStore, given: Given, in_line: bool) -> None:
    given()
    one = job(store, "next")
    assert taken(take_device(one, in_line=in_line)) == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "untouched"


def test_a_run_that_began_on_a_gpu_does_not_go_on_on_the_cpu_by_next(store: RunStore, given: Given) -> None:
    given()
    one = job(store, "next")
    store.update_run(one.run.id, fingerprint='{"cuda": "12.8"}')
    began = Job(store.run(one.run.id), store, one.runs, one.control, one.reporter)
    with pytest.raises(ConfigError, match="is not there; give --device cpu to go on so"):
        take_device(began, in_line=False)


def looked(one: Job, name: str) -> str | None:
    """The device that a waiting run would get now."""
    queue.enqueue(one.store, one.run.id, name)
    _, lock = turn._look(one, name)
    return None if lock is None else taken(lock)


def test_whoever_waits_for_any_gpu_is_before_those_who_came_later_for_the_one_that_is_free(
    store: RunStore, given: Given
) -> None:
    waiters = Waiters(store, 1, devices=("next",))
    one = job(store, "cuda")
    given(a=(10, 0))
    assert looked(one, "GPU-a") is None
    given(a=(10, 1))  # somebody else's work, which a run that names the GPU joins, and `next` does not
    assert looked(one, "GPU-a") == "GPU-a"
    given(a=(10, 0))
    waiters.die(waiters.ids[0])
    assert looked(one, "GPU-a") == "GPU-a"
    waiters.close()


def test_whoever_waits_for_any_gpu_leaves_one_to_those_who_came_before(store: RunStore, given: Given) -> None:
    waiters = Waiters(store, 1, devices=("GPU-a",))
    given(a=(10, 0), b=(5, 0))
    one = job(store, "next")
    assert looked(one, "next") == "GPU-b"
    queue.hold(store, waiters.ids[0])
    assert looked(one, "next") == "GPU-a"
    waiters.close()


def test_those_who_wait_for_any_gpu_keep_their_order(store: RunStore, given: Given) -> None:
    waiters = Waiters(store, 1, devices=("next",))
    given(a=(10, 0), b=(5, 0))
    one = job(store, "next")
    assert looked(one, "next") is None
    waiters.die(waiters.ids[0])
    assert looked(one, "next") == "GPU-a"
    waiters.close()


def test_a_row_that_was_taken_away_by_mistake_comes_back(store: RunStore, given: Given) -> None:
    given()
    one = job(store, "cpu")
    assert turn._look(one, "cpu") == ("cpu", None)
    assert [row.run_id for row in queue_rows(store)] == [one.run.id]
    assert looked(one, "cpu") == "cpu"


def test_a_waiting_run_that_is_sent_to_another_device_waits_for_that_one(store: RunStore, given: Given) -> None:
    given(a=(10, 0), b=(5, 0))
    waiters = Waiters(store, 1, devices=("GPU-b",))
    one = in_line(store, "cuda:0", "GPU-a")
    with user("GPU-a"):
        assert turn._look(one, "GPU-a") == ("GPU-a", None)
        assert queue.redirect(store, one.run.id, "cuda:1", devices.gpus()) == "GPU-b"
        assert queue.device_setting(store.run(one.run.id)) == "cuda:1"
        assert turn._look(one, "GPU-a") == ("GPU-b", None), "it stands behind the one that was there before"
        waiters.die(waiters.ids[0])
        name, lock = turn._look(one, "GPU-b")
    assert (name, taken(lock)) == ("GPU-b", "GPU-b")
    assert queue_rows(store) == []
    with pytest.raises(UsageError, match="is in no line"):
        queue.redirect(store, one.run.id, "cuda:0", devices.gpus())
    assert queue.device_setting(store.run(one.run.id)) == "cuda:1"
    waiters.close()


@pytest.mark.parametrize(("before", "line", "to"), [("cuda:0", "GPU-a", "cpu"), ("next", "next", "cpu")])
def test_sent_away_in_the_moment_of_its_turn_it_leaves_the_device_and_waits_on(
    store: RunStore, given: Given, monkeypatch: pytest.MonkeyPatch, before: str, line: str, to: str
) -> None:
    given(a=(10, 0))
    one, ahead = in_line(store, before, line), queue.ahead

    def look_and_be_sent_away(*arguments: Any) -> Any:
        found = ahead(*arguments)
        queue.redirect(store, one.run.id, to, devices.gpus())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(queue, "ahead", look_and_be_sent_away)
        assert turn._look(one, line) == (line, None)
    assert user_of("GPU-a") is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "untouched"
    name, lock = turn._look(one, line)
    assert (name, taken(lock)) == ("cpu", "cpu")


def test_a_run_is_sent_only_to_devices_that_are_there(store: RunStore, given: Given) -> None:
    given(a=(10, 0))
    one = in_line(store, "cuda", "GPU-a")
    for setting, words in {
        "cuda:1": "needs a GPU that this machine has 1 of",
        "tpu": "choose auto, next, cpu, cuda or cuda:N",
        "cuda:0": "waits for Titan RTX .GPU-a. already",
    }.items():
        with pytest.raises(UsageError, match=words):
            queue.redirect(store, one.run.id, setting, devices.gpus())
    with pytest.raises(ConfigError, match="this machine shows none of"):
        queue.redirect(store, one.run.id, "next", [])


def in_line(store: RunStore, device: str, name: str) -> Job:
    """The job of a run that waits, as its trainer has it, which is this process."""
    one = job(store, device)
    store.lifecycle(one.run.id, "launched", "launched", **identity().columns())
    queue.enqueue(store, one.run.id, name)
    return one


def test_a_device_that_torch_sees_otherwise_is_locked_as_well_and_said(store: RunStore, given: Given) -> None:
    given()
    one = job(store, "auto")
    lock = take_device(one, in_line=False)
    assert lock is not None
    correct(one, lock, "cpu")
    assert events(one, "device-lock") == []
    correct(one, lock, "GPU-z")
    assert events(one, "device-lock") == ["torch trains on GPU-z where NVML led to expect the CPU"]
    assert taken(open_lock("GPU-z")) == "GPU-z"
    assert taken(lock) == "cpu"
    correct(one, open_lock("cuda-0"), "GPU-z")
    assert len(events(one, "device-lock")) == 1


def test_an_evaluation_takes_no_lock_and_next_is_settled_for_it_too(store: RunStore, given: Given) -> None:
    given(a=(10, 1), b=(5, 0))
    config = EvaluateConfig(run="abcdefghij", device="next").to_json()
    run_id = store.create_run(kind="evaluate", name="scores", config=config)
    one = Job(store.run(run_id), store, store.runs_path, Control(store, run_id), make_reporter(headless=False))
    assert take_device(one, in_line=False) is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    assert user_of("GPU-b") is None
    assert events(one, "device") == ["evaluates on Titan RTX (GPU-b)"]


def test_a_pause_ends_the_wait_and_the_row_goes(store: RunStore, given: Given) -> None:
    given(a=(10, 0))
    one = job(store, "cuda")
    store.request(one.run.id, "pause")
    with user("GPU-a"), pytest.raises(EndRequested):
        take_device(one, in_line=True)
    assert queue_rows(store) == []


def test_nvml_is_asked_for_what_the_choice_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    def processes(handle: int) -> list[int]:
        if handle == 1:
            raise NVMLError
        return [4711]

    nvml: Any = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetComputeRunningProcesses=processes,
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}",
        nvmlDeviceGetName=lambda handle: "Titan RTX",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=handle + 7),
    )
    assert list(devices._read(nvml)) == [
        Gpu(uuid="GPU-0", name="Titan RTX", free_bytes=7, processes=1),
        Gpu(uuid="GPU-1", name="Titan RTX", free_bytes=8, processes=0),
    ]


def job_of_ranks(store: RunStore, here: int, device: str = "auto") -> Job:
    """The job of a run that so many ranks of this machine train, as the first one has it."""
    line: Any = SimpleNamespace(ranks=Ranks(rank=0, world=here + 1, local_rank=0, local_world=here))
    return replace(job(store, device), line=line)


def is_held(name: str) -> bool:
    """Whether another process would have to wait for a device."""
    with user(name, "try_shared") as other:
        return other.do("try_alone") == "False"


def test_the_gpus_of_all_ranks_here_are_held_and_others_pass_them_by(store: RunStore, given: Given) -> None:
    given(a=(5, 0), b=(9, 0), c=(7, 0))
    lock = take_device(job_of_ranks(store, 2), in_line=False)
    assert lock is not None
    assert lock.name == "GPU-a"
    assert [is_held(f"GPU-{name}") for name in "abc"] == [True, True, False]
    let_go_of_all()
    assert not any(is_held(f"GPU-{name}") for name in "abc")


def test_ranks_in_line_take_all_their_gpus_at_once_or_none(store: RunStore, given: Given) -> None:
    given(a=(5, 0), b=(9, 0))
    one = job_of_ranks(store, 2)
    queue.enqueue(one.store, one.run.id, "GPU-a")
    with user("GPU-b"):
        assert turn._look(one, "GPU-a")[1] is None
        assert not is_held("GPU-a"), "who waits for the second one keeps nobody from the first"
    _, lock = turn._look(one, "GPU-a")
    assert lock is not None
    assert [is_held("GPU-a"), is_held("GPU-b")] == [True, True]
    let_go_of_all()


def test_a_run_of_one_process_asks_for_no_other_gpu_while_it_waits(
    store: RunStore, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVML would be opened once a second, for as long as a run waits."""
    given(a=(5, 0))
    one = job(store, "auto")
    queue.enqueue(one.store, one.run.id, "GPU-a")
    monkeypatch.setattr(devices, "gpus", lambda: pytest.fail("it was asked"))
    with user("GPU-a"):
        assert turn._look(one, "GPU-a") == ("GPU-a", None)


def test_ranks_do_not_begin_beside_a_benchmark_on_any_of_their_gpus(
    store: RunStore, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_lock, "_CONVERSION_SECONDS", 0.1)
    given(a=(5, 0), b=(9, 0))
    with user("GPU-b", "try_alone"), pytest.raises(BusyError, match=r"GPU-b.* is held by a benchmark"):
        take_device(job_of_ranks(store, 2), in_line=False)
    let_go_of_all()


@pytest.mark.parametrize("device", ["next", "cuda:1"])
def test_ranks_refuse_one_device_before_they_wait_for_it(store: RunStore, given: Given, device: str) -> None:
    given(a=(5, 0), b=(9, 0))
    with pytest.raises(ConfigError, match="is one device; with several ranks give auto, cuda or cpu"):
        take_device(job_of_ranks(store, 2, device), in_line=True)


def test_ranks_on_processors_hold_the_processors(store: RunStore, given: Given) -> None:
    given()
    assert taken(take_device(job_of_ranks(store, 3), in_line=False)) == "cpu"
