"""The pretraining job: build, resume, train, evaluate."""

import json

from trainer.backbones import build_encoder
from trainer.clock import RunClock
from trainer.config import TIMM, PretrainConfig
from trainer.data import Dataset
from trainer.data import load as load_dataset
from trainer.device import Machine, differences, fingerprint, prepare
from trainer.errors import ConfigError, DataError, NonFiniteError
from trainer.evaluate import evaluate_at_end
from trainer.gpu import make_sampler
from trainer.health_watch import HealthWatch
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.loader import ViewLoader
from trainer.loop import Training, TrainState, train
from trainer.model import build_model
from trainer.monitor import Monitor
from trainer.online import OnlineScores
from trainer.optim import averaged_model, build_optimizer
from trainer.recorder import Recorder
from trainer.timing import DeviceClock


def pretrain(job: Job) -> None:
    """Train the run to its last epoch from wherever it is, then score it.

    Raises:
        EndRequested: the run was asked to end, and has saved itself.
        TrainerError: something that a person can mend.
    """
    config = PretrainConfig.from_json(job.run.config)
    machine = prepare(
        device=config.device,
        threads=config.threads,
        precision=config.precision,
        channels_last=config.channels_last,
        deterministic=config.deterministic,
    )
    with Monitor(job.runs, job.run.id, make_sampler(machine.uuid, job.warn)):
        _record_fingerprint(job, config, machine)
        if config.backbone.startswith(TIMM):
            build_encoder(config)  # refuses what timm can't build before a data set is downloaded for it
        job.reporter.note(f"loading {config.dataset}")
        with job.control.phase("loading"):
            dataset = load_dataset(config, job.warn, check=job.control.check)
            training, state = _build(job, config, machine, dataset)
            training.health.begin()
        job.control.check()
        try:
            with job.control.phase("training"):
                train(training, state)
        except NonFiniteError:
            training.health.judge(step=state.step, is_finite=False)
            raise
        if config.evaluate_at_end:
            job.control.check()
            with job.control.phase("evaluating"):
                evaluate_at_end(job, state.scored_model, dataset, config, machine, step=state.step)
            training.health.judge(step=state.step)


def _record_fingerprint(job: Job, config: PretrainConfig, machine: Machine) -> None:
    """Note what the run's bits depend on, and what of it changed since it was made."""
    now = fingerprint(machine)
    if job.run.fingerprint:
        changed = differences(json.loads(job.run.fingerprint), now)
        if changed:
            _refuse_another_kind_of_device(job, config, machine)
            words = "; ".join(changed)
            job.warn("exactness", f"exactness not promised from here on, since this changed: {words}")
            job.store.update_run(job.run.id, exactness=f"not promised: {words}")
        return
    exactness = "promised" if machine.deterministic else "not promised: --deterministic no"
    job.store.update_run(job.run.id, fingerprint=json.dumps(now), exactness=exactness, device=machine.name)


def _refuse_another_kind_of_device(job: Job, config: PretrainConfig, machine: Machine) -> None:
    """A run that began on a GPU does not go on for days on a CPU just because the GPU is gone."""
    began_on_cuda = json.loads(job.run.fingerprint or "{}").get("cuda") is not None
    if config.device == "auto" and began_on_cuda and not machine.is_cuda:
        raise ConfigError("device", f"the GPU that {job.run.name} began on is not there; give --device cpu to go on so")


def _build(job: Job, config: PretrainConfig, machine: Machine, dataset: Dataset) -> tuple[Training, TrainState]:
    loader = _load_batches(config, machine, dataset)
    model = build_model(config, classes=len(dataset.pretrain.classes))
    model = model.to(machine.device).to(memory_format=machine.memory_format)
    state = TrainState(
        model,
        build_optimizer(model, config),
        RunClock(),
        data=dataset.fingerprint,
        ema=averaged_model(model, config.ema_decay) if config.ema_decay else None,
    )
    keeper = CheckpointKeeper(job.store, job.runs, job.run.id, config)
    _resume(job, state, keeper, dataset, loader.steps_per_epoch())
    clock = DeviceClock(machine)
    online = OnlineScores(dataset, config, machine, job.control.check, job.warn)
    training = Training(
        job=job,
        config=config,
        machine=machine,
        loader=loader,
        recorder=Recorder(job.store, job.run.id, clock, resumed_after=state.step, say=job.reporter.note),
        device_clock=clock,
        keeper=keeper,
        measure_epoch=online,
        health=HealthWatch(
            job,
            config,
            machine,
            dataset,
            loader,
            feature_size=model.feature_size,
            knn_queries=online.knn_queries,
        ),
    )
    job.store.update_run(
        job.run.id, total_steps=training.total_steps, steps_per_epoch=loader.steps_per_epoch(), step=state.step
    )
    return training, state


def _load_batches(config: PretrainConfig, machine: Machine, dataset: Dataset) -> ViewLoader:
    """The loader that trains.

    Raises:
        ConfigError: no batch can be made of the images, or the last one can't be learnt from.
    """
    count = len(dataset.pretrain)
    if config.drop_last and count < config.batch_size:
        raise ConfigError(
            "batch_size",
            f"{config.batch_size} is more than the {count} images of {dataset.pretrain.name}; make it smaller "
            "or give --no-drop-last",
        )
    if config.views == 1 and not config.drop_last and count % config.batch_size == 1:
        raise ConfigError(
            "batch_size",
            f"{config.batch_size} leaves one image for the last batch, of which batch norm can learn nothing; change "
            "it by one, or give --drop-last",
        )
    labels = dataset.pretrain.labels if config.is_supervised else None
    return ViewLoader(dataset.pretrain.images, config, machine, workers=config.num_workers, labels=labels)


def _resume(job: Job, state: TrainState, keeper: CheckpointKeeper, dataset: Dataset, steps_per_epoch: int) -> None:
    """Go on from the newest checkpoint that verifies, if there is one."""
    found = keeper.newest(owner=True)
    if found is None:
        return
    payload, manifest = found
    if payload["data"] != dataset.fingerprint:
        raise DataError(
            f"--dataset: the images of {dataset.name} are not those that {job.run.name} began with; put them back, "
            "or launch a new run"
        )
    state.restore(payload)
    inside = state.step - state.closed_epochs * steps_per_epoch
    where = f"epoch {state.closed_epochs + 1}, step {inside} of {steps_per_epoch}"
    message = f"going on after step {state.step} ({where}), checkpoint: {manifest['reason']}"
    job.event("resumed-from", message, step=state.step)


supervised = pretrain
"""The job of a run of kind `supervised`: the same, with labels."""
