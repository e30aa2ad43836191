"""Why a trial could not be run, in a sentence; what ends the whole benchmark is not told so."""

import contextlib
import traceback

import torch

from trainer.control import EndRequested
from trainer.device import Machine
from trainer.errors import StoreError, StoreLostError, TrainerError
from trainer.memory import Usage
from trainer.room import size

_SHM_FULL = ("unable to write to file </torch", "unable to resize file <", "Bus error")
"""What torch says in a worker that gets no shared memory for a batch."""


def must_end(error: Exception) -> bool:
    """Whether it is not the trial's fault, so that no other trial would be better off."""
    return isinstance(error, EndRequested | StoreError | StoreLostError)


def sentence(error: Exception) -> str:
    """The reason of a trial that failed; what is a bug or an accident has its traceback in the log."""
    text = str(error)
    if isinstance(error, TrainerError):
        return text
    if any(words in text for words in _SHM_FULL):
        return "--num-workers: /dev/shm is full; take fewer workers or a smaller --batch-size, or make it larger"
    with contextlib.suppress(OSError):
        traceback.print_exception(error)
    line = text.strip().splitlines()[0] if text.strip() else "no reason was given"
    return f"{type(error).__name__}: {line}; the traceback is in the run's log"


def shortage(usage: Usage) -> str:
    """The reason of a trial that had too little memory."""
    had = f"peak {size(usage.peak)} of the {size(usage.limit)} of {usage.whose}"
    return f"--batch-size: a step needs more memory than there is ({had}); take a smaller one, or --cache ram or none"


def check_device(machine: Machine, trial: str) -> None:
    """See that the device still computes: some failures leave a process that can't use it any more.

    Raises:
        TrainerError: it does not; a trainer that resumes the benchmark can go on with the other trials.
    """
    if not machine.is_cuda:
        return
    try:
        torch.cuda.synchronize(machine.device)
        torch.ones(8, device=machine.device).sum().item()
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise TrainerError(
            f"{machine.name} can't be used by this process after {trial} ({said}); resume to go on with the others"
        ) from error
