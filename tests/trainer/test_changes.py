"""Every setting has its rule, and the words about a change are what training would do."""

import dataclasses
import shlex
from typing import Any

import pytest

from trainer.changes import (
    RULES,
    Way,
    as_options,
    changed_results,
    changed_values,
    check_fork,
    described,
    rate_change,
    rule_of,
)
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.options import OptionParser, add_settings, given
from trainer.schedule import learning_rate
from trainer.settings import fields_of

CONFIG = PretrainConfig(dataset="shapes", epochs=500, threads=1)
OTHERS: dict[str, Any] = {
    "dataset": "cifar10",
    "milestones": "70,90",
    "backbone": "resnet50",
    "blur_kernel": 3,
    "ema_decay": 0.9,
}
"""Other values where adding something to the default gives none."""


def other_value(name: str) -> Any:
    """A value of a setting that is not that of CONFIG, and right."""
    field = next(field for field in fields_of(PretrainConfig) if field.name == name)
    value = getattr(CONFIG, name)
    if name in OTHERS:
        return OTHERS[name]
    if field.choices:
        return next(choice for choice in field.choices if choice != value)
    if field.kind is bool:
        return not value
    high = field.setting.high
    return field.kind(value - value / 2 if high is not None and value + 1 > high else value + 1)


def test_every_setting_that_can_change_a_result_has_a_rule_and_no_other_has() -> None:
    assert set(RULES) == {field.name for field in fields_of(PretrainConfig) if field.setting.results}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_forbids_says_why_and_one_that_allows_lets_pass(name: str) -> None:
    changed = dataclasses.replace(CONFIG, **{name: other_value(name)})
    rule = RULES[name]
    assert bool(rule.why) == (rule.way is not Way.ACCEPT)
    assert [field.name for field in changed_results(CONFIG, changed)] == [name]
    if rule.way in (Way.ACCEPT, Way.FORK):
        check_fork(CONFIG, changed, fresh_optimizer=False)
        return
    with pytest.raises(ConfigError) as caught:
        check_fork(CONFIG, changed, fresh_optimizer=False)
    assert caught.value.setting == name
    assert rule.why in str(caught.value)
    assert ("--fresh-optimizer" in str(caught.value)) == (rule.way is Way.OPTIMIZER)
    if rule.way is Way.OPTIMIZER:
        check_fork(CONFIG, changed, fresh_optimizer=True)
    else:
        with pytest.raises(ConfigError):
            check_fork(CONFIG, changed, fresh_optimizer=True)


@pytest.mark.parametrize("name", ["limit_images", "limit_per_class"])
def test_a_supervised_run_keeps_its_limits_or_its_held_out_images_would_be_seen(name: str) -> None:
    supervised = PretrainConfig(dataset="shapes", method="supcon", split="train")
    assert rule_of(name, supervised) == RULES["hold_out"]
    assert rule_of(name, dataclasses.replace(supervised, hold_out=0.0)) == RULES[name]
    assert rule_of(name, CONFIG) == RULES[name]


def test_a_folder_that_was_moved_is_no_change_of_the_images() -> None:
    here, there = (PretrainConfig(dataset=f"folder:/{place}") for place in ("here", "there"))
    assert changed_results(here, there) == []
    assert [field.name for field in changed_results(here, CONFIG)] == ["dataset", "threads"]


def test_what_has_its_value_already_is_no_change_and_threads_0_keeps_them() -> None:
    assert changed_values(CONFIG, {"epochs": 500, "threads": 0, "num_workers": 5}) == {"num_workers": 5}


@pytest.mark.parametrize(
    ("changes", "step"), [({"epochs": 800}, 4000), ({"learning_rate": 1e-4}, 17), ({"warmup_epochs": 20.0}, 0)]
)
def test_the_figures_of_a_changed_learning_rate_are_those_that_training_takes(
    changes: dict[str, Any], step: int
) -> None:
    after = dataclasses.replace(CONFIG, **changes)
    words = rate_change(CONFIG, after, step=step, steps_per_epoch=8)
    rates = [f"{learning_rate(step + 1, 8, config):.4g}" for config in (CONFIG, after)]
    assert f"the learning rate of step {step + 1:,} goes from {rates[0]} to {rates[1]}" in words
    assert ("the cosine is then one over 800 epochs instead of 500" in words) == ("epochs" in changes)


def test_nothing_is_said_of_a_learning_rate_that_stays() -> None:
    assert rate_change(CONFIG, dataclasses.replace(CONFIG, temperature=0.5), step=9, steps_per_epoch=8) == ""
    assert rate_change(CONFIG, dataclasses.replace(CONFIG, epochs=9), step=9, steps_per_epoch=None) == ""


@pytest.mark.parametrize("name", [name for name in RULES if name != "dataset"])
def test_the_options_that_a_sentence_proposes_give_the_setting_it_means(name: str) -> None:
    changed = dataclasses.replace(CONFIG, **{name: other_value(name)})
    parser = OptionParser()
    add_settings(parser, PretrainConfig)
    words = shlex.split(as_options(changed, changed_results(CONFIG, changed)))
    assert given(parser.parse_args(words), PretrainConfig) == {name: getattr(changed, name)}
    assert described(CONFIG, changed, [name]).startswith(f"{name} ")
