"""The device and what a run's bits depend on."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from trainer.config import PretrainConfig
from trainer.control import Control
from trainer.device import choose_device, differences, fingerprint, prepare
from trainer.errors import ConfigError
from trainer.job import Job
from trainer.pretrain import _record_fingerprint
from trainer.report import LineReporter
from trainer.store import RunStore


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_auto_is_the_cpu_where_there_is_no_gpu_and_a_missing_gpu_is_told() -> None:
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="--device: cuda:1 is not there, torch sees no CUDA device"):
        choose_device("cuda:1")


def test_auto_on_a_cpu_is_float32_in_the_usual_layout_and_reproducible() -> None:
    machine = prepare(device="cpu", threads=1, precision="auto", channels_last="auto", deterministic="auto")
    assert machine.autocast_dtype is None
    assert not machine.channels_last
    assert machine.deterministic
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1
    with machine.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_bfloat16_on_request_runs_the_network_in_it() -> None:
    machine = prepare(device="cpu", threads=1, precision="bfloat16")
    with machine.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_fingerprint_is_json_and_names_what_changed() -> None:
    now = fingerprint(prepare(device="cpu", threads=1))
    assert json.loads(json.dumps(now)) == now
    assert differences(now, now) == []
    assert differences(now | {"torch": "1.0", "gone": 1}, now) == ["gone 1 → None", f"torch 1.0 → {now['torch']}"]


def make_job(store: RunStore, runs: Path, before: dict[str, object]) -> Job:
    """A run that began with another fingerprint."""
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    store.update_run(run_id, fingerprint=json.dumps(before))
    return Job(store.run(run_id), store, runs, Control(store, run_id), LineReporter())


def test_another_library_is_told_and_recorded_and_the_run_goes_on(store: RunStore, runs: Path) -> None:
    machine = prepare(device="cpu", threads=1)
    job = make_job(store, runs, fingerprint(machine) | {"torch": "2.11.0"})
    _record_fingerprint(job, PretrainConfig(), machine)
    words = f"torch 2.11.0 → {torch.__version__}"
    assert store.run(job.run.id).exactness == f"not promised: {words}"
    event = store.events(run_id=job.run.id)[-1]
    assert (event.kind, event.level) == ("exactness", "warning")
    assert words in event.message


def test_a_run_does_not_wander_from_a_gpu_that_is_gone_to_the_cpu_by_itself(store: RunStore, runs: Path) -> None:
    machine = prepare(device="cpu", threads=1)
    job = make_job(store, runs, fingerprint(machine) | {"cuda": "13.0", "device": "H100"})
    with pytest.raises(ConfigError, match="the GPU that a began on is not there; give --device cpu to go on so"):
        _record_fingerprint(job, PretrainConfig(device="auto"), machine)
    _record_fingerprint(job, PretrainConfig(device="cpu"), machine)
    assert "device H100" in (store.run(job.run.id).exactness or "")


def test_the_device_may_be_changed_on_resume_and_the_number_of_threads_may_not() -> None:
    config = PretrainConfig()
    assert dataclasses.replace(config, device="cpu").digest() == config.digest()
    assert dataclasses.replace(config, threads=7).digest() != config.digest()
