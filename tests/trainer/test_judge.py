"""Each rule on what it is for and on a healthy control, with figures of runs that were really trained."""

import dataclasses
import math
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.health_runs import MeasuredRun, measured_runs
from trainer import judge as rules
from trainer.clock import RunClock
from trainer.config import PretrainConfig
from trainer.data import shapes
from trainer.device import prepare
from trainer.facts import Facts
from trainer.features import evaluation_mode
from trainer.health import FIGURES, measure
from trainer.judge import LEVELS, RULES, Verdict, judge
from trainer.loader import ViewLoader
from trainer.model import build_model
from trainer.optim import build_optimizer
from trainer.step import TrainState, train_step

PAGE = Path(__file__).parents[2] / "docs" / "health.md"
RUNS = measured_runs()
HEALTHY = [run for run in RUNS.values() if run.kind == "healthy"]
COLLAPSED = [run for run in RUNS.values() if run.kind in ("learning rate × 100", "no negatives", "constant images")]
WELL = RUNS["photos-0"].facts(8)
"""A run that learns, to be made sick one fact at a time."""


def with_(**facts: Any) -> Verdict:
    """The verdict on the healthy run with some facts replaced."""
    return judge(dataclasses.replace(WELL, **facts))


def figures(**changed: float) -> list[dict[str, float]]:
    """Two measured epochs of the healthy run with some figures replaced."""
    return [{**WELL.health[-1], **changed}] * 2  # type: ignore[dict-item]


@pytest.mark.parametrize("run", HEALTHY, ids=lambda run: run.name)
def test_a_healthy_run_is_never_warned_of_at_any_epoch(run: MeasuredRun) -> None:
    for closed in range(run.epochs + 1):
        assert judge(run.facts(closed)).level in ("good", "unsure"), closed


@pytest.mark.parametrize("run", COLLAPSED, ids=lambda run: run.name)
def test_a_run_made_sick_is_called_collapsed_from_the_first_step_that_counts(run: MeasuredRun) -> None:
    for closed in range(run.epochs + 1):
        facts = run.facts(closed)
        verdict = judge(facts)
        if facts.steps >= rules.EARLY_STEPS and closed >= rules.MEASURED:
            assert (verdict.level, verdict.rule) == ("sick", "collapse-z"), closed
        else:
            assert verdict.rule == "too-early", closed


def test_a_learning_rate_that_is_only_too_high_is_no_collapse() -> None:
    """Its z has few directions, though more than a collapsed one, and its h as many as it began with."""
    run = RUNS["photos-1-lr10"]
    assert max(float(row["rank_z"]) for row in run.rows[1:]) < 6
    assert {judge(run.facts(closed)).level for closed in range(run.epochs + 1)} == {"unsure", "good"}


def test_the_names_say_what_is_wrong_and_what_to_do() -> None:
    assert judge(RUNS["photos-0"].facts(8)).words == "learned normally"
    assert judge(RUNS["photos-0"].facts(7)).words == "learning normally"
    words = judge(RUNS["photos-0-lr100"].facts(8)).words
    assert words == "collapsed: z has rank 2.3 of 128; lower --learning-rate"
    words = judge(RUNS["photos-0-noneg"].facts(8)).words
    assert words == "collapsed: all z are nearly equal (std 0.02 of 1); give --negatives"


def test_images_that_look_the_same_to_the_untrained_network_are_told_before_the_first_step() -> None:
    assert judge(RUNS["photos-0-black"].facts(0)).rule == "constant-images"


@pytest.mark.parametrize("name", ["photos-0-noaug", "photos-0-shared"])
def test_what_the_figures_cannot_show_is_told_by_a_fact_of_its_own(name: str) -> None:
    """A task that is trivial is learnt splendidly, so its figures are healthy."""
    facts = RUNS[name].facts(5)
    assert judge(facts).level == "good"
    assert judge(dataclasses.replace(facts, views_identical=1.0)).rule == "identical-views"
    assert judge(dataclasses.replace(facts, parameters_shared=True)).rule == "shared-parameters"


@pytest.mark.parametrize(
    "facts",
    [
        {"is_finite": False},
        {"losses": [4.5, math.nan]},
        {"recent_loss": math.inf},
        {"health": [dict.fromkeys(FIGURES, math.nan)]},
    ],
)
def test_a_number_that_is_none_is_sick_from_the_first_step_on(facts: dict[str, Any]) -> None:
    verdict = with_(steps=1, **facts)
    assert (verdict.level, verdict.rule) == ("sick", "non-finite")
    assert with_(is_finite=True).rule == "normal"


@pytest.mark.parametrize(("share", "level"), [(1 / 512, "sick"), (0.3, "warning"), (0.98, "good"), (1.0, "good")])
def test_images_must_differ(share: float, level: str) -> None:
    verdict = with_(images_distinct=share)
    assert verdict.level == level
    assert (verdict.rule == "constant-images") == (level != "good")


@pytest.mark.parametrize(("share", "level"), [(1.0, "sick"), (0.5, "warning"), (0.02, "good")])
def test_the_two_views_of_an_image_must_differ(share: float, level: str) -> None:
    verdict = with_(views_identical=share)
    assert verdict.level == level
    assert (verdict.rule == "identical-views") == (level != "good")


def test_images_of_a_batch_must_be_augmented_each_in_its_own_way() -> None:
    assert with_(parameters_shared=True).rule == "shared-parameters"
    assert with_(parameters_shared=False).rule == "normal"


def test_a_classifier_has_no_views_to_compare() -> None:
    facts = dataclasses.replace(RUNS["photos-0-ce"].facts(8), views_identical=1.0, parameters_shared=True)
    assert judge(facts).level == "good"


@pytest.mark.parametrize("dead", [{"spread_h": 1e-4}, {"rank_h": 1.2}, {"rank_h": 0.0, "rank_z": 0.0, "spread_h": 0.0}])
def test_an_encoder_that_tells_no_images_apart_is_sick(dead: dict[str, float]) -> None:
    verdict = with_(health=figures(**dead))
    assert (verdict.level, verdict.rule) == ("sick", "collapse-h")
    assert with_(health=[*figures(**dead), *figures()[:1]]).rule == "normal"


def test_labels_may_leave_h_one_direction() -> None:
    line = figures(rank_h=1.2)
    assert with_(method="supcon", classes=2, health=line).rule == "normal"
    assert judge(dataclasses.replace(RUNS["photos-0-ce"].facts(8), health=line)).level == "good"
    assert with_(method="cross-entropy", health=figures(spread_h=0.0)).rule == "collapse-h"


@pytest.mark.parametrize("collapsed", [{"rank_z": 2.2, "rank_h": 12.0}, {"std_z": 0.03}])
def test_a_collapse_must_have_been_measured_twice_in_a_row(collapsed: dict[str, float]) -> None:
    well, sick = figures()[0], figures(**collapsed)[0]
    assert with_(health=[well, sick, sick]).rule == "collapse-z"
    assert with_(health=[well, sick]).rule == "normal"
    assert with_(health=[sick, sick, well]).rule == "normal"
    assert with_(health=[sick]).rule == "normal"
    assert with_(health=[sick, sick], steps=rules.EARLY_STEPS - 1).rule == "too-early"


def test_embeddings_that_began_bunched_and_stay_so_have_not_collapsed() -> None:
    """A learning rate that is far too small leaves the untrained network's z, which is bunched too."""
    began = {**WELL.untrained, "std_z": 0.08}  # type: ignore[dict-item]
    assert with_(untrained=began, health=figures(std_z=0.08)).rule == "normal"
    assert with_(untrained=began, health=figures(std_z=0.03)).rule == "collapse-z"
    assert with_(untrained=None, health=figures(std_z=0.03)).rule == "normal"


def test_few_directions_are_a_collapse_only_where_h_gained_none_either() -> None:
    """Simple images leave z few directions in health, yet the encoder tells more apart than it began with."""
    few = {"rank_z": 2.5, "rank_h": 15.0}
    assert WELL.untrained_figure("rank_h") == 16.21
    assert with_(health=figures(**few)).rule == "collapse-z"
    assert with_(health=figures(**few | {"rank_h": 18.0})).rule == "normal"
    assert with_(health=figures(**few), untrained=None).rule == "normal"


def test_a_rank_that_began_low_has_not_collapsed() -> None:
    began = {**WELL.untrained, "rank_z": 3.0}  # type: ignore[dict-item]
    assert with_(untrained=began, health=figures(rank_z=2.5, rank_h=12.0)).rule == "normal"
    assert with_(untrained=began, health=figures(rank_z=1.5, rank_h=12.0)).rule == "collapse-z"


@pytest.mark.parametrize("small", [{"projection_size": 8}, {"health_images": 9}])
def test_a_rank_is_low_only_where_it_could_be_high(small: dict[str, int]) -> None:
    assert with_(health=figures(rank_z=3.0, rank_h=12.0), **small).rule == "normal"
    assert with_(health=figures(rank_z=2.2, rank_h=12.0), **small).rule == "collapse-z"


def test_supcon_may_have_as_few_directions_as_there_are_classes_less_one() -> None:
    for classes, rank in ((10, 9.0), (10, 3.0), (3, 2.0), (2, 1.0)):
        few = figures(rank_z=rank, rank_h=12.0)
        assert with_(method="supcon", classes=classes, health=few).level == "good", classes
    assert with_(method="simclr", health=figures(rank_z=3.0, rank_h=12.0)).rule == "collapse-z"
    gone = figures(rank_z=1.5, rank_h=12.0)
    assert with_(method="supcon", classes=10, health=gone).rule == "collapse-z"
    assert with_(method="supcon", classes=None, health=gone).rule == "normal"


def test_supcon_may_wait_in_one_point_before_it_leaves_chance() -> None:
    assert with_(method="supcon", health=figures(std_z=0.06)).level in ("good", "unsure")
    assert with_(method="simclr", health=figures(std_z=0.06)).rule == "collapse-z"


def test_a_loss_that_does_not_leave_chance_is_told_after_a_while() -> None:
    chance = math.log(127)
    still = {"losses": [chance] * 3, "acc_top1": 1 / 127}
    assert with_(**still, steps=rules.STUCK_STEPS).rule == "stuck-at-chance"
    assert with_(**still, steps=rules.STUCK_STEPS - 1).rule == "near-chance"
    assert with_(**(still | {"losses": [chance] * 2}), steps=1000).rule == "near-chance"
    assert with_(**(still | {"acc_top1": 0.2}), steps=1000).rule == "near-chance"


def test_a_loss_that_falls_slowly_is_not_stuck() -> None:
    chance = math.log(127)
    slow, stuck = ([chance - fall * epoch for epoch in range(1, 4)] for fall in (0.02, 0.002))
    assert with_(losses=slow, acc_top1=1 / 127, steps=1000).rule == "near-chance"
    assert with_(losses=stuck, acc_top1=1 / 127, steps=1000).rule == "stuck-at-chance"


def test_a_high_temperature_leaves_the_loss_near_chance_in_health() -> None:
    """At T 2 the loss of a perfect batch is 4.35, nine tenths of chance."""
    assert with_(temperature=2.0, losses=[4.6, 4.5, 4.4]).rule == "normal"
    assert with_(temperature=0.07, losses=[4.84, 4.8, 4.75]).rule == "near-chance"


def test_a_loss_that_rises_over_three_epochs_is_told() -> None:
    low = [3.6, 3.5, 3.4]
    assert with_(losses=[*low, 4.1, 4.1, 4.2]).rule == "loss-rising"
    assert with_(losses=[*low, 4.1, 3.6, 4.2]).rule == "normal"
    assert with_(losses=[*low, 3.6, 3.7, 3.8]).rule == "normal"
    assert with_(losses=[*low, 4.1, 4.2]).rule == "normal"


def test_one_lucky_epoch_is_no_best_to_rise_from() -> None:
    """A few batches an epoch make a noisy loss, whose lowest value lies ever further below all others."""
    assert with_(losses=[4.0, 3.4, 4.0, 4.0, 4.0, 4.0]).rule == "normal"
    assert with_(losses=[3.4, 3.4, 3.4, 4.0, 4.0, 4.0]).rule == "loss-rising"


def test_knn_that_fell_is_told_where_it_is_more_than_the_noise_of_its_queries() -> None:
    fell: Sequence[float | None] = [0.5, 0.6, None, 0.5, 0.5, 0.49]
    assert with_(knn_top1=fell, knn_queries=1000).rule == "knn-falling"
    assert with_(knn_top1=fell, knn_queries=100).rule == "normal"
    assert with_(knn_top1=fell).rule == "normal"
    assert with_(knn_top1=[0.5, 0.6, 0.5, 0.5], knn_queries=1000).rule == "normal"
    assert with_(knn_top1=[0.5, 0.6, 0.5, 0.58, 0.49], knn_queries=1000).rule == "normal"


def test_overfitting_is_a_loss_that_falls_beside_a_val_loss_that_rises() -> None:
    falls, rises = [3.5, 3.2, 2.9, 2.6, 2.3, 2.0], [3.2, 3.1, 3.0, 3.7, 3.8, 3.9]
    assert with_(losses=falls, val_losses=rises).rule == "overfitting"
    assert with_(losses=falls, val_losses=falls).rule == "normal"
    assert with_(losses=[3.5, 3.2, 2.9, 2.9, 2.9, 2.9], val_losses=rises).rule == "normal"
    assert with_(losses=falls, val_losses=[3.2, 3.1, 3.0, None, 3.8, 3.9]).rule == "normal"


def test_a_classifiers_val_loss_may_rise_with_its_confidence() -> None:
    classifier = {"method": "cross-entropy", "loss_chance": math.log(10), "losses": [1.5, 1.2, 1.0, 0.5, 0.2, 0.1]}
    assert with_(**classifier, val_losses=[1.4, 1.1, 1.1, 1.6, 1.7, 1.8]).rule == "normal"
    assert with_(**classifier, val_losses=[1.4, 1.1, 1.1, 2.6, 2.7, 2.8]).rule == "overfitting"


@pytest.mark.parametrize(("waiting", "rule"), [(0.05, "normal"), (0.35, "starvation")])
def test_waiting_for_images_is_told(waiting: float, rule: str) -> None:
    assert with_(waiting=waiting).rule == rule
    assert with_(waiting=waiting, steps=10).rule == "too-early"


def test_nothing_is_said_too_early() -> None:
    assert judge(Facts()) == Verdict(level="unsure", words="too early to say, after 0 steps", rule="too-early")
    assert with_(steps=10, losses=[]).words == "too early to say, after 10 steps"


def test_within_the_first_epoch_the_latest_steps_are_judged() -> None:
    first = {"epoch": 0, "losses": [], "val_losses": [], "health": [], "acc_top1": None, "steps": 300}
    assert with_(**first, recent_loss=None).rule == "too-early"
    assert with_(**first, recent_loss=4.8).rule == "near-chance"
    assert with_(**first, recent_loss=4.0).words == "learning normally"


def test_a_probe_that_knows_its_own_images_by_heart_is_no_sickness() -> None:
    verdict = with_(probe_train=1.0, probe_test=0.55)
    assert (verdict.level, verdict.rule) == ("good", "probe-overfits")
    assert with_(probe_train=0.7, probe_test=0.55).rule == "normal"


SICKNESSES: dict[str, dict[str, Any]] = {
    "non-finite": {"is_finite": False},
    "constant-images": {"images_distinct": 0.01},
    "shared-parameters": {"parameters_shared": True},
    "identical-views": {"views_identical": 1.0},
    "collapse-h": {"health": figures(rank_h=0.0, spread_h=0.0, rank_z=0.0, std_z=0.0)},
    "collapse-z": {"health": figures(rank_z=1.0, rank_h=5.0, std_z=0.01)},
    "stuck-at-chance": {"losses": [math.log(127)] * 8, "acc_top1": 0.008, "steps": 1000},
    "loss-rising": {"losses": [3.0] * 4 + [3.8] * 4},
    "knn-falling": {"knn_top1": [0.5, 0.2, 0.2, 0.2], "knn_queries": 1000},
    "overfitting": {"val_losses": [3.0] * 4 + [3.8] * 4, "losses": [5 - 0.5 * epoch for epoch in range(8)]},
    "starvation": {"waiting": 0.5},
    "near-chance": {"losses": [math.log(127)], "acc_top1": 0.1},
    "probe-overfits": {"probe_train": 1.0, "probe_test": 0.5},
    "normal": {},
}
"""By rule, the gravest first; `too-early` stands apart, since it silences others."""


@pytest.mark.parametrize("rule", SICKNESSES)
def test_where_several_rules_speak_the_gravest_is_the_sentence(rule: str) -> None:
    names = list(SICKNESSES)
    for other in names[names.index(rule) :]:
        if not SICKNESSES[rule].keys() & SICKNESSES[other].keys():
            assert with_(**SICKNESSES[other], **SICKNESSES[rule]).rule == rule, other


def test_the_verdict_is_as_grave_as_the_gravest_rule() -> None:
    ill = dataclasses.replace(WELL, images_distinct=0.3, parameters_shared=True, waiting=0.5)
    assert next(said.rule for rule in RULES if (said := rule(ill))) == "constant-images"
    assert judge(ill).rule == "shared-parameters"


def test_every_rule_can_be_reached_and_is_explained_in_the_page() -> None:
    headings = set(re.findall(r"^### (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    reached = {with_(**facts).rule for facts in SICKNESSES.values()} | {judge(Facts()).rule}
    assert reached == headings
    assert len(reached) == len(RULES)


def test_every_figure_is_explained_in_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in FIGURES:
        assert f"`{name}`" in page, name


def test_the_page_names_each_threshold_as_it_is() -> None:
    told = dict(re.findall(r"`([A-Z][A-Z0-9_]+)` = ([\d./]*\d)", PAGE.read_text(encoding="utf-8")))
    constants = {
        name: value for name, value in vars(rules).items() if isinstance(value, int | float) and name.isupper()
    }
    assert {name: _number(text) for name, text in told.items()} == constants


def test_the_page_holds_the_measured_figures_of_each_run() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows if name in RUNS}
    assert told.keys() == RUNS.keys()
    for name, run in RUNS.items():
        first, last, verdict = run.rows[0], run.rows[-1], judge(run.facts(run.epochs))
        expected = [run.kind, *(f"{float(first[figure]):.3g}" for figure in ("rank_z", "std_z"))]
        expected += [f"{float(last[figure]):.3g}" for figure in ("rank_z", "std_z", "rank_h", "spread_h", "loss")]
        assert told[name] == [*expected, verdict.rule], name


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _anything(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, absurd ones included."""
    number = st.floats() | st.sampled_from([0.0, 1.0, 4.844, 5e-324, 1e308])
    if kind in (int, float):
        return st.integers(-3, 10**6) if kind is int else number
    if kind is bool:
        return st.booleans()
    if kind is type(None):
        return st.none()
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if typing.get_origin(kind) is Sequence:
        return st.lists(_anything(typing.get_args(kind)[0]), max_size=6)
    if "Mapping" in str(typing.get_origin(kind)):
        return st.dictionaries(st.sampled_from(FIGURES), st.none() | number, max_size=9)
    return st.one_of([_anything(part) for part in typing.get_args(kind)])


FIELDS = typing.get_type_hints(Facts)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: _anything(kind) for name, kind in FIELDS.items()}))
def test_whatever_is_known_there_is_a_sentence_that_fits_a_line(values: dict[str, Any]) -> None:
    verdict = judge(Facts(**values))
    assert verdict.level in LEVELS
    assert verdict.words
    assert "\n" not in verdict.words


@settings(max_examples=200, deadline=None)
@given(st.sets(st.sampled_from(sorted(FIELDS))))
def test_to_know_less_never_makes_a_healthy_run_sick(unknown: set[str]) -> None:
    empty = {name: getattr(Facts(), name) for name in unknown}
    assert judge(dataclasses.replace(WELL, **empty)).level in ("good", "unsure")


@pytest.mark.parametrize("rule", SICKNESSES)
def test_every_sentence_fits_beside_nothing_else_on_80_columns(rule: str) -> None:
    words = with_(**SICKNESSES[rule]).words
    assert len(words) <= 75
    assert not words.endswith(".")


BATCH, STEPS_PER_EPOCH, IMAGES = 8, 26, 96


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({}, "normal"),
        ({"learning_rate": 0.1}, "collapse-z"),
        ({"negatives": False}, "collapse-z"),
    ],
    ids=["healthy", "learning rate × 100", "no negatives"],
)
def test_a_run_trained_here_and_now_is_judged_for_what_it_is(changed: dict[str, Any], rule: str) -> None:
    """The least that can be judged: two epochs, just long enough not to be too early."""
    settings_ = {"dataset": "shapes", "image_size": 16, "backbone": "resnet-narrow", "batch_size": BATCH}
    settings_ |= {"temperature": 0.2, "learning_rate": 1e-3, "crop_scale_min": 0.5, "cache": "vram", "threads": 1}
    config = PretrainConfig(**(settings_ | changed))  # type: ignore[arg-type]
    machine = prepare(device="cpu", threads=1)
    images = shapes.open_split("train", config.image_size, per_class=21).first(BATCH * STEPS_PER_EPOCH).images
    loader = ViewLoader(images, config, machine, workers=0)
    views = loader.views(next(iter(loader.fixed_views(IMAGES, drop_last=True))))
    state = TrainState(model := build_model(config), build_optimizer(model, config), RunClock(), data="")

    def look() -> dict[str, float]:
        with evaluation_mode(model):
            layers = model.layers(views)
        return measure(layers["h"], layers["z"])

    untrained, health, losses = look(), [], []
    for epoch in (1, 2):
        steps = [train_step(state, loader.views(b), config.learning_rate, config, machine) for b in loader.epoch(epoch)]
        losses.append(float(torch.stack(steps)[:, 0].mean()))
        health.append(look())
    facts = Facts(
        method=config.method,
        negatives=config.negatives,
        steps=2 * STEPS_PER_EPOCH,
        temperature=config.temperature,
        projection_size=config.projection_size,
        feature_size=model.feature_size,
        losses=losses,
        loss_chance=math.log(2 * BATCH - 1),
        health=health,
        untrained=untrained,
        health_images=IMAGES,
    )
    assert judge(facts).rule == rule, [{name: f[name] for name in ("rank_z", "std_z", "rank_h")} for f in health]
