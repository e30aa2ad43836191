"""Scores taken while a run goes on: contrastive validation and online kNN.

Neither sees a label in training, and neither looks at `test` labels: kNN takes 80 % of the labelled `train` as its
bank and a fixed stratified fifth as its queries.
"""

from collections.abc import Callable
from typing import Any

import torch

from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data.split import Split
from trainer.data.stratify import has_pair_of_a_class, stratified_split
from trainer.device import Machine
from trainer.features import evaluation_mode, extract
from trainer.knn import knn_accuracy
from trainer.loader import ViewLoader
from trainer.loss import loss_and_metrics
from trainer.model import SimCLRModel

QUERY_FRACTION = 0.2
SPLIT_SEED = 0
"""Fixes the queries of the online kNN for all runs, whatever their own seed."""

FEATURE_BATCH = 512


def _say_nothing(_kind: str, _message: str) -> None:
    pass


class OnlineScores:
    """Scores a model at the end of an epoch. Holds the data of both scores, loaded once."""

    def __init__(
        self,
        dataset: Dataset,
        config: PretrainConfig,
        machine: Machine,
        check: Callable[[], None],
        warn: Callable[[str, str], None] = _say_nothing,
    ) -> None:
        """Args:
        dataset: the data.
        config: the settings.
        machine: the device.
        check: called between batches; it may raise to stop.
        warn: told the kind and the sentence where the labels don't allow a kNN score that was asked for.
        """
        self._config = config
        self._machine = machine
        self._check = check
        self._train = dataset.train if _has_two_labels(dataset.train) else None
        if self._train is not None and config.knn_every and not has_pair_of_a_class(self._train.labels):
            self._train = None
            warn(
                "knn-skipped",
                f"no online kNN: no class of {dataset.name} has two labelled train images, so none can be held out",
            )
        self._pairs: ViewLoader | None = None
        self.validation_batch_size = 0
        if dataset.validation is not None and config.validate_every:
            # No workers: they would wait most of the time, and the pairs are few.
            self._pairs = ViewLoader(dataset.validation.images, config, machine, workers=0)
            self.validation_batch_size = min(config.batch_size, self._pairs.count)

    def __call__(self, model: SimCLRModel, epoch: int) -> dict[str, Any]:
        """The columns of `epochs` that are due at the end of this epoch."""
        figures: dict[str, Any] = {}
        last = epoch == self._config.epochs
        if self._pairs is not None and (last or epoch % self._config.validate_every == 0):
            figures |= self.validate(model)
        every = self._config.knn_every
        if self._train is not None and every and (last or epoch % every == 0):
            figures |= self.knn(model, self._train)
        return figures

    def validate(self, model: SimCLRModel) -> dict[str, Any]:
        """Loss and contrastive accuracies of always the same augmented pairs, in eval mode.

        The figures depend on how many pairs are told apart, so that number is fixed, stored beside them, and a
        short last batch is left out.
        """
        assert self._pairs is not None
        batches = []
        with evaluation_mode(model), torch.no_grad():
            for batch in self._pairs.fixed_pairs(self.validation_batch_size):
                with self._machine.autocast():
                    z = model(self._pairs.views(batch))
                loss, metrics = loss_and_metrics(z, self._config.temperature)
                figures = (loss, metrics.acc_top1, metrics.acc_top5, metrics.acc_mean_pos)
                batches.append(torch.stack([figure.float() for figure in figures]))
                self._check()
        names = ("val_loss", "val_acc_top1", "val_acc_top5", "val_acc_mean_pos")
        means = torch.stack(batches).double().mean(dim=0).tolist()
        return dict(zip(names, means, strict=True)) | {"val_batch_size": self.validation_batch_size}

    def knn(self, model: SimCLRModel, train: Split) -> dict[str, Any]:
        """Top-1 and top-5 of the kNN classifier on h."""
        features = extract(
            model,
            train.images.take,
            len(train.images),
            FEATURE_BATCH,
            self._machine.device,
            self._machine.autocast_dtype,
            self._check,
        )["h"]
        bank, queries = stratified_split(train.labels, QUERY_FRACTION, SPLIT_SEED)
        top1, top5 = knn_accuracy(
            features[bank], train.labels[bank], features[queries], train.labels[queries], classes=len(train.classes)
        )
        return {"knn_top1": top1, "knn_top5": top5}


def _has_two_labels(split: Split | None) -> bool:
    return split is not None and len(split.labels.unique()) > 1
