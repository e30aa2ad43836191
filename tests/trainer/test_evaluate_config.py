"""The settings of an evaluation."""

import json
from typing import Any

import pytest

from trainer.errors import ConfigError, ExitCode
from trainer.evaluate_config import WAYS, EvaluateConfig
from trainer.settings import fields_of

BY_NAME = {field.name: field for field in fields_of(EvaluateConfig)}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"device": "gpu"}, "--device: 'gpu' is not known; choose auto, next, cpu, cuda or cuda:N"),
        ({"dataset": "mnist"}, "--dataset: 'mnist' is not known; choose stl10, cifar10, shapes, folder:PATH"),
        ({"labels_per_class": "0,10"}, "--labels-per-class: '0,10' must grow from 1 on; write 10,50,500"),
        ({"labels_per_class": "50,10"}, "--labels-per-class: '50,10' must grow from 1 on; write 10,50,500"),
        ({"labels_per_class": "10,10"}, "--labels-per-class: '10,10' must grow from 1 on; write 10,50,500"),
        (
            {"labels_per_class": "10,many"},
            "--labels-per-class: '10,many' is not a list of whole numbers; write 10,50,500",
        ),
        ({"labels_per_class": "10,"}, "--labels-per-class: '10,' is not a list of whole numbers; write 10,50,500"),
        ({"fractions": ""}, "--fractions: '' must grow and lie above 0, to 100; write 1,10,100"),
        ({"fractions": "0,10"}, "--fractions: '0,10' must grow and lie above 0, to 100; write 1,10,100"),
        ({"fractions": "10,101"}, "--fractions: '10,101' must grow and lie above 0, to 100; write 1,10,100"),
        ({"fractions": "10,1"}, "--fractions: '10,1' must grow and lie above 0, to 100; write 1,10,100"),
        ({"fractions": "nan"}, "--fractions: 'nan' must grow and lie above 0, to 100; write 1,10,100"),
        ({"fractions": "1,ten"}, "--fractions: '1,ten' is not a list of numbers; write 1,10,100"),
    ],
)
def test_settings_that_can_not_be_are_refused_in_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EvaluateConfig(**settings)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == ExitCode.USAGE


def test_lists_become_numbers() -> None:
    assert EvaluateConfig(what="labels", labels_per_class=" 10, 50,500").label_counts == (10, 50, 500)
    fractions = EvaluateConfig(what="finetune", fractions="0.5, 1,100 ").label_fractions
    assert fractions == pytest.approx((0.005, 0.01, 1.0))
    assert EvaluateConfig().label_counts == ()
    assert EvaluateConfig().label_fractions == pytest.approx((0.01, 0.1, 1.0))


def test_the_ways_are_those_of_the_setting() -> None:
    assert BY_NAME["what"].choices == WAYS
    assert EvaluateConfig().what == "layers"


def test_an_empty_data_set_is_the_runs_own() -> None:
    assert EvaluateConfig().dataset == ""
    assert EvaluateConfig(dataset="folder:/x").dataset == "folder:/x"


def test_an_evaluation_of_an_older_version_is_the_one_that_it_was() -> None:
    stored = {"baselines": False, "device": "auto", "run": "abcdefghij", "step": 12, "threads": 3}
    config = EvaluateConfig.from_json(json.dumps(stored | {"tutorial_probe": True}))
    assert config == EvaluateConfig(**stored, tutorial_probe=True)  # type: ignore[arg-type]
    assert config.what == "layers"
    assert EvaluateConfig.from_json(config.to_json()) == config


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="--temperature: no such setting"):
        EvaluateConfig.from_values({"temperature": 0.5})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seeds": 3}, "--seeds: belongs to --what labels; leave it out, or ask for that"),
        ({"what": "map", "tutorial_probe": True}, "--tutorial-probe: belongs to --what layers"),
        ({"what": "labels", "projection": "pca"}, "--projection: belongs to --what map"),
        ({"limit_per_class": 3}, "--limit-per-class: limits another --dataset"),
    ],
)
def test_what_would_be_ignored_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        EvaluateConfig(**settings)
