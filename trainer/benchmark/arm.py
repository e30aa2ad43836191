"""What a trial runs with: its loader, its network and the way in which a step is run.

Trials that differ in nothing but how images are loaded and what is launched for a step train one network in turns, so
that a benchmark of many trials needs the memory of one. A step that was captured or compiled belongs to its own
network and is kept, since making it again takes longer than measuring it.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
from torch import is_tensor

from trainer.benchmark.images import Images
from trainer.config import PretrainConfig
from trainer.data.split import Split
from trainer.device import Machine, let_go, prepare_for
from trainer.errors import ConfigError
from trainer.job import Job
from trainer.loader import Batch, ViewLoader
from trainer.schedule import learning_rate
from trainer.settings import fields_of
from trainer.step import TrainState, new_state
from trainer.stepper import Stepper, make_stepper

_MOST_KEPT = 8
"""Captured or compiled steps that are kept, and networks of eager ones."""

UNCOUNTED_EPOCH = 100_000
"""The last epoch, of which steps are taken that do not count. The tables of the one after it are not drawn ahead, by a
thread that would be at work when the steps that count begin."""

_NETWORK = tuple(
    field.name
    for field in fields_of(PretrainConfig)
    if (field.setting.group in ("Method", "Model", "Optimisation") and field.name != "batch_size")
    or field.name in ("image_size", "channels_last")
)
"""Settings that a network and its optimiser depend on."""


class ShortLoader(ViewLoader):
    """A loader whose epochs end early: after the steps that are measured, and what workers have loaded ahead by then.

    Without the latter, the last steps would be taken beside workers that have nothing left to do.
    """

    def __init__(self, split: Split, config: PretrainConfig, machine: Machine, *, steps: int, job: Job | None) -> None:
        """Args: the images, the settings, the device, steps of an epoch (0 for all), and whom lost workers are told.

        Raises:
            ConfigError: there are too few images for a batch.
        """
        labels = split.labels if config.is_supervised else None
        # A run of few epochs is measured in as many as are asked for, with the tables of the next drawn ahead in each.
        config = replace(config, epochs=UNCOUNTED_EPOCH)
        super().__init__(split.images, config, machine, workers=config.num_workers, labels=labels, job=job)
        self.all_steps = super().steps_per_epoch()
        """Of a whole epoch."""
        self.steps = min(steps or self.all_steps, self.all_steps)
        """Of an epoch as it is measured."""
        self.stock = 0 if config.cache == "vram" else config.num_workers * config.prefetch_factor
        """Batches that workers load ahead."""
        if not self.all_steps:
            raise ConfigError("batch_size", f"{config.batch_size} is more than the {len(split)} images of {split.name}")

    def steps_per_epoch(self) -> int:
        """Batches that are asked for."""
        return min(self.all_steps, self.steps + self.stock)


@dataclass(slots=True)
class Arm:
    """A trial that is ready to run."""

    config: PretrainConfig
    machine: Machine
    split: Split
    loader: ShortLoader
    state: TrainState
    stepper: Stepper
    own_bytes: int = 0
    """Device memory that it holds between two turns."""
    peak_bytes: int = 0
    """The most device memory that it was seen to need."""

    @property
    def images_per_epoch(self) -> int:
        """Images of a whole epoch, those of a short last batch that is left out not counted."""
        count = len(self.split)
        return min(count, self.loader.all_steps * self.config.batch_size)

    def take(self, batch: Batch) -> None:
        """Take a step on a batch, with a rate of the first epoch however long it is measured."""
        steps = self.loader.all_steps
        self.stepper.take(batch, learning_rate(1 + self.state.step % steps, steps, self.config))
        self.state.step += 1

    def rest(self) -> None:
        """End the workers; the next epoch starts new ones."""
        self.loader.close()


class Arms:
    """Makes the arms of trials, and keeps what is worth it."""

    def __init__(self, job: Job, images: Images, *, steps: int) -> None:
        """Args: the job, the images of all trials, and the steps of an epoch as it is measured (0 for all)."""
        self._job = job
        self._images = images
        self._steps = steps
        self._kept: OrderedDict[PretrainConfig, Arm] = OrderedDict()
        self._networks: OrderedDict[str, TrainState] = OrderedDict()

    def kept(self, config: PretrainConfig) -> Arm | None:
        """The arm of settings that was kept, with the process's global state as it needs it."""
        arm = self._kept.get(config)
        if arm is not None:
            self._kept.move_to_end(config)
            prepare_for(config)
        return arm

    def make(self, config: PretrainConfig) -> Arm:
        """The arm of settings, which has taken no step.

        Raises:
            ConfigError: the settings can't be run here.
            DataError: the images can't be read.
        """
        machine = prepare_for(config)
        split = self._images.of(config)
        loader = ShortLoader(split, config, machine, steps=self._steps, job=self._job)
        state = self._network(config, machine, split)
        stepper = make_stepper(state, loader, config, machine, self._tell)
        return Arm(config, machine, split, loader, state, stepper)

    def keep(self, arm: Arm) -> None:
        """Keep an arm between its turns, if making it again would take long."""
        if not _has_own_network(arm.config, arm.machine):
            return
        self._kept[arm.config] = arm
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def drop(self, machine: Machine) -> None:
        """Let go of everything that is kept, and give its memory back."""
        self._kept.clear()
        self._networks.clear()
        let_go(machine)

    def holds_more_than(self, config: PretrainConfig) -> bool:
        """Whether something is kept that an arm of these settings has no use for."""
        others = any(kept != config for kept in self._kept)
        return others or any(key != _network_key(config) for key in self._networks)

    def bytes_beside(self, arm: Arm) -> int:
        """Device memory that is kept for other arms."""
        kept = sum(other.own_bytes for other in self._kept.values() if other is not arm)
        return kept + sum(_state_bytes(state) for state in self._networks.values() if state is not arm.state)

    def _tell(self, kind: str, message: str, *, level: str = "info") -> None:
        """Pass on what is wrong with a step, and not what every trial chose."""
        if level != "info":
            self._job.event(kind, message, level=level)

    def _network(self, config: PretrainConfig, machine: Machine, split: Split) -> TrainState:
        """A network in training; one for all trials whose steps are launched one operation after the other."""
        fingerprint = self._images.fingerprint(config)
        if _has_own_network(config, machine):
            return new_state(config, machine, classes=len(split.classes), data=fingerprint)
        key = _network_key(config)
        if key not in self._networks:
            self._networks[key] = new_state(config, machine, classes=len(split.classes), data=fingerprint)
            while len(self._networks) > _MOST_KEPT:
                self._networks.popitem(last=False)
        return self._networks[key]


def _has_own_network(config: PretrainConfig, machine: Machine) -> bool:
    """Whether a step is captured or compiled, or that is tried: it holds on to where the weights lie."""
    return config.compile == "yes" or (machine.is_cuda and config.compile != "no")


def _network_key(config: PretrainConfig) -> str:
    return json.dumps([getattr(config, name) for name in _NETWORK])


def _state_bytes(state: TrainState) -> int:
    """Device memory of a network in training, between two steps; 0 on a CPU."""
    modules = [state.model] if state.ema is None else [state.model, state.ema]
    tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    tensors += [weight.grad for weight in state.model.parameters() if weight.grad is not None]
    tensors += [value for values in state.optimizer.state.values() for value in values.values() if is_tensor(value)]
    return sum(tensor.nbytes for tensor in tensors if tensor.is_cuda)


def allocated_bytes(machine: Machine) -> int:
    """Device memory that torch has given out; 0 on a CPU, where the host's figures tell."""
    return torch.cuda.memory_allocated(machine.device) if machine.is_cuda else 0
