"""Scores taken while a run goes on: contrastive validation and online kNN.

Neither looks at `test` labels: kNN takes 80 % of the labelled `train` as its bank and a fixed stratified fifth as its
queries, and for supervised methods the images that were held out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.data import Dataset
from trainer.data.split import Split
from trainer.data.stratify import has_pair_of_a_class, stratified_split
from trainer.device import Machine
from trainer.features import evaluation_mode, extract
from trainer.knn import knn_accuracy
from trainer.loader import ViewLoader
from trainer.model import SimCLRModel
from trainer.objective import objective

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
        warn: told the kind and the sentence where the labels don't allow a score that was asked for.
        """
        self._config = config
        self._machine = machine
        self._check = check
        if config.is_supervised and dataset.validation is None and (config.knn_every or config.validate_every):
            warn(
                "scores-skipped",
                f"no online kNN and no validation: {config.method} trains on all labels of {dataset.name}; "
                "--hold-out 0.1 keeps some for them",
            )
        self._bank, self._queries = self._neighbours(dataset, warn)
        self._pairs: ViewLoader | None = None
        self.validation_batch_size = 0
        if dataset.validation is not None and config.validate_every:
            # No workers: they would wait most of the time, and the pairs are few.
            labels = dataset.validation.labels if config.is_supervised else None
            self._pairs = ViewLoader(dataset.validation.images, config, machine, workers=0, labels=labels)
            self.validation_batch_size = min(config.batch_size, self._pairs.count)

    @property
    def knn_queries(self) -> int | None:
        """Images that the kNN is scored on, None where there is no kNN."""
        return len(self._queries) if self._queries is not None else None

    def _neighbours(self, dataset: Dataset, warn: Callable[[str, str], None]) -> tuple[Split | None, Split | None]:
        """Bank and queries of the kNN: never images whose labels were trained on as queries, and never test."""
        config, train = self._config, dataset.train
        if not config.knn_every or train is None or len(train.labels.unique()) < 2:
            return None, None
        if config.is_supervised:
            return (dataset.pretrain if dataset.validation is not None else None), dataset.validation
        if not has_pair_of_a_class(train.labels):
            warn(
                "knn-skipped",
                f"no online kNN: no class of {dataset.name} has two labelled train images, so none can be held out",
            )
            return None, None
        bank, queries = stratified_split(train.labels, QUERY_FRACTION, SPLIT_SEED)
        return train.subset(bank), train.subset(queries)

    def __call__(self, model: SimCLRModel, epoch: int) -> dict[str, Any]:
        """The columns of `epochs` that are due at the end of this epoch."""
        figures: dict[str, Any] = {}
        last = epoch == self._config.epochs
        if self._pairs is not None and (last or epoch % self._config.validate_every == 0):
            figures |= self.validate(model)
        every = self._config.knn_every
        if self._bank is not None and self._queries is not None and every and (last or epoch % every == 0):
            figures |= self.knn(model, self._bank, self._queries)
        return figures

    def validate(self, model: SimCLRModel) -> dict[str, Any]:
        """Loss and accuracies of always the same augmented views, in eval mode.

        Contrastive figures depend on how many images are told apart, so that number is fixed, stored beside them, and
        a short last batch is left out. A classifier's don't, so there every image counts once.
        """
        assert self._pairs is not None
        drop_last = self._config.method != "cross-entropy"
        sums, rows = [], 0
        with evaluation_mode(model), torch.no_grad():
            for batch in self._pairs.fixed_views(self.validation_batch_size, drop_last=drop_last):
                with self._machine.autocast():
                    z = model(self._pairs.views(batch))
                loss, metrics = objective(z, self._config, batch.labels)
                figures = (loss, metrics.acc_top1, metrics.acc_top5, metrics.acc_mean_pos)
                sums.append(torch.stack([figure.double() for figure in figures]) * len(z))
                rows += len(z)
                self._check()
        names = ("val_loss", "val_acc_top1", "val_acc_top5", "val_acc_mean_pos")
        means = (torch.stack(sums).sum(dim=0) / rows).tolist()
        return dict(zip(names, means, strict=True)) | {"val_batch_size": self.validation_batch_size}

    def knn(self, model: SimCLRModel, bank: Split, queries: Split) -> dict[str, Any]:
        """Top-1 and top-5 of the kNN classifier on h."""
        of_bank, of_queries = (self._features(model, split) for split in (bank, queries))
        classes = len(bank.classes)
        top1, top5 = knn_accuracy(of_bank, bank.labels, of_queries, queries.labels, classes=classes)
        return {"knn_top1": top1, "knn_top5": top5}

    def _features(self, model: SimCLRModel, split: Split) -> Tensor:
        """h of a split, in eval mode and without augmentation."""
        return extract(
            model,
            split.images.take,
            len(split.images),
            FEATURE_BATCH,
            self._machine.device,
            self._machine.autocast_dtype,
            self._check,
            normalisation=self._config.normalisation,
        )["h"]
