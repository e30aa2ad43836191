"""Tests of the trials of a benchmark."""

import json
import os

import pytest

from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.lab.notes import ADDED, ROWS
from trainer.lab.trials import current, plan, scaled, settled


def grid(vary: str, *, on_cuda: bool = True, **base: object) -> list[dict[str, object]]:
    """The settings of the trials of a grid."""
    return [trial.settings for trial in plan(BenchmarkConfig(vary=vary, base=json.dumps(base)), on_cuda=on_cuda)]


def test_the_first_trial_is_the_current_settings() -> None:
    config = BenchmarkConfig(vary="num_workers=0,4", base='{"num_workers": 3}')
    first = plan(config, on_cuda=True)[0]
    assert (first.number, first.settings) == (1, {})
    assert first.config(config.base_config) == config.base_config
    assert first.name == "3 workers"
    assert current(config) == 1


def test_every_combination_is_a_trial_and_the_current_one_is_not_tried_twice() -> None:
    assert grid("num_workers=2,4 cache=none,ram") == [
        {},
        {"cache": "none"},
        {"cache": "none", "num_workers": 4},
        {"num_workers": 4},
    ]


def test_combinations_that_mean_the_same_are_one_trial_and_told() -> None:
    trials = plan(BenchmarkConfig(vary="num_workers=0,2 persistent_workers=yes,no prefetch_factor=2,4"), on_cuda=True)
    without = [trial for trial in trials if trial.settings.get("num_workers") == 0]
    assert len(trials) == 5
    assert [trial.settings for trial in without] == [{"num_workers": 0}]
    assert len(without[0].same) == 3
    assert "num_workers=0 persistent_workers=no prefetch_factor=4" in without[0].same


def test_the_split_on_the_device_is_tried_once_whatever_the_workers() -> None:
    assert grid("cache=vram num_workers=0,2,8 pin_memory=yes,no") == [{}, {"cache": "vram"}]


def test_page_locked_memory_is_tried_on_cuda_alone() -> None:
    assert grid("pin_memory=yes,no") == [{}, {"pin_memory": False}]
    assert grid("pin_memory=yes,no", on_cuda=False) == [{}]


def test_values_that_auto_stands_for_are_not_tried_beside_it() -> None:
    assert grid("precision=float32,bfloat16", on_cuda=False) == [{}, {"precision": "bfloat16"}]
    assert grid("precision=float32,bfloat16") == [{}, {"precision": "float32"}, {"precision": "bfloat16"}]


def test_a_combination_that_does_not_go_together_is_a_trial_with_its_reason() -> None:
    trials = plan(BenchmarkConfig(vary="augment=kornia,torchvision cache=ram,vram"), on_cuda=True)
    refused = [trial for trial in trials if trial.error]
    assert len(trials) == 4
    assert [trial.settings for trial in refused] == [{"augment": "torchvision", "cache": "vram"}]
    assert "vram needs --augment kornia or fused" in str(refused[0].error)
    with pytest.raises(ConfigError):
        refused[0].config(PretrainConfig())


@pytest.mark.parametrize("on_cuda", [True, False])
def test_names_are_short_and_tell_trials_apart(on_cuda: bool) -> None:
    vary = "num_workers=0,2,4 pin_memory=yes,no cache=none,vram persistent_workers=yes,no augment=torchvision,fused"
    names = [trial.name for trial in plan(BenchmarkConfig(vary=vary), on_cuda=on_cuda)]
    assert len(set(names)) == len(names)
    assert "fused · vram" in names
    assert all("batch" not in name for name in names)


def test_a_wrong_word_ends_the_planning() -> None:
    with pytest.raises(ConfigError, match="--vary"):
        plan(BenchmarkConfig(vary="epochs=1,2"), on_cuda=True)


def test_without_a_word_workers_and_caches_are_tried() -> None:
    settings = grid("")
    assert settings[0] == {}
    assert {"cache": "vram"} in settings
    assert {"num_workers": 0} in settings


def test_what_is_settled_stays_the_same_where_there_are_other_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    config = BenchmarkConfig(auto=True, budget_minutes=1)
    here, written = plan(config, on_cuda=True), settled(config)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(48)))
    assert plan(config, on_cuda=True) != here
    assert plan(written, on_cuda=True) == here
    assert settled(written) == written


def test_the_notes_preset_is_their_rows_and_the_three_that_they_lack() -> None:
    config = BenchmarkConfig(preset="notes")
    trials = plan(config, on_cuda=True)
    assert [trial.note for trial in trials] == [*ROWS, *ADDED]
    assert [trial.number for trial in trials] == list(range(1, 18))
    assert trials[current(config) - 1].name == "kornia · 3 workers · persistent · pinned"
    for trial in trials:
        made = trial.config(config.base_config)
        assert all(getattr(made, name) == value for name, value in trial.settings.items())


def test_the_notes_batches_shrink_with_the_scale_and_their_names_say_so() -> None:
    config = BenchmarkConfig(preset="notes", scale=0.25)
    by_number = {trial.number: trial for trial in plan(config, on_cuda=True)}
    assert by_number[9].settings["batch_size"] == 64
    assert by_number[14].settings["batch_size"] == 192
    assert "batch 192" in by_number[14].name
    assert scaled(config.base_config, config.scale).batch_size == by_number[9].settings["batch_size"]


def test_batches_that_are_varied_are_compared_with_the_scaled_one() -> None:
    trials = plan(BenchmarkConfig(vary="batch_size=256,512", scale=0.25), on_cuda=True)
    assert [trial.settings for trial in trials] == [{}, {"batch_size": 128}]
    assert [trial.name for trial in trials] == ["batch 64", "batch 128"]
