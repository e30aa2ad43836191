"""`python -m trainer.replay`: one step of a run once more, looked at from the inside.

It goes on from the newest checkpoint before the step that verifies, repeats the steps up to it (they are a function of
the settings and the images), and then takes that one with every layer watched. Each operation is launched by itself,
since no layer of a replayed graph can be looked at: where the trainer's steps are replayed or compiled, last digits may
be other ones, and the report says so. Nothing is stored, no lock is taken, and the run may go on meanwhile.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data import load as load_dataset
from trainer.device import Machine, prepare_for
from trainer.entry import answer
from trainer.errors import CheckpointError, ExitCode, NonFiniteError, UsageError
from trainer.loader import ViewLoader
from trainer.options import OptionParser
from trainer.paths import check_runs_dir, checkpoint_dir, runs_dir
from trainer.recorder import METRICS
from trainer.replay_report import Layers, StepReport, report_text
from trainer.restore import restore
from trainer.schedule import learning_rate
from trainer.step import TrainState, new_state, train_step
from trainer.stepper import EAGER
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay one step and print what it was like; the exit code."""
    options = _parser().parse_args(arguments)
    return answer(lambda: _replay(options))


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="python -m trainer.replay",
        description="Take one step of a run once more and show its loss, layers and gradients. Nothing is stored.",
    )
    parser.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    parser.add_argument("--run", metavar="RUN", required=True, help="id, beginning of the id, or name")
    parser.add_argument("--step", metavar="STEP", type=int, required=True, help="the step, counted from 1")
    parser.add_argument("--from-start", action="store_true", help="repeat all steps before it, without a checkpoint")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N [default the run's]")
    parser.add_argument("--json", action="store_true", help="print one JSON document for scripts")
    return parser


def _replay(options: argparse.Namespace) -> int:
    runs = runs_dir(options.runs_dir)
    check_runs_dir(runs)
    reader = StoreReader.open(runs)
    try:
        run = reader.find(options.run)
        recorded = {row["step"]: row for row in reader.steps(run.id, limit=-1)} if options.step > 0 else {}
    finally:
        reader.close()
    if run.kind not in TRAINED_KINDS:
        raise UsageError(f"--run: {run.name} is of kind {run.kind}, which trains nothing; name one that does")
    config = PretrainConfig.from_json(run.config)
    report = replay(runs, run, config, options.step, recorded, options=options, say=_note)
    sys.stdout.write(json.dumps(report.document(), indent=2) + "\n" if options.json else report_text(report))
    return ExitCode.FINISHED


def replay(
    runs: Path,
    run: Run,
    config: PretrainConfig,
    step: int,
    recorded: dict[int, dict[str, Any]],
    *,
    options: argparse.Namespace,
    say: Say,
) -> StepReport:
    """Repeat the steps from a checkpoint to one before `step`, then take that one watched.

    Args:
        runs: the runs folder.
        run: whose step it is.
        config: its settings.
        step: counted from 1.
        recorded: the stored rows by step.
        options: `from_start` and `device`.
        say: told what goes on.

    Raises:
        UsageError: the run has no such step.
        CheckpointError: no checkpoint before it verifies.
        NonFiniteError: a step before it is not finite already.
    """
    machine = _machine(config, options.device)
    _check_step(run, step)
    found = None if options.from_start else _newest_before(runs, run, config, step)
    if options.from_start and run.parent_run_id:
        raise UsageError(f"--from-start: {run.name} is a fork and begins from a checkpoint; leave --from-start out")
    say(f"loading {config.dataset}")
    dataset = load_dataset(replace(config, num_workers=0), lambda _, message: say(message))
    labels = dataset.pretrain.labels if config.is_supervised else None
    loader = ViewLoader(dataset.pretrain.images, config, machine, workers=0, labels=labels)
    state = new_state(config, machine, classes=len(dataset.pretrain.classes), data=dataset.fingerprint)
    if found is not None:
        payload, manifest = found
        if payload["data"] != dataset.fingerprint:
            raise UsageError(f"--dataset: the images of {dataset.name} are not those of {run.name}; put them back")
        restore(state, payload, manifest, steps_per_epoch=loader.steps_per_epoch())
    began_after = state.step
    say(f"repeating steps {began_after + 1:,} to {step:,}")
    repeated = _repeat_to(state, step - 1, loader, config, machine, recorded)
    return _watched_step(state, loader, config, machine, dataset, recorded.get(step), run, (began_after, repeated))


def _machine(config: PretrainConfig, device: str | None) -> Machine:
    return prepare_for(replace(config, device=device or config.device))


def _check_step(run: Run, step: int) -> None:
    if step < 1:
        raise UsageError(f"--replay: {step} is no step, they are counted from 1; give 1 or more")
    if run.total_steps is not None and step > run.total_steps:
        raise UsageError(f"--replay: {run.name} has {run.total_steps:,} steps; give at most that")


def _newest_before(runs: Path, run: Run, config: PretrainConfig, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Payload and manifest of the newest checkpoint before a step that verifies.

    Raises:
        CheckpointError: there is none.
    """
    folder = checkpoint_dir(runs, run.id)
    steps = checkpoint.steps_on_disk(folder) if folder.is_dir() else []

    def fits(manifest: dict[str, Any]) -> bool:
        return PretrainConfig.from_json(manifest["config"]).digest() == config.digest()

    for one in steps:
        if one < step:
            # Its trainer may delete it meanwhile, or it is damaged: the one before it will do.
            with suppress(ValueError, FileNotFoundError):
                return checkpoint.load(folder, one, fits)
    whose = f"the earliest of {run.name} is of step {steps[-1]:,}" if steps else f"{run.name} has none"
    remedy = "" if run.parent_run_id else f"; `python -m trainer.replay --runs-dir {runs} --run {run.id} --step {step} "
    remedy += "" if run.parent_run_id else "--from-start` repeats all steps before it"
    raise CheckpointError(f"--replay: no checkpoint before step {step:,} can be used, {whose}{remedy}")


def _repeat_to(
    state: TrainState,
    last: int,
    loader: ViewLoader,
    config: PretrainConfig,
    machine: Machine,
    recorded: dict[int, dict[str, Any]],
) -> tuple[int, int]:
    """Take the steps up to one; how many of them were recorded, and how many have the recorded loss bit for bit.

    Raises:
        NonFiniteError: one of them is not finite.
    """
    compared = same = 0
    per_epoch = loader.steps_per_epoch()
    while state.step < last:
        epoch = state.step // per_epoch + 1
        for batch in loader.epoch(epoch, first_batch=state.step % per_epoch):
            lr = learning_rate(state.step + 1, per_epoch, config)
            loss, *_, norm = train_step(state, loader.views(batch), lr, config, machine, batch.labels).tolist()
            state.step += 1
            if not (abs(loss) < float("inf") and abs(norm) < float("inf")):
                raise NonFiniteError(
                    f"--replay: step {state.step:,} before it is not finite already (loss {loss:.3g}, gradient norm "
                    f"{norm:.3g}); replay that one"
                )
            if state.step in recorded:
                compared += 1
                same += recorded[state.step]["loss"] == loss
            if state.step == last:
                break
    return compared, same


def _watched_step(
    state: TrainState,
    loader: ViewLoader,
    config: PretrainConfig,
    machine: Machine,
    dataset: Dataset,
    recorded: dict[str, Any] | None,
    run: Run,
    repeated: tuple[int, tuple[int, int]],
) -> StepReport:
    per_epoch = loader.steps_per_epoch()
    epoch, number = state.step // per_epoch + 1, state.step % per_epoch
    batch = next(loader.epoch(epoch, first_batch=number))
    views = loader.views(batch)
    indices = loader.indices(epoch, number)
    lr = learning_rate(state.step + 1, per_epoch, config)
    began_after, (compared, same) = repeated
    with Layers(state.model) as layers:
        # Not clipped, so that the gradients that are looked at are those that were computed.
        figures = train_step(state, views, lr, replace(config, clip_grad_norm=0.0), machine, batch.labels).tolist()
    return StepReport(
        run_id=run.id,
        name=run.name,
        step=state.step + 1,
        epoch=epoch,
        batch=number + 1,
        batches=per_epoch,
        learning_rate=lr,
        began_after=began_after,
        compared=compared,
        same=same,
        figures=dict(zip(METRICS, figures, strict=True)),
        recorded=recorded,
        layers=layers.seen,
        gradients=layers.gradients(),
        views=[tuple(view.aminmax()) for view in views.detach().float().cpu().chunk(config.views)],
        split=dataset.pretrain.name,
        images=indices.tolist(),
        odd_images=_odd_images(views, indices.tolist(), config.views),
        step_mode=json.loads(run.fingerprint or "{}").get("step_mode", EAGER),
    )


def _odd_images(views: Any, indices: list[int], count: int) -> list[int]:
    """Images of which a view has a value that is not finite."""
    sound = views.detach().isfinite().flatten(1).all(dim=1).cpu().view(count, -1).all(dim=0).tolist()
    return [index for index, is_sound in zip(indices, sound, strict=True) if not is_sound]


def _note(text: str) -> None:
    """Say what goes on, beside what is printed for others to read."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    # What a trainer sets before CUDA starts (trainer.run), so that the same kernels are taken.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(main())
