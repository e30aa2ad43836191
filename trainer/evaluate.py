"""The evaluation job: one checkpoint of another run, looked at in one way, while that run may go on.

Features are taken in eval mode and without augmentation. Everything that is chosen is chosen on `train`; `test` is
only scored, and all of it.
"""

import dataclasses
import importlib
from typing import Any

from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data import load as load_dataset
from trainer.device import Machine, prepare
from trainer.errors import CheckpointError, DataError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation import layers
from trainer.evaluation.subject import Subject
from trainer.gpu import make_sampler
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.model import SimCLRModel, build_model
from trainer.monitor import Monitor
from trainer.payload import misfits
from trainer.store.labels import refuse_trashed
from trainer.store.records import Run

_WAYS = {
    "layers": "trainer.evaluation.layers",
    "labels": "trainer.evaluation.labels",
    "invariance": "trainer.evaluation.invariance",
    "finetune": "trainer.evaluation.finetune",
    "map": "trainer.evaluation.embedding",
}
"""The module of each `what`, imported when it is asked for; each has `run(subject)`."""


def evaluate(job: Job) -> None:
    """Score one checkpoint of another run in the way that was asked for.

    Raises:
        EndRequested: the job was asked to end.
        TrainerError: the checkpoint or the data can't be used.
    """
    wish = EvaluateConfig.from_json(job.run.config)
    source = job.store.run(wish.run)
    refuse_trashed(job.store, source)
    config = PretrainConfig.from_json(source.config)
    machine = prepare(
        device=wish.device, threads=wish.threads, precision=config.precision, channels_last=config.channels_last
    )
    with Monitor(job.runs, job.run.id, make_sampler(machine.uuid, job.warn), job.control.pulse):
        with job.control.phase("loading"):
            payload = _checkpoint(job, source, config, wish.step)
        if not wish.step:
            # A job that is interrupted goes on with this checkpoint, and not with one that is newer by then.
            wish = dataclasses.replace(wish, step=payload["step"])
            job.store.update_run(job.run.id, config=wish.to_json())
        job.reporter.note(f"evaluating step {payload['step']} of {source.name}: {wish.what}")
        with job.control.phase("loading"):
            model = _model(config, payload, machine, source)
            used, dataset = _dataset(job, wish, source, config, payload)
        subject = Subject(
            job=job,
            wish=wish,
            source_id=source.id,
            config=used,
            machine=machine,
            model=model,
            dataset=dataset,
            step=payload["step"],
        )
        with job.control.phase("evaluating"):
            importlib.import_module(_WAYS[wish.what]).run(subject)


def evaluate_at_end(
    job: Job, model: SimCLRModel, dataset: Dataset, config: PretrainConfig, machine: Machine, *, step: int
) -> None:
    """Score every layer of a run that has just been trained; without labels a warning is all that comes of it.

    Raises:
        EndRequested: the run was asked to end; the figures made so far are in the store.
    """
    subject = Subject(
        job=job,
        wish=EvaluateConfig(run=job.run.id),
        source_id=job.run.id,
        config=config,
        machine=machine,
        model=model,
        dataset=dataset,
        step=step,
    )
    reason = subject.why_not()
    if reason is not None:
        job.warn("evaluation-skipped", f"{dataset.name} {reason}, so nothing was scored")
        return
    layers.run(subject)


def _checkpoint(job: Job, source: Run, config: PretrainConfig, step: int) -> dict[str, Any]:
    """The payload of the checkpoint that is scored; what is found wrong becomes the source run's event."""
    found = CheckpointKeeper(job.store, job.runs, source.id, config).newest(step=step)
    if found is None:
        raise CheckpointError(f"{source.name} has no checkpoint to evaluate; wait for its first one")
    return found[0]


def _model(config: PretrainConfig, payload: dict[str, Any], machine: Machine, source: Run) -> SimCLRModel:
    """The network with the weights of a checkpoint, averaged ones where the run keeps them."""
    model = build_model(config, classes=payload.get("classes", 0))
    weights = payload.get("ema") or payload["model"]
    wrong = misfits(model, weights)
    if wrong:
        raise DataError(
            f"the checkpoint of {source.name} is of another architecture than its settings say "
            f"({len(wrong)} tensors differ, such as {min(wrong)}); restore its folder from a copy"
        )
    model.load_state_dict(weights)
    return model.to(machine.device).to(memory_format=machine.memory_format)


def _dataset(
    job: Job, wish: EvaluateConfig, source: Run, config: PretrainConfig, payload: dict[str, Any]
) -> tuple[PretrainConfig, Dataset]:
    """The labelled splits that are scored, and the settings that name them."""
    changes: dict[str, Any] = {"split": "auto", "cache": "ram", "num_workers": 0}
    if wish.dataset:
        changes |= {"dataset": wish.dataset, "limit_images": 0}
        changes |= {"limit_per_class": wish.limit_per_class, "limit_test_per_class": wish.limit_test_per_class}
    changes |= {"data_dir": wish.data_dir} if wish.data_dir else {}
    # Only the labelled splits are scored, so what was pretrained on need not be read.
    used = dataclasses.replace(config, **changes)
    dataset = load_dataset(used, job.warn, check=job.control.check, labelled_only=True)
    if not wish.dataset and payload["data"] != dataset.fingerprint:
        raise DataError(
            f"--dataset: the images of {dataset.name} are not those that {source.name} was trained with; put them "
            "back, or launch a new run"
        )
    if wish.dataset and payload["data"] == dataset.fingerprint:
        job.reporter.note(f"{wish.dataset} is the data set that {source.name} was trained on")
    return used, dataset
