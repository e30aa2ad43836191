"""What figures rest on is told of the machine as it is."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.benchmark.benchmarks import TINY
from trainer.benchmark import evidence
from trainer.benchmark.images import Images
from trainer.config import PretrainConfig
from trainer.control import Control
from trainer.device import prepare
from trainer.job import Job
from trainer.memory import Usage
from trainer.report import make_reporter
from trainer.store import RunStore

BASE = PretrainConfig.from_values(TINY | {"threads": 1, "device": "cpu", "cache": "ram"})
IMAGE_BYTES = 3 * 16 * 16


@pytest.fixture
def images(store: RunStore) -> Images:
    """80 drawn images."""
    run_id = store.create_run(kind="benchmark", name="a", config="{}")
    control, reporter = Control(store, run_id), make_reporter(headless=False)
    return Images(Job(store.run(run_id), store, store.runs_path, control, reporter))


@pytest.mark.parametrize(("limit", "free"), [(5000, 4000), (11_000, 9000)])
def test_on_a_cpu_there_is_what_the_machine_has_and_what_the_process_may_take(
    images: Images, monkeypatch: pytest.MonkeyPatch, limit: int, free: int
) -> None:
    """The less of the two, for the device as for the host; to know the split's size nothing is read into memory."""
    virtual, shm = SimpleNamespace(available=9000, total=20_000), SimpleNamespace(free=700, total=800)
    monkeypatch.setattr(evidence, "usage", lambda _: Usage(peak=0, now=1000, limit=limit, whose="a limit"))
    monkeypatch.setattr("trainer.benchmark.evidence.psutil.virtual_memory", lambda: virtual)
    monkeypatch.setattr("trainer.benchmark.evidence.shutil.disk_usage", lambda _: shm)
    room = evidence.room(prepare(device="cpu", threads=1), BASE, images)
    assert (room.host_free_bytes, room.device_free_bytes, room.device_total_bytes) == (free, free, 20_000)
    assert room.shm_free_bytes == 700
    assert (room.image_bytes, room.split_bytes) == (IMAGE_BYTES, 80 * IMAGE_BYTES)
    assert images.bytes_beside(replace(BASE, cache="none")) == 0


def test_where_there_is_no_shared_memory_nothing_is_told_of_it(
    images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(evidence, "SHARED_MEMORY", tmp_path / "nowhere")
    assert evidence.room(prepare(device="cpu", threads=1), BASE, images).shm_free_bytes is None


def test_another_allocator_and_its_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = prepare(device="cpu", threads=1)
    for name in evidence._MALLOC:
        monkeypatch.delenv(name, raising=False)
    assert evidence.machine_words(machine).endswith("; malloc keeps freed pages")
    given: dict[str, Any] = {"MALLOC_ARENA_MAX": "2", "LD_PRELOAD": "", "HOME_MALLOC_": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert evidence.machine_words(machine).endswith("; malloc keeps freed pages, LD_PRELOAD=, MALLOC_ARENA_MAX=2")


def test_the_task_is_told_with_its_width_and_its_scale_where_they_are_not_the_usual_ones(images: Images) -> None:
    usual = evidence.task_words(BASE, images, "")
    assert usual == "resnet-narrow at 16 px, 80 images of shapes"
    changed = replace(BASE, backbone="resnet18", width_multiplier=2)
    wide = evidence.task_words(changed, images, "a quarter of the size")
    assert wide == "resnet18 × 2 at 16 px, 80 images of shapes; a quarter of the size"
