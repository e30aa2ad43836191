"""Too little memory, told with what was used, what there is, and the largest batch that fits.

The batch is never made smaller by itself: with NT-Xent the other images of the batch are the negatives, so it would be
another experiment. What is known of other runs on the device comes first, then what can be tried (on CUDA, where a
failed allocation harms nothing), then an estimate from the tensors that a step keeps for its backward pass.
"""

import ctypes
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import elsewhere
from trainer.config import PretrainConfig
from trainer.device import Machine, let_go
from trainer.errors import ConfigError, TrainerError
from trainer.job import Job
from trainer.objective import objective
from trainer.room import size
from trainer.step import TrainState, train_step
from trainer.store.records import TRAINED_KINDS

_NO_PRIMITIVE = "could not create a primitive"
"""What oneDNN says on a CPU where it gets no memory, and where it does not know an operation."""
_SAYS_SO = ("can't allocate memory", "Cannot allocate memory", "bad_alloc", "CUDA out of memory")
_ARENAS_BYTES = 192 * 2**20
"""Addresses that the C library sets aside for the heaps of threads that come later, 64 MiB each."""
_SAME: tuple[str, ...] = (
    "method",
    "views",
    "image_size",
    "backbone",
    "stem",
    "width_multiplier",
    "head_layers",
    "head_width",
)
_SAME += ("projection_size", "optimizer", "precision", "channels_last", "augment", "cache", "compile")
"""Settings, beside the batch size, that a step's memory depends on."""
_PROBES = (2, 4, 8)
"""Batch sizes that the estimate is made from."""
_BEYOND_KEPT = 1.6
"""Memory of a step over that of the tensors that it keeps: gradients on their way back, and the allocator's gaps."""
_LIBRARIES_BYTES = 64 * 2**20
"""What the libraries take beside it for kernels that they compile and for scratch space."""
_STEPS_OF_SEARCH = 32
"""The search ends when it knows the batch size to one part in so many."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of a device, or of this process on a CPU, in bytes."""

    peak: int
    now: int
    limit: int
    whose: str
    """What sets the limit, for people."""
    began: int = 0
    """What was taken before the work that ran out of it."""

    @property
    def is_nearly_full(self) -> bool:
        """Whether an eighth or less is left."""
        return self.peak >= 7 * self.limit // 8


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what went wrong; torch tells of it in several ways."""
    is_one = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_one or (isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in _SAYS_SO))


def attempt(work: Callable[[], None], machine: Machine) -> Usage | None:
    """Do something; None, or the memory at the moment when there was too little.

    It returns instead of raising because an exception holds on to the frames that it came through and so to their
    tensors (pytorch.org/docs, FAQ, "my out of memory exception handler can't allocate memory").
    """
    began = usage(machine).now
    try:
        work()
    except Exception as error:
        found = usage(machine)
        if not is_out_of_memory(error) and not (_NO_PRIMITIVE in str(error) and found.is_nearly_full):
            raise
        return replace(found, began=began)
    return None


def usage(machine: Machine) -> Usage:
    """Memory as it is now; the peak since the process began."""
    if machine.is_cuda:
        free, total = torch.cuda.mem_get_info(machine.device)
        peak = torch.cuda.max_memory_allocated(machine.device)
        return Usage(peak, total - free, total, machine.name)
    sizes = process_bytes()
    address_limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [
        Usage(sizes["VmHWM"], sizes["VmRSS"], os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"),
        *(Usage(sizes["VmHWM"], sizes["VmRSS"], limit, "this control group") for limit in _group_limits()),
    ]
    if address_limit != resource.RLIM_INFINITY:
        in_use = sizes["VmSize"] - _free_heap_bytes() + _ARENAS_BYTES
        limits.append(Usage(sizes["VmPeak"], in_use, address_limit, "this process (ulimit -v)"))
    return min(limits, key=lambda one: one.limit - one.now)


def process_bytes() -> dict[str, int]:
    """The sizes of this process by the names of proc_pid_status(5)."""
    if not elsewhere.has_proc():
        return elsewhere.memory_bytes()
    text = (elsewhere.PROC / "self" / "status").read_text()
    lines = [line.split() for line in text.splitlines() if line.startswith("Vm")]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


class _HeapInfo(ctypes.Structure):
    """struct mallinfo2 of mallinfo(3)."""

    _fields_ = (("before", ctypes.c_size_t * 8), ("fordblks", ctypes.c_size_t), ("keepcost", ctypes.c_size_t))


def _free_heap_bytes() -> int:
    """Addresses that the C library has kept for its next allocations; 0 where it doesn't say (glibc ≥ 2.33 does)."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return 0
    ask.restype = _HeapInfo
    return int(ask().fordblks)


def _group_limits() -> list[int]:
    """Limits of the control group, which is how a container is given its memory; empty where none is set."""
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits


def too_little(
    at_failure: Usage, job: Job, config: PretrainConfig, machine: Machine, state: TrainState
) -> TrainerError:
    """What a person is told. Call it once nothing of the failed step is left; it spoils the state."""
    let_go(machine)
    batch = config.batch_size
    had = f"peak {size(at_failure.peak)} of the {size(at_failure.limit)} of {at_failure.whose}"
    fits = _largest_known(job, config) or _largest_found(at_failure, config, machine, state)
    return TrainerError(
        f"--batch-size: a step of {batch:,} images with {config.views} views each needs more memory than there is "
        f"({had}); {fits}; launch a run with a smaller one, as this one's is never changed by itself"
    )


def _largest_known(job: Job, config: PretrainConfig) -> str:
    """What runs on the same device have trained with; empty where none tells anything."""
    if job.store.last_step(job.run.id):
        return "steps of this size did fit before, so look what else has taken the memory"
    best: tuple[int, str] = (0, "")
    for run in job.store.runs():
        if run.kind not in TRAINED_KINDS or not run.step or run.device != job.store.run(job.run.id).device:
            continue
        try:
            other = PretrainConfig.from_json(run.config)
        except (ConfigError, ValueError, TypeError):
            continue
        same = all(getattr(other, name) == getattr(config, name) for name in _SAME)
        if same and bool(other.ema_decay) == bool(config.ema_decay) and other.batch_size < config.batch_size:
            best = max(best, (other.batch_size, run.name))
    return f"{best[0]:,} images fit, as {best[1]} shows" if best[0] else ""


def _largest_found(at_failure: Usage, config: PretrainConfig, machine: Machine, state: TrainState) -> str:
    """What can be tried on CUDA and is estimated elsewhere."""
    if machine.is_cuda:
        found = largest_below(config.batch_size, lambda batch: _goes_through(batch, config, machine, state))
        return f"{found:,} images went through a trial step" if found else "not even 2 images went through a trial step"
    about = min(_estimate(at_failure.limit - at_failure.began, config, state), config.batch_size - 1)
    return f"about {about:,} images would fit, by an estimate" if about >= 2 else "by an estimate not even 2 images fit"


def largest_below(batch: int, fits: Callable[[int], bool]) -> int:
    """The largest batch size below one that fits, to one part in `_STEPS_OF_SEARCH`; 0 where not even 2 fits.

    Halves first, so that few sizes are tried that are far too large.
    """
    too_large, low = batch, batch // 2
    while low >= 2 and not fits(low):
        too_large, low = low, low // 2
    if low < 2:
        return 0
    while too_large - low > max(1, batch // _STEPS_OF_SEARCH):
        middle = (low + too_large) // 2
        if fits(middle):
            low = middle
        else:
            too_large = middle
    return low


def _goes_through(batch: int, config: PretrainConfig, machine: Machine, state: TrainState) -> bool:
    tried = replace(config, batch_size=batch)
    fitted = attempt(lambda: _trial_step(batch, tried, machine, state), machine) is None
    state.optimizer.zero_grad(set_to_none=True)
    let_go(machine)
    return fitted


def _trial_step(batch: int, config: PretrainConfig, machine: Machine, state: TrainState) -> None:
    """A step as the host launches it. Where a graph is asked for, one of twice the images: a graph keeps memory of
    its own beside that of the steps that are launched (trainer.graph)."""
    batch *= 2 if config.compile in ("graph", "yes") else 1
    views, labels = _some_views(batch, config, machine)
    train_step(state, views, 1e-6, config, machine, labels)
    machine.synchronize()


def _some_views(batch: int, config: PretrainConfig, machine: Machine) -> tuple[Tensor, Tensor | None]:
    side = config.image_size
    views = torch.rand(config.views * batch, 3, side, side, device=machine.device)
    labels = torch.zeros(batch, dtype=torch.int64) if config.is_supervised else None
    return views.contiguous(memory_format=machine.memory_format), labels


def _estimate(room: int, config: PretrainConfig, state: TrainState) -> int:
    """The largest batch whose step takes no more than so many bytes: what it keeps is a quadratic of the batch size.

    Every image has its activations, and every pair of views a similarity.
    """
    kept = [_kept_bytes(batch, config, state) for batch in _PROBES]
    # numpy.polyfit would do; three points need no more than differences.
    (a, b, c), (u, v, w) = _PROBES, kept
    first, second = (v - u) / (b - a), (w - v) / (c - b)
    square = max(0.0, (second - first) / (c - a))
    linear = first - square * (a + b)
    rest = u - linear * a - square * a * a
    gradients = sum(p.nbytes for p in state.model.parameters())
    views = 3 * 4 * config.image_size**2 * config.views
    batch = 0
    for step in (1 << k for k in reversed(range(17))):
        n = batch + step
        if _BEYOND_KEPT * (rest + linear * n + square * n * n) + 2 * views * n + gradients <= room - _LIBRARIES_BYTES:
            batch = n
    return batch


def _kept_bytes(batch: int, config: PretrainConfig, state: TrainState) -> int:
    """Bytes of the tensors that a forward pass keeps for the backward pass in float32, weights not counted.

    The network is computed on the meta device, which knows shapes and takes no memory. The model is moved
    there for good.
    """
    model = state.model.to("meta").train()
    own = {value.untyped_storage()._cdata for value in model.parameters()}
    seen: dict[int, int] = {}

    def pack(value: Any) -> Any:
        storage = value.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage.nbytes()
        return value

    side = config.image_size
    views = torch.empty(config.views * batch, 3, side, side, device="meta")
    labels = torch.zeros(batch, dtype=torch.int64) if config.is_supervised else None
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        z = model(views)
        # The loss can't be computed there, and takes little for so few images.
        kept = objective(torch.ones(z.shape, requires_grad=True), config, labels)
    del kept
    return sum(seen.values())
