"""Evaluation of a frozen encoder: kNN and linear accuracy of h and z, beside raw pixels and the untrained encoder.

Features are taken in eval mode and without augmentation. Everything that is chosen is chosen on `train`; `test` is
only scored, and all of it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from torch import Tensor

from trainer.config import EvaluateConfig, PretrainConfig
from trainer.data import Dataset, split_names
from trainer.data import load as load_dataset
from trainer.data.split import Split
from trainer.data.stratify import has_pair_of_a_class
from trainer.device import Machine, prepare
from trainer.errors import CheckpointError, DataError
from trainer.features import extract, pixels
from trainer.gpu import make_sampler
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.knn import knn_accuracy
from trainer.linear_probe import Probe, adamw_probe, fit_probe, score
from trainer.model import SimCLRModel, build_model
from trainer.monitor import Monitor

LAYERS = {"pixels": "raw pixels", "untrained": "untrained encoder", "z": "z, after the head", "h": "h, the encoder"}
"""What is scored, in the order of the table, and how the table calls it."""

_NO_SPLITS = "has no labelled train and test splits"

PROTOCOLS = {"knn": "kNN, k = 20", "linear": "linear", "linear-adamw": "linear, AdamW"}
"""How it is scored, in the order of the table's columns; the last one is the tutorial's, on request."""

FEATURE_BATCH = 512
PROBE_SEED = 0


@dataclass(frozen=True, slots=True)
class _Features:
    """One layer's features of both labelled splits, float32 (N, D)."""

    layer: str
    train_ND: Tensor
    test_ND: Tensor


def evaluate(job: Job) -> None:
    """The evaluation job: score one checkpoint of another run, which may go on meanwhile.

    Raises:
        EndRequested: the job was asked to end.
        TrainerError: the checkpoint or the data can't be used.
    """
    wish = EvaluateConfig.from_json(job.run.config)
    source = job.store.run(wish.run)
    config = PretrainConfig.from_json(source.config)
    machine = prepare(
        device=wish.device, threads=wish.threads, precision=config.precision, channels_last=config.channels_last
    )
    with Monitor(job.runs, job.run.id, make_sampler(machine.uuid, job.warn)):
        # The keeper of a reader: it loads and verifies, and what it has to report becomes the source run's event.
        found = CheckpointKeeper(job.store, job.runs, source.id, config).newest(step=wish.step)
        if found is None:
            raise CheckpointError(f"{source.name} has no checkpoint to evaluate; wait for its first one")
        payload, _ = found
        model = build_model(config).to(machine.device).to(memory_format=machine.memory_format)
        model.load_state_dict(payload["model"])
        job.reporter.note(f"evaluating step {payload['step']} of {source.name}")
        if "train" not in split_names(config):
            _skip(job, config.dataset, _NO_SPLITS)
            return
        # Only the labelled splits are scored, so what was pretrained on need not be read.
        dataset = load_dataset(dataclasses.replace(config, split="train"), job.warn, check=job.control.check)
        if payload["data"] != dataset.fingerprint:
            raise DataError(
                f"--dataset: the images of {dataset.name} are not those that {source.name} was trained with; put them "
                "back, or launch a new run"
            )
        rows = score_model(
            job,
            model,
            dataset,
            config,
            machine,
            step=payload["step"],
            source_id=source.id,
            baselines=wish.baselines,
            tutorial_probe=wish.tutorial_probe,
        )
        show_table(job, rows, dataset)


def score_model(
    job: Job,
    model: SimCLRModel,
    dataset: Dataset,
    config: PretrainConfig,
    machine: Machine,
    *,
    step: int,
    source_id: str | None = None,
    baselines: bool = True,
    tutorial_probe: bool = False,
) -> list[dict[str, Any]]:
    """Score every layer by kNN and a linear probe, and write each figure as it is made.

    Args:
        job: whose control is asked between batches.
        model: the trained model.
        dataset: with labelled `train` and `test`; where nothing can be learnt of them or scored, a warning is all that
            comes of it.
        config: of the run that the model belongs to.
        machine: the device.
        step: of the weights.
        source_id: the run that the figures belong to, by default the job's own.
        baselines: also score raw pixels and the untrained encoder.
        tutorial_probe: also fit the linear layer as the UvA tutorial does.

    Raises:
        EndRequested: the job was asked to end; the figures made so far are in the store.
    """
    if dataset.train is None or dataset.test is None:
        return _skip(job, dataset.name, _NO_SPLITS)
    reason = _why_not(dataset.train, dataset.test)
    if reason is not None:
        return _skip(job, dataset.name, reason)
    rows: list[dict[str, Any]] = []
    layers = _layers(model, dataset.train, dataset.test, config, machine, job.control.check, baselines)
    for number, features in enumerate(layers):
        total = 2 if not baselines else 4
        job.reporter.progress("evaluating, layer", number, total, LAYERS[features.layer])
        made = _score_layer(job, features, dataset.train, dataset.test, tutorial_probe=tutorial_probe)
        about = {"step": step, "layer": features.layer, "labels_per_class": 0, "seed": PROBE_SEED, "job_id": job.run.id}
        rows += [about | row for row in made]
        job.store.put_evaluations(source_id or job.run.id, rows[-len(made) :])
        job.reporter.progress("evaluating, layer", number + 1, total, LAYERS[features.layer])
    return rows


def _why_not(train: Split, test: Split) -> str | None:
    """Why no classifier can be fitted or scored, as the end of a sentence about the data set; None where one can."""
    if len(test) == 0:
        return "has no labelled test image"
    if len(train.labels.unique()) < 2:
        return "has fewer than two classes with labelled train images"
    # Its strength is chosen on images that are held out, of which the rest must say something.
    return None if has_pair_of_a_class(train.labels) else "has no class with two labelled train images"


def _skip(job: Job, dataset_name: str, reason: str) -> list[dict[str, Any]]:
    job.warn("evaluation-skipped", f"{dataset_name} {reason}, so nothing was scored")
    return []


def _layers(
    model: SimCLRModel,
    train: Split,
    test: Split,
    config: PretrainConfig,
    machine: Machine,
    check: Callable[[], None],
    baselines: bool,
) -> Iterator[_Features]:
    def of(network: SimCLRModel, split: Split) -> dict[str, Tensor]:
        count = len(split.images)
        dtype = machine.autocast_dtype
        return extract(network, split.images.take, count, FEATURE_BATCH, machine.device, dtype, check)

    if baselines:
        yield _Features("pixels", *(pixels(s.images.take, len(s.images), FEATURE_BATCH, check) for s in (train, test)))
        untrained = build_model(config).to(machine.device).to(memory_format=machine.memory_format)
        yield _Features("untrained", of(untrained, train)["h"], of(untrained, test)["h"])
    on_train, on_test = of(model, train), of(model, test)
    for layer in ("z", "h"):
        yield _Features(layer, on_train[layer], on_test[layer])


def _score_layer(
    job: Job, features: _Features, train: Split, test: Split, *, tutorial_probe: bool
) -> list[dict[str, Any]]:
    classes = len(train.classes)

    def by_knn() -> tuple[float, float, float | None]:
        x = features
        return (*knn_accuracy(x.train_ND, train.labels, x.test_ND, test.labels, classes=classes), None)

    def by_probe(fit: Callable[..., Probe]) -> tuple[float, float, float | None]:
        probe = fit(features.train_ND, train.labels, classes, PROBE_SEED, job.control.check)
        if not probe.converged:
            job.warn("probe-unfinished", f"the linear probe of {LAYERS[features.layer]} ran out of iterations")
        return (*score(probe, features.test_ND, test.labels), probe.C)

    ways: dict[str, Callable[[], tuple[float, float, float | None]]]
    ways = {"knn": by_knn, "linear": lambda: by_probe(fit_probe)}
    if tutorial_probe:
        ways["linear-adamw"] = lambda: by_probe(adamw_probe)
    rows: list[dict[str, Any]] = []
    for protocol, way in ways.items():
        begun = time.perf_counter()
        top1, top5, c = way()
        seconds = time.perf_counter() - begun
        figures = {"top1": top1, "top5": top5, "images": len(test.labels), "c": c, "seconds": seconds}
        rows.append({"protocol": protocol, **figures})
    return rows


def show_table(job: Job, rows: list[dict[str, Any]], dataset: Dataset) -> None:
    """Say what was scored, and what to type next."""
    if not rows:
        return
    assert dataset.test is not None
    kind = "synthetic images" if dataset.synthetic else "images"
    table = Table(title=f"{dataset.name}: accuracy on {len(dataset.test.labels):,} test {kind}, %")
    table.add_column("features")
    figures = {(row["layer"], row["protocol"]): row["top1"] for row in rows}
    made = [protocol for protocol in PROTOCOLS if any(row["protocol"] == protocol for row in rows)]
    for protocol in made:
        table.add_column(PROTOCOLS[protocol], justify="right")
    for layer, words in LAYERS.items():
        if (layer, "knn") in figures:
            cells = (f"{100 * figures[layer, protocol]:.1f}" for protocol in made)
            table.add_row(words, *cells)
    job.reporter.table(table)
