"""The pretraining job: build, resume, train, evaluate."""

import json
from contextlib import closing

from trainer.backbones import build_encoder
from trainer.background_save import Saver
from trainer.config import TIMM, PretrainConfig
from trainer.data import Dataset
from trainer.data import load as load_dataset
from trainer.device import Machine, fingerprint, prepare_for
from trainer.distributed.figures import rows_of_ranks
from trainer.distributed.lead import lead
from trainer.epoch_timer import EpochTimer
from trainer.errors import CheckpointError, ConfigError, DataError, NonFiniteError
from trainer.evaluate import evaluate_at_end
from trainer.exactness import Exactness
from trainer.gpu import make_sampler
from trainer.health_watch import HealthWatch
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.loader import ViewLoader
from trainer.loop import Training, train
from trainer.memory import attempt, too_little
from trainer.monitor import Monitor
from trainer.nonfinite import BadStep
from trainer.online import OnlineScores
from trainer.ranks import ALONE
from trainer.recorder import Recorder
from trainer.restore import restore
from trainer.shares import check_shares
from trainer.step import TrainState, new_state
from trainer.stepper import EAGER, Stepper, check_mode, make_stepper
from trainer.store.runs import RunStore
from trainer.timing import DeviceClock


def pretrain(job: Job) -> None:
    """Train the run to its last epoch from wherever it is, then score it.

    Raises:
        EndRequested: the run was asked to end, and has saved itself.
        TrainerError: something that a person can mend.
    """
    config = PretrainConfig.from_json(job.run.config)
    machine = prepare_for(config, job.ranks)
    sampler = make_sampler(machine.uuid, job.warn)
    with (
        rows_of_ranks(job.line, machine) as of_ranks,
        Monitor(job.runs, job.run.id, sampler, job.control.pulse, of_ranks),
        closing(RunStore.open(job.runs)) as keepers_store,
    ):
        _refuse_another_kind_of_device(job, config, machine)
        check_mode(config, machine)
        if config.backbone.startswith(TIMM):
            build_encoder(config)  # refuses what timm can't build before a data set is downloaded for it
        job.reporter.note(f"loading {config.dataset}")
        with job.control.phase("loading"):
            dataset = load_dataset(config, job.warn, check=job.control.check)
            training, state = _build(job, config, machine, dataset, keepers_store)
            training.health.begin()
        job.control.check()
        try:
            with job.control.phase("training"):
                shortage = attempt(lambda: train(training, state), machine)
        except NonFiniteError:
            training.health.judge(step=state.step, is_finite=False)
            raise
        finally:
            training.saver.close()
            training.recorder.end_replay()
        if shortage is not None:
            raise too_little(shortage, job, config, machine, state)
        if config.evaluate_at_end:
            job.control.check()
            with job.control.phase("evaluating"):
                evaluate_at_end(job, state.scored_model, dataset, config, machine, step=state.step)
            training.health.judge(step=state.step)


def _record_exactness(job: Job, machine: Machine, step: int, step_mode: str) -> Exactness:
    """Note what the run's bits rest on, and what of it changed at this resume.

    Args:
        job: the run.
        machine: the device.
        step: the step that training goes on after.
        step_mode: how steps are run.
    """
    run, now = job.run, fingerprint(machine, step_mode=step_mode) | {"ranks": job.ranks.world}
    stored_to = job.store.last_step(run.id)
    if run.fingerprint:
        before = Exactness.from_json(run.fingerprint)
        before.facts.setdefault("step_mode", EAGER)  # where none is recorded there was no other
        before.facts.setdefault("ranks", 1)
        exactness = before.resumed(now, after=step, stored_to=stored_to)
    else:
        # A fork begins at its parent's step; what any other run with steps behind it ran on is not known.
        before = Exactness(now)
        is_branch = bool(run.parent_run_id) and run.step is None
        lost = ["what it ran on before is not recorded"] if step and not is_branch else []
        exactness = before.changed(now, lost, after=step, stored_to=stored_to)
    if len(exactness.changes) > len(before.changes):
        words = ", ".join(exactness.changes[-1].words)
        job.event("exactness", f"exactness not promised from step {step + 1:,} on: {words}", level="warning", step=step)
    job.store.update_run(run.id, fingerprint=exactness.to_json(), exactness=exactness.verdict(), device=machine.name)
    return exactness


def _settings_changed(job: Job) -> str:
    """Which settings were given anew at this resume, in words; they can't change a result, or shouldn't."""
    events = job.store.events(run_id=job.run.id)
    starts = [event.id for event in events if event.kind in ("started", "resumed")]
    since = starts[-2] if len(starts) > 1 else 0
    return ", ".join(
        event.message.removeprefix("settings changed: ")
        for event in events
        if event.kind == "settings" and event.id > since
    )


def _refuse_another_kind_of_device(job: Job, config: PretrainConfig, machine: Machine) -> None:
    """A run that began on a GPU does not go on for days on a CPU just because the GPU is gone."""
    began_on_cuda = json.loads(job.run.fingerprint or "{}").get("cuda") is not None
    if config.device == "auto" and began_on_cuda and not machine.is_cuda:
        raise ConfigError("device", f"the GPU that {job.run.name} began on is not there; give --device cpu to go on so")


def _build(
    job: Job, config: PretrainConfig, machine: Machine, dataset: Dataset, keepers_store: RunStore
) -> tuple[Training, TrainState]:
    loader = _load_batches(config, machine, dataset, job)
    state = new_state(config, machine, classes=len(dataset.pretrain.classes), data=dataset.fingerprint)
    keeper = CheckpointKeeper(keepers_store, job.runs, job.run.id, config)
    _resume(job, state, keeper, dataset, loader.steps_per_epoch())
    keeper.require_room(state.checkpoint_bytes(config))
    stepper = _ready_stepper(job, config, machine, loader, state)
    clock = DeviceClock(machine)
    online = OnlineScores(dataset, config, machine, job.control.check, job.warn)
    training = Training(
        job=job,
        config=config,
        machine=machine,
        loader=loader,
        stepper=stepper,
        recorder=Recorder(
            job.store,
            job.run.id,
            clock,
            resumed_after=state.step,
            exactness=_record_exactness(job, machine, state.step, stepper.mode),
            changed=_settings_changed(job),
            say=job.reporter.note,
            explain=BadStep(job.runs, job.run.id, loader, dataset.pretrain.name).explain,
        ),
        timer=EpochTimer(clock, state.clock.parts),
        keeper=keeper,
        saver=Saver(keeper, job, in_background=config.checkpoint_in_background, shares_cores=not machine.is_cuda),
        measure_epoch=online,
        health=HealthWatch(
            job,
            config,
            machine,
            dataset,
            loader,
            feature_size=state.model.feature_size,
            knn_queries=online.knn_queries,
        ),
    )
    job.store.update_run(
        job.run.id, total_steps=training.total_steps, steps_per_epoch=loader.steps_per_epoch(), step=state.step
    )
    return training, state


def _ready_stepper(
    job: Job, config: PretrainConfig, machine: Machine, loader: ViewLoader, state: TrainState
) -> Stepper:
    """The stepper, and whatever it has to say told once in the run. Several ranks begin from the same weights here.

    Raises:
        ConfigError: steps can't be run as the settings ask for.
        TrainerError: a step needs more memory than there is.
    """
    if job.line is not None:
        return lead(job.line, state, loader, config, machine)
    told = {event.message for event in job.store.events(run_id=job.run.id) if event.kind == "step-mode"}

    def tell(kind: str, message: str, *, level: str = "info") -> None:
        if message not in told:
            job.event(kind, message, level=level, step=state.step)

    made: list[Stepper] = []
    shortage = attempt(lambda: made.append(make_stepper(state, loader, config, machine, tell)), machine)
    if shortage is not None:
        raise too_little(shortage, job, config, machine, state)
    return made[0]


def _load_batches(config: PretrainConfig, machine: Machine, dataset: Dataset, job: Job | None = None) -> ViewLoader:
    """The loader that trains.

    Raises:
        ConfigError: no batch can be made of the images, or the last one can't be learnt from.
    """
    count = len(dataset.pretrain)
    ranks = ALONE if job is None else job.ranks
    check_shares(config, count, ranks)
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
    workers = config.num_workers
    return ViewLoader(dataset.pretrain.images, config, machine, workers=workers, labels=labels, job=job, ranks=ranks)


def _resume(job: Job, state: TrainState, keeper: CheckpointKeeper, dataset: Dataset, steps_per_epoch: int) -> None:
    """Go on from the newest checkpoint that verifies, if there is one.

    Raises:
        CheckpointError: there is none and should be one: a fork does not begin from random weights.
        DataError: the images are others.
    """
    found = keeper.newest(owner=True)
    if found is None:
        if job.run.parent_run_id:
            raise CheckpointError(
                f"{job.run.name} is a fork of run {job.run.parent_run_id} at step {job.run.parent_step}, and that "
                "checkpoint is not in its folder any more; restore the folder from a copy, or fork again"
            )
        return
    payload, manifest = found
    if payload["data"] != dataset.fingerprint:
        raise DataError(
            f"--dataset: the images of {dataset.name} are not those that {job.run.name} began with; put them back, "
            "or launch a new run"
        )
    told = restore(state, payload, manifest, steps_per_epoch=steps_per_epoch)
    if state.step != manifest["step"]:
        # Steps are counted anew: what the child saves from now on must not look older than what it began from.
        keeper.save(state.payload(), step=state.step, epoch=state.closed_epochs, reason=manifest["reason"])
        keeper.drop(manifest["step"])
    inside = state.step - state.closed_epochs * steps_per_epoch
    where = f"epoch {state.closed_epochs + 1}, step {inside} of {steps_per_epoch}"
    message = f"going on after step {state.step} ({where}), checkpoint: {manifest['reason']}"
    is_branch = bool(job.run.parent_run_id) and job.run.step is None
    job.event("forked-from" if is_branch else "resumed-from", "; ".join([message, *told]), step=state.step)


supervised = pretrain
"""The job of a run of kind `supervised`: the same, with labels."""
