"""What every rank but the first one does: it takes its part of the steps that it is called to, and nothing else.

It opens no store and writes no file. A signal is the first rank's to answer, which ends the others by a word; where
that rank is lost, its connections end, and so does this one.
"""

import signal
import socket
import sys
import time
from collections.abc import Iterator

from trainer.compiled import check_compiler
from trainer.config import PretrainConfig
from trainer.data import load as load_dataset
from trainer.device import Machine, prepare_for
from trainer.device_lock import DeviceLockError, open_lock
from trainer.devices import CPU, describe
from trainer.distributed.figures import Publisher
from trainer.distributed.ready import ready_stepper
from trainer.distributed.stepper import SharedStepper
from trainer.distributed.told import Start
from trainer.errors import BusyError, DataError, ExitCode, TrainerError
from trainer.gpu import make_sampler
from trainer.group import Line, Word, joined
from trainer.loader import Batch, ViewLoader
from trainer.ranks import Ranks, is_lost_rank
from trainer.schedule import learning_rate
from trainer.step import TrainState, new_state

_LEFT_TO_THE_FIRST = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


def follow(ranks: Ranks) -> int:
    """Be led until the first rank says that it is over; the exit code."""
    with joined(ranks) as line:
        for number in _LEFT_TO_THE_FIRST:
            signal.signal(number, signal.SIG_IGN)
        try:
            word, _ = line.hear()
            if word is Word.BEGIN:
                _train(line, line.share())
        except RuntimeError as error:
            if not is_lost_rank(error):  # this one's own, such as too little memory
                raise
            print(f"trainer: rank {ranks.rank} ends, since another rank is lost ({error})", file=sys.stderr)  # noqa: T201
            return ExitCode.TRY_AGAIN
    return ExitCode.FINISHED


def _train(line: Line, start: Start) -> None:
    config = PretrainConfig.from_json(start.config)
    try:
        machine = prepare_for(config, line.ranks)
        hold_device(machine, line.ranks)
        check_compiler(config, machine)
        dataset = load_dataset(config, _say)
        if dataset.fingerprint != start.data:
            raise DataError(f"--dataset: rank {line.ranks.rank} finds other images in {dataset.name} than rank 0")
    except TrainerError as error:
        line.hear_all(error)
        return
    if line.hear_all() is not None:
        return
    state = new_state(config, machine, classes=len(dataset.pretrain.classes), data=dataset.fingerprint)
    state.restore(start.payload)
    labels = dataset.pretrain.labels if config.is_supervised else None
    loader = ViewLoader(
        dataset.pretrain.images, config, machine, workers=config.num_workers, labels=labels, ranks=line.ranks
    )
    try:
        stepper = ready_stepper(line, state, loader, config, machine)
        with Publisher(line, machine, make_sampler(machine.uuid, _say)):
            _take_steps(line, state, loader, stepper, config)
    except TrainerError as error:
        print(f"trainer: rank {line.ranks.rank}: {error}", file=sys.stderr)  # noqa: T201
    finally:
        loader.close()


def hold_device(machine: Machine, ranks: Ranks) -> None:
    """Hold the lock of this rank's device, shared, until the process ends.

    Raises:
        BusyError: a benchmark has it for itself.
    """
    name = machine.uuid or CPU
    try:
        is_held = open_lock(name).share()
    except DeviceLockError as error:
        print(f"trainer: rank {ranks.rank}: {error}", file=sys.stderr)  # noqa: T201
        return
    if not is_held:
        where = f"{describe(name)} of rank {ranks.rank} on {socket.gethostname()}"
        raise BusyError(f"--device: {where} is held by a benchmark; wait until it ends")


def _take_steps(
    line: Line, state: TrainState, loader: ViewLoader, stepper: SharedStepper, config: PretrainConfig
) -> None:
    per_epoch = loader.steps_per_epoch()
    batches: Iterator[Batch] = iter(())
    expected = -1
    while True:
        word, step = line.hear()
        if word is not Word.STEP:
            return
        if step != expected or step % per_epoch == 0:  # the first rank may have begun its batches anew
            batches = loader.epoch(step // per_epoch + 1, first_batch=step % per_epoch)
        state.step = step
        waited_from = time.perf_counter()
        batch = next(batches)
        line.pace.add_wait_for_data(time.perf_counter() - waited_from)
        stepper.take(batch, learning_rate(step + 1, per_epoch, config))
        expected = step + 1


def _say(kind: str, message: str) -> None:
    """What a data set has to say is said by the first rank."""
    del kind, message
