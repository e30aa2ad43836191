"""Table, chart and file of the curve: means, intervals and the supervised runs beside them."""

import csv
import dataclasses
import io
import statistics
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.trainer.evaluation.subjects import CONFIG, colours, make_subject
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation.label_results import COLUMNS, as_csv, curves_of, show, supervised_baselines, table
from trainer.evaluation.subject import Subject
from trainer.evaluation.subsets import made_before
from trainer.store import RunStore

DRAWS = {(10, seed): 0.5 + 0.01 * seed**2 for seed in range(5)} | {(20, 0): 0.7}


@pytest.fixture
def subject(store: RunStore) -> Subject:
    """A job that has put five draws of 10 labels per class, one of 20, and two folds of 15."""
    split = colours("train", (20, 20, 20))
    made = make_subject(store, EvaluateConfig(what="labels"), train=split, test=split)
    row = {"layer": "h", "protocol": "linear", "top5": 1.0, "images": 60, "c": 1e-05}
    rows = [row | {"labels_per_class": count, "seed": seed, "top1": top1} for (count, seed), top1 in DRAWS.items()]
    rows += [row | {"protocol": "linear-folds", "labels_per_class": 15, "seed": n, "top1": 0.6} for n in range(2)]
    made.put([*rows, row | {"layer": "untrained", "protocol": "knn", "labels_per_class": 20, "seed": 0, "top1": 1 / 3}])
    return made


def supervised(store: RunStore, name: str, top1: float, *, step: int = 5, dataset: str = "", **settings: Any) -> str:
    """A cross-entropy run with the accuracy of its own classifier."""
    config = dataclasses.replace(CONFIG, method="cross-entropy", **settings)
    run_id = store.create_run(kind=config.kind, name=name, config=config.to_json())
    row = {"step": step, "dataset": dataset, "protocol": "classifier", "layer": "logits", "labels_per_class": 0}
    store.put_evaluations(run_id, [row | {"seed": 0, "top1": top1, "top5": 1.0, "images": 60, "job_id": run_id}])
    return run_id


def printed(subject: Subject) -> str:
    """The table as text."""
    rows = made_before(subject)
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(table(subject, curves_of(rows), supervised_baselines(subject)))
    return console.export_text()


def cells(text: str, start: str) -> list[str]:
    """The cells of the line that begins with these words."""
    line = next(line for line in text.splitlines() if line.startswith(f"│ {start}"))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_curve_has_the_mean_of_its_draws_with_the_interval_of_students_t(subject: Subject) -> None:
    curves = curves_of(made_before(subject))
    assert list(curves) == [("untrained", "knn"), ("h", "linear"), ("h", "linear-folds")]
    draws = [top1 for (count, _), top1 in DRAWS.items() if count == 10]
    ten = curves["h", "linear"][10]
    assert ten.mean == pytest.approx(statistics.mean(draws))
    assert ten.half_width == pytest.approx(2.776 * statistics.stdev(draws) / 5**0.5, rel=1e-3)
    assert curves["h", "linear"][20].half_width is None


def test_one_table_has_protocols_by_numbers_of_labels(subject: Subject) -> None:
    text = printed(subject)
    assert "shapes: accuracy on 60 test synthetic images by labels per class, %" in text
    header = next(line for line in text.splitlines() if "features" in line)
    assert [word for word in header.split() if word.isdigit()] == ["10", "15", "20"]
    assert cells(text, "h, the encoder    │ linear  ") == ["h, the encoder", "linear", "56.0 ± 8.2", "", "70.0"]
    assert cells(text, "h, the encoder    │ linear,")[2:] == ["", "60.0 ± 0.0", ""]
    assert cells(text, "untrained")[2:] == ["", "", "33.3"]


def test_supervised_runs_on_the_same_images_stand_beside(subject: Subject) -> None:
    store = subject.job.store
    supervised(store, "base [red]", 0.733, hold_out=0.25)
    name = "supervised resnet-narrow (run base [red])"
    assert [(one.words, one.labels_per_class, one.top1) for one in supervised_baselines(subject)] == [(name, 15, 0.733)]
    assert cells(printed(subject), "supervised") == [name, "supervised", "", "73.3", ""]


def test_a_supervised_runs_labels_are_those_that_it_did_not_hold_out(subject: Subject) -> None:
    supervised(subject.job.store, "all", 0.8, hold_out=0.0)
    supervised(subject.job.store, "half", 0.8, hold_out=0.5)
    supervised(subject.job.store, "few", 0.8, hold_out=0.0, limit_images=30)
    labels = {one.words.split()[-1]: one.labels_per_class for one in supervised_baselines(subject)}
    assert labels == {"all)": 20, "half)": 10, "few)": 10}


def test_a_supervised_runs_last_step_on_its_own_data_counts(subject: Subject) -> None:
    store = subject.job.store
    run_id = supervised(store, "base", 0.6)
    row = {"protocol": "classifier", "layer": "logits", "labels_per_class": 0, "seed": 0, "top5": 1.0, "images": 60}
    store.put_evaluations(run_id, [row | {"step": 9, "dataset": "", "top1": 0.7, "job_id": run_id}])
    store.put_evaluations(run_id, [row | {"step": 7, "dataset": "", "top1": 0.8, "job_id": run_id}])
    store.put_evaluations(run_id, [row | {"step": 11, "dataset": "cifar10", "top1": 0.9, "job_id": run_id}])
    assert [one.top1 for one in supervised_baselines(subject)] == [0.7]


@pytest.mark.parametrize(
    "other", [{"image_size": 32}, {"dataset": "cifar10"}, {"limit_per_class": 7}, {"limit_test_per_class": 7}]
)
def test_a_supervised_run_on_other_images_is_left_out(subject: Subject, other: dict[str, Any]) -> None:
    supervised(subject.job.store, "other", 0.9, **other)
    assert supervised_baselines(subject) == []


def test_a_run_that_has_not_been_scored_and_one_of_another_kind_are_left_out(subject: Subject) -> None:
    store = subject.job.store
    config = dataclasses.replace(CONFIG, method="cross-entropy")
    store.create_run(kind="supervised", name="unscored", config=config.to_json())
    store.create_run(kind="pretrain", name="simclr", config=PretrainConfig().to_json())
    assert supervised_baselines(subject) == []


def test_chart_and_file_are_announced_with_what_was_measured(subject: Subject) -> None:
    store = subject.job.store
    supervised(store, "base", 0.733)
    rows = made_before(subject)
    show(subject, rows)
    files = {Path(artifact.path).suffix: artifact for artifact in store.artifacts(subject.source_id)}
    assert {suffix: artifact.kind for suffix, artifact in files.items()} == {
        ".svg": "picture",
        ".png": "picture",
        ".csv": "table",
    }
    svg = (store.runs_path / files[".svg"].path).read_text(encoding="utf-8")
    words = " ".join(svg.split())
    for text in ("h, the encoder: linear", "labels per class", "supervised resnet-narrow"):
        assert text in words
    assert (store.runs_path / files[".png"].path).read_bytes().startswith(b"\x89PNG")
    with (store.runs_path / files[".csv"].path).open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(one["protocol"], int(one["labels_per_class"]), int(one["seed"]), float(one["top1"])) for one in read] == [
        (row.protocol, row.labels_per_class, row.seed, row.top1) for row in rows
    ]


def test_the_file_has_each_figure_in_full_and_nothing_for_what_there_is_not(subject: Subject) -> None:
    lines = as_csv(made_before(subject)).splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == 1 + len(DRAWS) + 3
    assert lines[-1] == "knn,untrained,20,0,0.3333333333333333,1.0,,1e-05,60,"
