"""Looks at a run's embeddings now and then, keeps the figures in the store, and has them judged in words.

The figures come from always the same images in always the same two augmented views, in eval mode, so that they can be
compared from epoch to epoch and need no label.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer import health
from trainer.chance import ChanceLevels, contrastive_chance
from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.device import Machine
from trainer.errors import StoreError
from trainer.facts import Facts, Figures
from trainer.features import evaluation_mode
from trainer.job import Job
from trainer.judge import Verdict, judge
from trainer.loader import ViewLoader
from trainer.model import SimCLRModel, build_model
from trainer.randomness import permutation
from trainer.store.connect import is_passing

IMAGES = 512
"""Images that are looked at, 1,024 views: below 1 % of an epoch of STL10's 100,000."""
BATCH = 256
JUDGE_SECONDS = 30.0
"""Seconds between verdicts within an epoch."""

_TELLING = ("warning", "sick")


class HealthWatch:
    """The health of one run."""

    def __init__(
        self,
        job: Job,
        config: PretrainConfig,
        machine: Machine,
        dataset: Dataset,
        loader: ViewLoader,
        *,
        feature_size: int,
        knn_queries: int | None,
    ) -> None:
        """Args: the run, its settings, the device, the data, the loader that trains, the size D of h, and the images
        that the online kNN is scored on."""
        self._job = job
        self._config = config
        self._machine = machine
        images = dataset.pretrain.images
        self._images = dataset.pretrain.subset(permutation(0, "health", len(images))[:IMAGES]).images
        self._count = len(self._images)
        # Two views, whatever the method trains on.
        pairs = dataclasses.replace(config, method="simclr", views=2, same_on_batch=False, negatives=True, cache="none")
        self._pairs = ViewLoader(self._images, pairs, machine, workers=0)
        self._classes = len(dataset.train.classes) if dataset.train is not None else None
        self._parameters_shared = loader.shares_parameters()
        self._images_distinct: float | None = None
        self._views_identical: float | None = None
        self._judged_at = time.monotonic()
        self._verdict: Verdict | None = None
        self._told = job.run.health_rule if job.run.health_level in _TELLING else None
        self._feature_size = feature_size
        self._knn_queries = knn_queries

    def begin(self) -> None:
        """Look at the images themselves, and at the untrained network where that was not done yet.

        Raises:
            EndRequested: the run was asked to end.
        """
        if not self._config.health_every or self._count < 2:
            return
        pixels = self._images.take(range(self._count)).flatten(1)
        self._images_distinct = len(pixels.unique(dim=0)) / self._count
        if not self._stored(0):
            model = build_model(self._config, classes=self._classes or 0)
            self.measure(model.to(self._machine.device).to(memory_format=self._machine.memory_format), step=0)
        else:
            self._views_identical = _share([_equal_views(views) for views in self._views()])

    def due(self, epoch: int) -> bool:
        """Whether the embeddings are to be looked at after this epoch."""
        every = self._config.health_every
        return bool(every) and self._count >= 2 and (epoch % every == 0 or epoch == self._config.epochs)

    def measure(self, model: SimCLRModel, *, step: int) -> None:
        """Measure the embeddings and write the figures. Commits.

        Raises:
            EndRequested: the run was asked to end; nothing was written.
        """
        h_parts: list[Tensor] = []
        z_parts: list[Tensor] = []
        identical = []
        with evaluation_mode(model):
            for views in self._views():
                with self._machine.autocast():
                    layers = list(model.layers(views).values())
                h_parts.append(_by_view(layers[0]))
                z_parts.append(_by_view(layers[-1]))
                identical.append(_equal_views(views))
                self._job.control.check()
        self._views_identical = _share(identical)
        h, z = (torch.cat(parts, dim=1).flatten(0, 1) for parts in (h_parts, z_parts))
        figures = health.measure(h, z)
        with contextlib.suppress(StoreError):  # a full disk; the next epoch measures again
            self._job.store.put_metrics(self._job.run.id, step, figures)

    def _views(self) -> Iterator[Tensor]:
        """All views, (2·B, 3, S, S) a batch that is no larger than one in training, a short last one included."""
        size = min(BATCH, self._config.batch_size, self._count)
        for batch in self._pairs.fixed_views(size, drop_last=False):
            yield self._pairs.views(batch)

    @property
    def is_due_again(self) -> bool:
        """Whether the last verdict is so long ago that the next is worth the queries."""
        return time.monotonic() - self._judged_at >= JUDGE_SECONDS

    def judge(self, *, step: int, recent_loss: float | None = None, is_finite: bool = True) -> Verdict:
        """Judge the run by what the store holds of it; the sentence becomes the run's, and an event where it is new.

        Args:
            step: steps taken.
            recent_loss: of the latest steps, within an epoch.
            is_finite: False where the loss or its gradient was not.
        """
        self._judged_at = time.monotonic()
        try:
            verdict = self._verdict = judge(self._facts(step, recent_loss, is_finite))
        except StoreError as error:
            if self._verdict is None or not is_passing(error):
                raise
            return self._verdict  # locked right now; the next look says more
        columns = {"health": verdict.words, "health_level": verdict.level, "health_rule": verdict.rule}
        with contextlib.suppress(StoreError):  # a full disk, of which the loop tells
            self._job.store.update_run(self._job.run.id, **columns)
        self._tell(verdict, step)
        return verdict

    def _tell(self, verdict: Verdict, step: int) -> None:
        """An event where a warning comes, changes or goes."""
        is_bad = verdict.level in _TELLING
        if (verdict.rule != self._told) if is_bad else (self._told is not None):
            level = "warning" if is_bad else "info"
            self._job.event("health", f"{verdict.words} (rule {verdict.rule})", level=level, step=step)
        self._told = verdict.rule if is_bad else None

    def _stored(self, step: int) -> Figures:
        """The figures of one step."""
        series = self._job.store.metrics(self._job.run.id, after=step - 1)
        return {name: points[0][1] for name, points in series.items() if points and points[0][0] == step}

    def _facts(self, step: int, recent_loss: float | None, is_finite: bool) -> Facts:
        config, store, run_id = self._config, self._job.store, self._job.run.id
        epochs = store.epochs(run_id)
        by_step: dict[int, dict[str, float | None]] = {}
        for name, points in store.metrics(run_id).items():
            for at, value in points:
                by_step.setdefault(at, {})[name] = value
        untrained = by_step.pop(0, None)
        latest = epochs[-1] if epochs else {}
        # A fork has rows of its own epochs alone, and they go on with its parent's numbers.
        begun = [] if epochs else store.steps(run_id, limit=1)
        closed = latest["epoch"] if epochs else begun[0]["epoch"] - 1 if begun else 0
        probe = self._probe()
        return Facts(
            method=config.method,
            epoch=closed,
            epochs=config.epochs,
            steps=step,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            temperature=config.temperature,
            projection_size=config.projection_size,
            feature_size=self._feature_size,
            classes=self._classes,
            is_finite=is_finite,
            losses=[row["loss"] for row in epochs],
            recent_loss=recent_loss,
            loss_chance=self._loss_chance(),
            acc_top1=latest.get("acc_top1"),
            acc_top1_chance=self._top1_chance(),
            val_losses=[row["val_loss"] for row in epochs],
            knn_queries=self._knn_queries,
            negatives=config.negatives,
            knn_top1=[row["knn_top1"] for row in epochs],
            health=[by_step[at] for at in sorted(by_step)],
            untrained=untrained,
            health_images=self._count,
            waiting=_waiting(latest if recent_loss is None else store.epoch_means(run_id, closed + 1)),
            views_identical=self._views_identical,
            parameters_shared=self._parameters_shared,
            images_distinct=self._images_distinct,
            probe_train=probe[0],
            probe_test=probe[1],
        )

    def _chance(self) -> ChanceLevels | None:
        config = self._config
        return contrastive_chance(config.method, config.batch_size, config.views, negatives=config.negatives)

    def _loss_chance(self) -> float | None:
        if self._config.method == "cross-entropy":
            return math.log(self._classes) if self._classes else None
        chance = self._chance()
        return chance.loss if chance is not None else None

    def _top1_chance(self) -> float | None:
        chance = self._chance() if self._config.method == "simclr" else None
        return chance.acc_top1 if chance is not None else None

    def _probe(self) -> tuple[float | None, float | None]:
        """Accuracy of the linear probe of h on what it was fitted to and on test, at the latest step scored."""
        rows = self._job.store.evaluations(self._job.run.id)
        own = [r for r in rows if (r.layer, r.protocol, r.labels_per_class, r.dataset) == ("h", "linear", 0, "")]
        last = max(own, key=lambda row: row.step, default=None)
        return (last.train_top1, last.top1) if last is not None else (None, None)


def _equal_views(views_MCHW: Tensor) -> Tensor:
    """Whether the two views of each image are the same pixels, bool (B,) on the CPU."""
    first, second = views_MCHW.chunk(2)
    equal_B: Tensor = (first == second).flatten(1).all(dim=1)
    return equal_B.cpu()


def _share(parts: Sequence[Tensor]) -> float:
    """The part that is true of several bool (B,)."""
    return torch.cat(list(parts)).double().mean().item()


def _by_view(features_MD: Tensor) -> Tensor:
    """(2·B, D), view 1 of all images first, as (2, B, D), float32 on the CPU."""
    features_2BD: Tensor = features_MD.float().unflatten(0, (2, -1))
    return features_2BD.cpu()


def _waiting(means: dict[str, Any]) -> float | None:
    """The part of the time that the loop waited for images."""
    waited, computed = means.get("t_data"), means.get("t_batch")
    if waited is None or computed is None or waited + computed <= 0:
        return None
    return float(waited / (waited + computed))
