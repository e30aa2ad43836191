"""A checkpoint on the table: the model, the data it is scored on, and where the figures go."""

import contextlib
import dataclasses
import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import randomness
from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data.split import Split
from trainer.data.stratify import has_pair_of_a_class
from trainer.device import Machine
from trainer.errors import DataError, StoreError
from trainer.evaluate_config import EvaluateConfig
from trainer.features import extract
from trainer.job import Job
from trainer.model import SimCLRModel, build_model
from trainer.paths import run_dir
from trainer.sharing import make_folder

FEATURE_BATCH = 512


@dataclasses.dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subject:
    """What every way of evaluation is given. `test` is only ever scored; every choice is made on `train`."""

    job: Job
    """The job that evaluates; its control is asked between batches."""
    wish: EvaluateConfig
    source_id: str
    """The run that the figures belong to."""
    config: PretrainConfig
    """Of that run; with the data set of a transfer where there is one."""
    machine: Machine
    model: SimCLRModel
    """On the device, with the weights that are scored."""
    dataset: Dataset
    step: int
    """Of the weights."""

    @property
    def train(self) -> Split:
        """The labelled images that may be learnt from."""
        assert self.dataset.train is not None
        return self.dataset.train

    @property
    def test(self) -> Split:
        """The labelled images that are only scored."""
        assert self.dataset.test is not None
        return self.dataset.test

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.train.classes)

    def why_not(self) -> str | None:
        """Why no classifier can be fitted or scored, as the end of a sentence about the data set; None if one can."""
        train, test = self.dataset.train, self.dataset.test
        if train is None or test is None:
            return "has no labelled train and test splits"
        if len(test) == 0:
            return "has no labelled test image"
        strange = set(test.classes) - set(train.classes)
        if strange:
            return f"has test images of class {', '.join(sorted(strange)[:3])}, of which train has none"
        if len(train.labels.unique()) < 2:
            return "has fewer than two classes with labelled train images"
        # A probe's strength is chosen on images that are held out, of which the rest must say something.
        return None if has_pair_of_a_class(train.labels) else "has no class with two labelled train images"

    def require_labels(self) -> None:
        """See that classifiers can be fitted and scored.

        Raises:
            DataError: they can't.
        """
        reason = self.why_not()
        if reason is not None:
            name = self.dataset.name
            raise DataError(
                f"--dataset: {name} {reason}, so --what {self.wish.what} can't be scored; add labelled images"
            )

    def features(self, split: Split, model: SimCLRModel | None = None) -> dict[str, Tensor]:
        """Every layer's features of a split, float32 (N, D) on the CPU: in eval mode, without augmentation."""
        return extract(
            model or self.model,
            split.images.take,
            len(split.images),
            FEATURE_BATCH,
            self.machine.device,
            self.machine.autocast_dtype,
            self.job.control.check,
            normalisation=self.config.normalisation,
        )

    def untrained(self) -> SimCLRModel:
        """The network as it was before its first step, on the device."""
        model = build_model(self.config, classes=self.model.classes)
        return model.to(self.machine.device).to(memory_format=self.machine.memory_format)

    def progress(self, done: int, total: int, detail: str) -> None:
        """Say how far the evaluation is, on the terminal and in the store."""
        self.job.reporter.progress(f"evaluating {self.wish.what},", done, total, detail)
        if self.job.run.id != self.source_id:  # a run that scores itself at its end has steps of its own
            with contextlib.suppress(StoreError):  # a full disk; the figures themselves are insisted on
                self.job.store.update_run(self.job.run.id, step=done, total_steps=total, progress_at=time.time())
        self.job.control.check()

    def put(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write figures, each with protocol and layer and what was measured; what they share is filled in. Commits,
        and waits for space where the disk is full.

        Returns:
            The rows as they are in the store.
        """
        about = {
            "step": self.step,
            "dataset": self.wish.dataset,
            "labels_per_class": 0,
            "seed": self.wish.seed,
            "job_id": self.job.run.id,
        }
        made = [about | row for row in rows]
        # A day of training must not end as failed for a full disk.
        self.job.insist(
            lambda: self.job.store.put_evaluations(self.source_id, made),
            lambda error: f"figures not written ({error}); the evaluation waits, free some space",
        )
        return made

    def folder(self) -> Path:
        """Where files of this evaluation go; made if need be. Those of a transfer lie apart from the run's own."""
        path = self._root / f"step-{self.step}"
        if self.wish.dataset:
            path /= re.sub(r"[^A-Za-z0-9_]+", "-", self.wish.dataset).strip("-")
        make_folder(path, exist_ok=True)
        return path

    @property
    def _root(self) -> Path:
        return run_dir(self.job.runs, self.source_id) / "evaluations"

    def announce(self, path: Path, kind: str) -> None:
        """Tell the store of a file that this evaluation made. Commits.

        Args:
            path: in `folder()`, written whole.
            kind: map, picture or table.
        """
        data = path.read_bytes()
        row = {"run_id": self.source_id, "name": str(path.relative_to(self._root)), "kind": kind, "step": self.step}
        row |= {"path": str(path.relative_to(self.job.runs)), "bytes": len(data), "job_id": self.job.run.id}
        self.job.store.put_artifact(row | {"sha256": hashlib.sha256(data).hexdigest()})
        self.job.reporter.note(f"wrote {path}")

    def generator(self, *names: int | str) -> torch.Generator:
        """A generator on the CPU that is a function of the evaluation's seed and these names."""
        return randomness.generator(self.wish.seed, *names)
