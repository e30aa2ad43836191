"""The images of a benchmark, as each way of caching has them, read once for all trials."""

import dataclasses
from typing import Any

from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data import load as load_dataset
from trainer.data.split import Split, TensorImages, to_memory
from trainer.errors import ConfigError
from trainer.job import Job
from trainer.settings import fields_of

_WHICH = tuple(
    field.name
    for field in fields_of(PretrainConfig)
    if (field.setting.group == "Data" and field.name != "cache") or field.name == "method"
)
"""Settings that decide which images there are."""


class Images:
    """The split that is trained on: where it comes from, and in one tensor that loader workers share."""

    def __init__(self, job: Job) -> None:
        """Args: the job, which is told of files that are left out and may end what is read."""
        self._job = job
        self._sources: dict[tuple[Any, ...], Dataset] = {}
        self._held: dict[tuple[Any, ...], TensorImages] = {}

    def of(self, config: PretrainConfig) -> Split:
        """The split of a trial: read anew for each batch where nothing is cached, else from memory.

        Raises:
            EndRequested: the run was asked to end.
            ConfigError: the machine has too little shared memory for it.
            DataError: the images are missing or broken.
        """
        source = self._source(config).pretrain
        if config.cache == "none":
            return source
        return Split(source.name, self._in_memory(config, source), source.labels, source.classes)

    def fingerprint(self, config: PretrainConfig) -> str:
        """Of the images of a trial."""
        return self._source(config).fingerprint

    def bytes_beside(self, config: PretrainConfig) -> int:
        """What is in memory for the sake of other trials than one of these settings."""
        own = self._held.get(_key(config)) if config.cache == "ram" else None
        return sum(held.tensor.nbytes for held in self._held.values() if held is not own)

    def _source(self, config: PretrainConfig) -> Dataset:
        key = _key(config)
        if key not in self._sources:
            plain = dataclasses.replace(config, cache="none", num_workers=0)
            self._sources[key] = load_dataset(plain, self._job.warn, check=self._job.control.check)
        return self._sources[key]

    def _in_memory(self, config: PretrainConfig, source: Split) -> TensorImages:
        """The whole split in one tensor, in shared memory if there is room for it."""
        key, check = _key(config), self._job.control.check
        held = self._held.get(key)
        if held is None or (_is_for_workers(config) and not held.is_ready(shared=True)):
            try:
                held = to_memory(source.images, check, shared=True)
            except ConfigError:
                if _is_for_workers(config):
                    raise
                held = to_memory(source.images, check)
            self._held[key] = held
        return held


def _key(config: PretrainConfig) -> tuple[Any, ...]:
    return tuple(getattr(config, name) for name in _WHICH)


def _is_for_workers(config: PretrainConfig) -> bool:
    return config.cache == "ram" and config.num_workers > 0
