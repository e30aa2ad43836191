"""Checkpoints to evaluate: a small untrained network on images that tell their class by their colour."""

import dataclasses
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested
from trainer.data import Dataset
from trainer.data.split import ImageSource, Split, TensorImages
from trainer.device import Machine
from trainer.errors import ConfigError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation.subject import Subject
from trainer.job import Job
from trainer.model import build_model
from trainer.report import LineReporter, Reporter
from trainer.store import RunStore

SIDE = 16
MACHINE = Machine(device=torch.device("cpu"), autocast_dtype=None, channels_last=False, deterministic=True)
CONFIG = PretrainConfig(
    dataset="shapes", image_size=SIDE, backbone="resnet-narrow", head_width=8, projection_size=4, device="cpu"
)


def colours(name: str, counts: tuple[int, ...], *, noise: float = 150.0) -> Split:
    """Images of one colour for each class under noise, classes in turn as long as they have images.

    Args:
        name: of the split, which also draws the noise.
        counts: images of each class.
        noise: deviation of a pixel from its class's colour; larger makes classes harder to tell.
    """
    generator = torch.Generator().manual_seed(len(name))
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.cat([torch.arange(count) for count in counts]).sort(stable=True).indices]
    means = 127 + 40 * torch.randn(len(counts), 3, 1, 1, generator=torch.Generator().manual_seed(7))
    pixels = means[labels] + noise * torch.randn(len(labels), 3, SIDE, SIDE, generator=generator)
    images = TensorImages(pixels.clamp(0, 255).to(torch.uint8))
    return Split(name, images, labels, tuple(f"c{label}" for label in range(len(counts))))


def make_subject(
    store: RunStore,
    wish: EvaluateConfig,
    *,
    train: Split,
    test: Any,
    config: PretrainConfig = CONFIG,
    job_id: str = "",
    reporter: Reporter | None = None,
) -> Subject:
    """A job that evaluates a run with these splits.

    Args:
        store: where the run and its job are made.
        wish: what the job is asked for.
        train: what it may learn from.
        test: what it scores; anything with the attributes of a split.
        config: of the run.
        job_id: goes on with that job and its run instead of making them.
        reporter: where it says how it does.
    """
    if job_id:
        source_id = store.run(job_id).source_run_id
        assert source_id is not None
    else:
        source_id = store.create_run(kind="pretrain", name="a", config=config.to_json())
        wish = dataclasses.replace(wish, run=source_id)
        job_id = store.create_run(kind="evaluate", name="a-evaluate", config=wish.to_json(), source_run_id=source_id)
    job = Job(store.run(job_id), store, store.runs_path, Control(store, job_id), reporter or LineReporter())
    return Subject(
        job=job,
        wish=wish,
        source_id=source_id,
        config=config,
        machine=MACHINE,
        model=build_model(dataclasses.replace(config, seed=1)),
        dataset=Dataset(
            name=config.dataset,
            train=train,
            test=test,
            pretrain=train,
            validation=None,
            synthetic=True,
            fingerprint="",
        ),
        step=10,
    )


@dataclasses.dataclass
class GuardedSplit:
    """A split that fails where its labels, or its images too, are looked at while it is closed."""

    split: Split
    images_too: bool = False
    closed: bool = True

    @property
    def labels(self) -> Tensor:
        """The labels, once it is open."""
        assert not self.closed, "test labels were read before the fit was done"
        return self.split.labels

    @property
    def images(self) -> ImageSource:
        """The images, once it is open."""
        assert not (self.closed and self.images_too), "test images were read before the fit was done"
        return self.split.images

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.split.classes

    def __len__(self) -> int:
        return len(self.split)


def figures(store: RunStore, subject: Subject) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What a job put, without when and how fast."""
    rows = [row for row in store.evaluations(subject.source_id) if row.job_id == subject.job.run.id]
    return {
        (row.layer, row.protocol, row.labels_per_class, row.seed): (
            row.top1,
            row.top5,
            row.train_top1,
            row.c,
            row.images,
        )
        for row in rows
    }


class EndingReporter(LineReporter):
    """Sends this process a SIGTERM as soon as so much is done."""

    def __init__(self, done: int) -> None:
        """Args: what `progress` is told when it ends."""
        super().__init__()
        self._last = done

    def progress(self, stage: str, done: int, total: int, detail: str) -> None:
        """Count, and end."""
        if done == self._last:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def ended_by_sigterm(subject: Subject) -> Iterator[None]:
    """Inside, the subject's job listens to signals and is expected to give way to one."""
    before = {number: signal.getsignal(number) for number in (15, 2, signal.SIGUSR1, signal.SIGHUP)}
    subject.job.control.listen()
    try:
        with pytest.raises(EndRequested):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refused_setting(store: RunStore, subject: Subject, run: Callable[[Subject], object], sentence: str) -> str:
    """The setting that a way of evaluation refuses with such a sentence, before anything was computed or stored."""
    subject.model.register_forward_pre_hook(lambda *_: pytest.fail("an image was encoded"))
    with pytest.raises(ConfigError, match=sentence) as raised:
        run(subject)
    assert store.evaluations(subject.source_id) == []
    return raised.value.setting
