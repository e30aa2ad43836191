"""The job that measures invariance: what it writes, what it says, and how it goes on after a pause."""

import dataclasses
import sqlite3
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainer.evaluation.subjects import CONFIG, colours, make_subject
from trainer import control
from trainer.control import EndRequested
from trainer.errors import DataError, NonFiniteError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation import invariance, invariance_features
from trainer.evaluation.invariance_report import Figures, in_words
from trainer.evaluation.names import AUGMENTATIONS, TELLS, VARIES
from trainer.evaluation.subject import Subject
from trainer.report import LineReporter
from trainer.store import RunStore

WISH = EvaluateConfig(what="invariance", baselines=False, device="cpu")
FEW = colours("train", (10, 10))
SOME = {name: AUGMENTATIONS[name] for name in ("crop", "flip", "brightness", "rotation")}
PROTOCOLS = {prefix + name for name in AUGMENTATIONS for prefix in (TELLS, VARIES)}


@pytest.fixture(autouse=True)
def _two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two views of each image are enough here."""
    monkeypatch.setattr(invariance_features, "TOTAL_VIEWS", 40)


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Only some augmentations are measured; the protocols of these."""
    monkeypatch.setattr(invariance, "AUGMENTATIONS", SOME)
    return {prefix + name for name in SOME for prefix in (TELLS, VARIES)}


def subject_of(store: RunStore, wish: EvaluateConfig = WISH, **options: object) -> Subject:
    """A job on a few coloured images."""
    return make_subject(store, wish, train=FEW, test=colours("test", (2, 2)), **options)  # type: ignore[arg-type]


def values(store: RunStore, subject: Subject) -> dict[tuple[str, str], float | None]:
    """Every figure in the store by protocol and layer."""
    return {(row.protocol, row.layer): row.value for row in store.evaluations(subject.source_id)}


def test_every_layer_has_both_figures_of_every_augmentation_with_tables_and_pictures(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = subject_of(store, dataclasses.replace(WISH, baselines=True))
    rows = invariance.run(subject)
    found = values(store, subject)
    layers = {"pixels", "untrained", *subject.model.layer_names}
    assert set(found) == {(protocol, layer) for protocol in PROTOCOLS for layer in layers}
    assert found == {(row["protocol"], row["layer"]): row["value"] for row in rows}
    assert all(value is not None and 0 <= value <= 1 for value in found.values())
    stored = store.evaluations(subject.source_id)
    assert {(row.top1, row.images) for row in stored if row.protocol.startswith(TELLS)} == {(None, 4)}
    assert {(row.top1, row.images) for row in stored if row.protocol.startswith(VARIES)} == {(None, 20)}
    told = [row.seconds for row in stored if row.protocol.startswith(TELLS)]
    assert all(seconds is not None for seconds in told)
    assert [Path(artifact.name).name for artifact in store.artifacts(subject.source_id)] == [
        "invariance.png",
        "invariance.svg",
    ]
    said = capsys.readouterr().out
    assert "rotation *" in said
    assert "z tells clearly less than h about" in said


@pytest.mark.usefixtures("some")
def test_pixels_of_one_colour_tell_the_brightness_of_each_view(store: RunStore) -> None:
    gray = make_subject(
        store,
        dataclasses.replace(WISH, baselines=True),
        train=colours("train", (60,), noise=2.0),
        test=colours("test", (2,)),
    )
    invariance.measure(gray)
    found = values(store, gray)
    told, varied = found[TELLS + "brightness", "pixels"], found[VARIES + "brightness", "pixels"]
    assert told is not None
    assert told > 0.98, "a view's draw must stay with its features"
    assert varied is not None
    assert varied > 0.75, "the images hardly differ, so the brightness is all that there is to see"


@pytest.mark.usefixtures("some")
def test_equal_seeds_give_equal_figures_and_other_seeds_other_ones(store: RunStore) -> None:
    seeds = (0, 0, 1)
    figures = []
    for seed in seeds:
        subject = subject_of(store, dataclasses.replace(WISH, seed=seed))
        invariance.measure(subject)
        figures.append(values(store, subject))
    assert figures[0] == figures[1]
    assert figures[0] != figures[2]


@pytest.mark.usefixtures("some")
def test_neither_the_batch_nor_the_model_matters_or_is_moved(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    for batch in (512, 6):
        monkeypatch.setattr(invariance_features, "FEATURE_BATCH", batch)
        subject = subject_of(store)
        before = {name: value.clone() for name, value in subject.model.state_dict().items()}
        invariance.measure(subject)
        assert subject.model.training
        assert all(torch.equal(value, before[name]) for name, value in subject.model.state_dict().items())
        figures.append(values(store, subject))
    assert figures[0] == pytest.approx(figures[1], abs=1e-4)


class _PausesAt(LineReporter):
    """Asks its job to pause once so many augmentations are done."""

    def __init__(self, store: RunStore, done: int) -> None:
        super().__init__()
        self._store, self._done = store, done

    def progress(self, stage: str, done: int, total: int, detail: str) -> None:
        if done == self._done:
            job = next(run for run in self._store.runs() if run.kind == "evaluate")
            self._store.request(job.id, "pause")


def test_a_resumed_job_measures_only_what_it_has_not(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, some: set[str]
) -> None:
    monkeypatch.setattr(control, "POLL_SECONDS", 0.0)
    subject = subject_of(store, reporter=_PausesAt(store, 2))
    with pytest.raises(EndRequested):
        invariance.measure(subject)
    first = {row.protocol: row.at for row in store.evaluations(subject.source_id)}
    assert set(first) == {prefix + name for name in ("crop", "flip") for prefix in (TELLS, VARIES)}
    store.take_commands(subject.job.run.id, "paused")
    rows = invariance.measure(subject_of(store, job_id=subject.job.run.id))
    after = {row.protocol: row.at for row in store.evaluations(subject.source_id)}
    assert {protocol: after[protocol] for protocol in first} == first
    assert {row["protocol"] for row in rows} == set(after) == some, "the report is of all, not of what was missing"
    unbroken = subject_of(store)
    invariance.measure(unbroken)
    assert values(store, unbroken) == values(store, subject)


def test_another_job_on_the_same_checkpoint_measures_all_of_it(store: RunStore, some: set[str]) -> None:
    first = subject_of(store)
    invariance.measure(first)
    stored = store.create_run(kind="evaluate", name="again", config=WISH.to_json(), source_run_id=first.source_id)
    invariance.measure(subject_of(store, job_id=stored))
    assert {(row.protocol, row.job_id) for row in store.evaluations(first.source_id)} == {
        (protocol, stored) for protocol in some
    }


@pytest.mark.usefixtures("some")
def test_an_augmentation_of_which_a_layer_is_missing_is_measured_again(store: RunStore, runs: Path) -> None:
    subject = subject_of(store)
    invariance.measure(subject)
    before = values(store, subject)
    with sqlite3.connect(runs / "runs.db") as connection:
        connection.execute("DELETE FROM evaluations WHERE protocol = ? AND layer = 'z'", (VARIES + "flip",))
    connection.close()
    invariance.measure(subject_of(store, job_id=subject.job.run.id))
    assert values(store, subject) == before


@pytest.mark.usefixtures("some")
def test_no_label_is_needed(store: RunStore) -> None:
    subject = subject_of(store)
    unlabelled = dataclasses.replace(FEW, labels=torch.full_like(FEW.labels, -1), classes=())
    dataset = dataclasses.replace(subject.dataset, train=None, test=None, pretrain=unlabelled)
    invariance.measure(dataclasses.replace(subject, dataset=dataset))
    bare = values(store, subject)
    labelled = subject_of(store)
    invariance.measure(labelled)
    assert bare == values(store, labelled)


def test_too_few_images_are_refused(store: RunStore) -> None:
    subject = subject_of(store)
    dataset = dataclasses.replace(subject.dataset, train=FEW.first(9))
    with pytest.raises(DataError, match="shapes has 9 images in train, but --what invariance needs 10; add some"):
        invariance.run(dataclasses.replace(subject, dataset=dataset))


def test_a_broken_checkpoint_is_named(store: RunStore) -> None:
    subject = subject_of(store)
    with torch.no_grad():
        next(part for part in subject.model.encoder.modules() if isinstance(part, nn.Conv2d)).weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="holds NaN or infinity; evaluate an earlier checkpoint with --step"):
        invariance.run(subject)
    assert values(store, subject) == {}


def test_a_layer_that_never_varies_has_a_dash_and_a_warning(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = subject_of(store)
    with torch.no_grad():
        for parameter in subject.model.head.parameters():
            parameter.zero_()
    invariance.run(subject)
    found = values(store, subject)
    assert {found[VARIES + name, "z"] for name in AUGMENTATIONS} == {None}
    warned = [event.message for event in store.events(run_id=subject.job.run.id) if event.level == "warning"]
    assert "z, after the head is the same for all views, so it has no variance" in warned
    assert "–" in capsys.readouterr().out


def test_a_recipe_without_colours_says_whose_strength_is_measured(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(CONFIG, jitter_hue=0.0, jitter_saturation=0.0, blur_probability=0.0)
    invariance.run(subject_of(store, config=config))
    said = capsys.readouterr().out
    assert "the run leaves saturation, hue, blur as it is, so SimCLR's own strength was taken" in said
    assert "of 5 augmentations that the run was trained with" in said
    assert all(f"{name} *" in said for name in ("saturation", "hue", "blur", "rotation"))


def test_a_difference_that_may_be_noise_is_not_counted() -> None:
    told: Figures = {("flip", "h"): 0.5, ("hue", "h"): 0.5, ("flip", "z"): 0.46, ("hue", "z"): 0.44}
    varied: Figures = dict.fromkeys(told, 0.5)
    assert in_words(told, varied, ["z", "h"], ["flip", "hue"]).startswith("z tells clearly less than h about 1 of 2 ")


def test_the_sentence_counts_and_averages_what_the_run_was_trained_with() -> None:
    told: Figures = {}
    varied: Figures = {}
    for name, h, z in (("crop", 0.4, 0.2), ("flip", 0.1, 0.06), ("hue", 0.7, 0.04), ("rotation", 0.9, 0.0)):
        told |= {(name, "h"): h, (name, "z"): z}
        varied |= {(name, "h"): 0.5, (name, "z"): None if name == "hue" else 0.25}
    sentence = in_words(told, varied, ["z", "h"], ["crop", "flip", "hue"])
    assert sentence == (
        "z tells clearly less than h about 2 of 3 augmentations that the run was trained with (mean 0.40 → 0.10); "
        "of its variance 25 % lies within an image's views, of h's 50 %"
    )
    assert in_words(told, varied, ["h"], ["crop"]) == ""
