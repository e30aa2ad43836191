"""The device and what a run's bits depend on."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.test_store import step_row
from trainer.config import PretrainConfig
from trainer.control import Control
from trainer.device import check_cublas, choose_device, fingerprint, prepare
from trainer.errors import ConfigError
from trainer.exactness import Exactness, differences
from trainer.job import Job
from trainer.pretrain import _record_exactness, _refuse_another_kind_of_device
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


def test_a_fingerprint_is_json_and_the_same_each_time() -> None:
    now = fingerprint(prepare(device="cpu", threads=1))
    assert json.loads(json.dumps(now)) == now == fingerprint(prepare(device="cpu", threads=1))
    assert now["threads"] == 1
    assert now["cpu_capability"] in ("DEFAULT", "AVX2", "AVX512", "SVE256")
    assert now["cpu"]
    assert now["cpu_extensions"] == sorted(now["cpu_extensions"])


def test_variables_that_choose_other_kernels_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = prepare(device="cpu", threads=1)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    before = fingerprint(machine)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert differences(before, fingerprint(machine)) == ["ONEDNN_MAX_CPU_ISA none → AVX2"]


@pytest.mark.parametrize("chosen", ["", ":0:0"])
def test_a_workspace_with_which_cublas_is_not_reproducible_is_refused(
    monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", chosen)
    with pytest.raises(
        ConfigError, match=r"--deterministic: CUBLAS_WORKSPACE_CONFIG is .*; set it to :4096:8, or give"
    ):
        check_cublas()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    check_cublas()


def test_the_trainer_sets_the_workspace_before_torch_is_imported(tmp_path: Path) -> None:
    """cuBLAS reads it once, when CUDA starts, which can't be before torch is there."""
    code = (
        "import os, sys; from trainer import run; kept = run.importlib.import_module\n"
        "def load(name, package=None):\n"
        "    if name != 'trainer.pretrain': return kept(name, package)\n"
        "    print('torch' in sys.modules, os.environ.get('CUBLAS_WORKSPACE_CONFIG')); raise SystemExit\n"
        "run.importlib.import_module = load\n"
        f"run.main(['--runs-dir', {str(tmp_path)!r}, '--dataset', 'shapes', '--device', 'cpu'])\n"
    )
    bare = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=bare)
    assert done.stdout.splitlines()[-1] == "False :4096:8", done.stderr


def make_job(store: RunStore, runs: Path, before: dict[str, object] | None) -> Job:
    """A run that began with another fingerprint."""
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    if before is not None:
        store.update_run(run_id, fingerprint=json.dumps(before))
    return Job(store.run(run_id), store, runs, Control(store, run_id), LineReporter())


def test_another_library_is_told_and_recorded_with_its_step_and_the_run_goes_on(store: RunStore, runs: Path) -> None:
    machine = prepare(device="cpu", threads=1)
    job = make_job(store, runs, fingerprint(machine) | {"torch": "2.11.0"})
    store.append(job.run.id, [step_row(step) for step in range(1, 48)])
    exactness = _record_exactness(job, machine, 10, "eager")
    words = f"torch 2.11.0 → {torch.__version__}"
    run = store.run(job.run.id)
    assert run.exactness == f"not promised: from step 11 on {words}"
    assert run.fingerprint is not None
    assert Exactness.from_json(run.fingerprint) == exactness
    assert exactness.doubt(47, resumed_after=10) == words
    event = store.events(run_id=job.run.id)[-1]
    assert (event.kind, event.level, event.step) == ("exactness", "warning", 10)
    assert words in event.message
    again = dataclasses.replace(job, run=run)
    assert _record_exactness(again, machine, 10, "eager") == exactness
    assert store.events(run_id=job.run.id)[-1] == event


def test_what_a_run_with_steps_behind_it_ran_on_is_not_made_up(store: RunStore, runs: Path) -> None:
    machine = prepare(device="cpu", threads=1)
    assert _record_exactness(make_job(store, runs, None), machine, 0, "eager").verdict() == "promised"
    rebuilt = _record_exactness(make_job(store, runs, None), machine, 120, "eager")
    assert rebuilt.verdict() == "not promised: from step 121 on what it ran on before is not recorded"
    fork = make_job(store, runs, None)
    store.update_run(fork.run.id, parent_run_id="parent", parent_step=120)
    fork = dataclasses.replace(fork, run=store.run(fork.run.id))
    assert _record_exactness(fork, machine, 120, "eager").verdict() == "promised"


def test_a_run_does_not_wander_from_a_gpu_that_is_gone_to_the_cpu_by_itself(store: RunStore, runs: Path) -> None:
    machine = prepare(device="cpu", threads=1)
    job = make_job(store, runs, fingerprint(machine) | {"cuda": "13.0", "device": "H100"})
    with pytest.raises(ConfigError, match="the GPU that a began on is not there; give --device cpu to go on so"):
        _refuse_another_kind_of_device(job, PretrainConfig(device="auto"), machine)
    _refuse_another_kind_of_device(job, PretrainConfig(device="cpu"), machine)
    _record_exactness(job, machine, 0, "eager")
    assert "device H100" in (store.run(job.run.id).exactness or "")


def test_the_device_may_be_changed_on_resume_and_the_number_of_threads_may_not() -> None:
    config = PretrainConfig()
    assert dataclasses.replace(config, device="cpu").digest() == config.digest()
    assert dataclasses.replace(config, threads=7).digest() != config.digest()


def test_what_was_needed_for_a_moment_is_given_back_to_the_system() -> None:
    """In a process of its own, which is told to keep freed pages as a trainer is."""
    code = (
        "import torch; from trainer.device import PageReturner, prepare; prepare(device='cpu', threads=1);"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20;"
        "held = [torch.ones(2**20) for _ in range(200)]; last = torch.ones(2**18); high = rss(); del held;"
        "kept = rss(); PageReturner()(); print(high, kept, rss())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    high, kept, after = map(float, done.stdout.split())
    assert kept > high - 50, "the control: without it the pages stay"
    assert after < high - 700
