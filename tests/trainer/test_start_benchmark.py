"""A new benchmark: what it takes from its settings, and what it settles."""

import json
import os
from pathlib import Path

import pytest

from trainer.benchmark_config import BenchmarkConfig
from trainer.errors import ConfigError, UsageError
from trainer.lab.trials import plan
from trainer.queue import device_setting
from trainer.start import available_cores, new_benchmark_run
from trainer.store import RunStore


def made(store: RunStore, config: BenchmarkConfig, name: str = "") -> tuple[str, BenchmarkConfig]:
    """The name and the settings of a new benchmark."""
    run = store.run(new_benchmark_run(store, config, name=name))
    assert run.kind == "benchmark"
    return run.name, BenchmarkConfig.from_json(run.config)


def test_paths_and_threads_hold_wherever_it_is_resumed(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    base = {"dataset": "folder:own", "data_dir": "data", "batch_size": 16}
    name, config = made(store, BenchmarkConfig(base=json.dumps(base), device="cpu"))
    assert name == "benchmark-own-resnet18"
    assert config.threads == available_cores()
    assert config.base_config.dataset == f"folder:{tmp_path}/own"
    assert config.base_config.data_dir == f"{tmp_path}/data"
    assert config.base_config.batch_size == 16
    assert json.loads(config.base).keys() == {"dataset", "data_dir", "batch_size", "threads"}


def test_what_is_tried_where_nobody_says_is_settled_too(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is resumed other cores may be at hand, and the rows that there are belong to these trials."""
    _, config = made(store, BenchmarkConfig(device="cpu"))
    here = plan(config, on_cuda=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(48)))
    assert plan(config, on_cuda=False) == here
    assert plan(BenchmarkConfig(device="cpu"), on_cuda=False) != here
    assert made(store, BenchmarkConfig(vary="cache=ram,none"))[1].vary == "cache=ram,none"
    assert made(store, BenchmarkConfig(preset="notes"))[1].vary == ""


def test_names_are_the_presets_or_a_persons_and_not_taken_twice(store: RunStore) -> None:
    notes = BenchmarkConfig(preset="notes")
    assert [made(store, notes)[0] for _ in range(2)] == ["benchmark-notes", "benchmark-notes-2"]
    assert made(store, notes, "mine")[0] == "mine"


def test_what_is_not_there_is_refused_and_makes_no_run(store: RunStore) -> None:
    with pytest.raises(ConfigError, match="/no/such/folder is not a folder"):
        new_benchmark_run(store, BenchmarkConfig(base=json.dumps({"dataset": "folder:/no/such/folder"})))
    with pytest.raises(UsageError, match="no run has the id or name 'nosuchrun0'"):
        new_benchmark_run(store, BenchmarkConfig(of="nosuchrun0"))
    assert store.runs() == []


def test_it_has_a_device_of_its_own_setting(store: RunStore) -> None:
    run_id = new_benchmark_run(store, BenchmarkConfig(base=json.dumps({"device": "cuda:3"}), device="cpu"))
    assert device_setting(store.run(run_id)) == "cpu"
