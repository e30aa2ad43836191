"""Every way of caching gives a trial the same images, and they are read once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.benchmark import images
from trainer.benchmark.images import Images
from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested, Intent
from trainer.data import Dataset, load
from trainer.data.split import TensorImages
from trainer.errors import ConfigError
from trainer.job import Job
from trainer.report import make_reporter
from trainer.store import RunStore

BASE = PretrainConfig(dataset="shapes", limit_per_class=4, limit_test_per_class=1, image_size=16, num_workers=2)
BYTES = 40 * 3 * 16 * 16


@pytest.fixture
def job(store: RunStore) -> Job:
    """A benchmark's job."""
    run_id = store.create_run(kind="benchmark", name="a", config="{}")
    return Job(store.run(run_id), store, store.runs_path, Control(store, run_id), make_reporter(headless=False))


def test_each_cache_holds_them_as_it_should(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[PretrainConfig] = []

    def load_and_note(config: PretrainConfig, *arguments: Any, **more: Any) -> Dataset:
        loads.append(config)
        return load(config, *arguments, **more)

    monkeypatch.setattr(images, "load_dataset", load_and_note)
    held = Images(job)
    split = {cache: held.of(replace(BASE, cache=cache)) for cache in ("none", "ram", "vram")}
    first, second, third = (split[cache].images for cache in ("none", "ram", "vram"))
    assert not isinstance(first, TensorImages)  # drawn each time
    assert isinstance(second, TensorImages)
    assert second.tensor.is_shared()
    assert third is second
    assert torch.equal(first.take(range(40)), second.take(range(40)))
    assert all(torch.equal(one.labels, split["none"].labels) for one in split.values())
    assert len(loads) == 1
    assert held.bytes_beside(replace(BASE, cache="ram")) == 0
    assert held.bytes_beside(replace(BASE, cache="none")) == held.bytes_beside(replace(BASE, cache="vram")) == BYTES


def test_without_shared_memory_only_the_trials_with_workers_are_refused(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_path: Path) -> Any:
        return type("Usage", (), {"free": BYTES - 1})

    monkeypatch.setattr("trainer.data.split.shutil.disk_usage", full)
    held = Images(job)
    alone = held.of(replace(BASE, num_workers=0)).images
    assert isinstance(alone, TensorImages)
    assert not alone.tensor.is_shared()
    with pytest.raises(ConfigError, match=r"--cache: ram needs .* of shared memory"):
        held.of(BASE)
    assert held.of(replace(BASE, cache="vram")).images is alone


def test_the_images_of_a_method_that_holds_some_out_are_others(job: Job) -> None:
    held = Images(job)
    config = replace(BASE, cache="ram", hold_out=0.25)
    assert len(held.of(config)) == 40
    assert len(held.of(replace(config, method="supcon"))) == 30
    assert held.bytes_beside(config) == BYTES * 3 // 4


@pytest.mark.parametrize("has_room", [True, False])
def test_reading_them_into_memory_ends_where_the_run_is_asked_to_end(
    job: Job, monkeypatch: pytest.MonkeyPatch, has_room: bool
) -> None:
    def full(_path: Path) -> Any:
        return type("Usage", (), {"free": 2**40 if has_room else 0})

    def end() -> None:
        raise EndRequested(Intent.PAUSE)

    held, config = Images(job), replace(BASE, cache="ram", num_workers=0)
    assert len(held.of(replace(config, cache="none"))) == 40
    monkeypatch.setattr("trainer.data.split.shutil.disk_usage", full)
    monkeypatch.setattr(job.control, "check", end)
    with pytest.raises(EndRequested):
        held.of(config)
