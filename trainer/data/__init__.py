"""Data sets: named splits of uint8 images and int64 labels, limited and cached as a config says."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from trainer.config import PretrainConfig
from trainer.data import cifar10, folder, shapes, stl10
from trainer.data.split import Check, Split, go_on, join, to_memory
from trainer.data.stratify import has_pair_of_a_class, stratified_split
from trainer.errors import ConfigError, DataError
from trainer.paths import typed_path

HOLD_OUT_SEED = 0
"""Fixes which images a supervised method does not train on, whatever the run's own seed."""

Report = Callable[[str, str], None]
"""Called with the kind and the sentence of what a person should know, such as a file that can't be read."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The splits that a run uses."""

    name: str
    train: Split | None
    """Labelled images that probes and the online kNN learn from, limited by `limit_per_class`."""
    test: Split | None
    """Labelled images that are only scored, limited by `limit_test_per_class`."""
    pretrain: Split
    """What is pretrained on."""
    validation: Split | None
    """A labelled split that is not trained on, for augmented views: `train`, or `test` where `train` is pretrained on
    without labels; for supervised methods the labelled images that were held out, if any."""
    synthetic: bool
    """Whether the program drew the images itself."""
    fingerprint: str
    """SHA-256 in hexadecimal; another one means other data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    """What `load` needs of a data set; `open` takes a split's name and what may stop it."""

    splits: tuple[str, ...]
    open: Callable[[str, Check], Split]
    fingerprint: Callable[[], str]
    synthetic: bool = False


def load(config: PretrainConfig, report: Report, check: Check = go_on, *, labelled_only: bool = False) -> Dataset:
    """Open the splits that a config names.

    Args:
        config: its `dataset`, `data_dir`, `split`, limits, `image_size` and `cache`. With `cache` ram or vram the
            images are read here, into memory that loader workers share where there are any.
        report: told about each file that is left out.
        check: called before each split and between the chunks of what is read, drawn or downloaded; it may raise to
            stop.
        labelled_only: read no image without a label as long as there are others; `pretrain` is `train` then.

    Raises:
        ConfigError: the data set has no such split, or the machine too little shared memory.
        DataError: the data are missing or broken, or can't be downloaded.
    """
    reader = _reader(config, report)
    labelled = next((split for split in ("train", "test") if split in reader.splits), None)
    name = labelled if labelled_only and labelled else _pretrain_name(config, reader.splits)
    opening = _Opening(reader, config, check)
    train = opening.labelled("train", config.limit_per_class)
    test = opening.labelled("test", config.limit_test_per_class)
    pretrain = opening.pretrain(name, train, test)
    validation = test if "train" in name.split("+") else train
    if config.is_supervised and not labelled_only:
        pretrain, validation = _hold_out(pretrain, config)
    return Dataset(
        name=config.dataset,
        train=train,
        test=test,
        pretrain=pretrain,
        validation=validation,
        synthetic=reader.synthetic,
        fingerprint=reader.fingerprint(),
    )


def _hold_out(split: Split, config: PretrainConfig) -> tuple[Split, Split | None]:
    """A labelled split without the images that are held out, and these.

    Raises:
        DataError: it has too few labels to learn from.
    """
    if len(split.labels.unique()) < 2 or int(split.labels.min()) < 0:
        raise DataError(
            f"--method: {config.method} needs labels of two classes or more, and {split.name} of {config.dataset} "
            "has fewer; choose simclr, another data set, or a larger --limit-images"
        )
    if not config.hold_out:
        return split, None
    if not has_pair_of_a_class(split.labels):
        raise DataError(
            f"--hold-out: no class of {config.dataset} has two images, so none can be held out; give --hold-out 0"
        )
    rest, held_out = stratified_split(split.labels, config.hold_out, HOLD_OUT_SEED)
    return split.subset(rest), split.subset(held_out)


def split_names(config: PretrainConfig) -> tuple[str, ...]:
    """The splits that the config's data set has; no image is read.

    Raises:
        DataError: there is no such folder.
    """
    return _reader(config, lambda _kind, _message: None).splits


def _reader(config: PretrainConfig, report: Report) -> _Reader:
    data_dir, size = typed_path(config.data_dir), config.image_size
    if config.dataset == "stl10":
        return _Reader(
            splits=stl10.SPLITS,
            open=lambda name, check: stl10.open_split(data_dir, name, size, check),
            fingerprint=partial(stl10.fingerprint, data_dir),
        )
    if config.dataset == "cifar10":
        return _Reader(
            splits=cifar10.SPLITS,
            open=lambda name, check: cifar10.open_split(data_dir, name, size, check),
            fingerprint=partial(cifar10.fingerprint, data_dir),
        )
    if config.dataset == "shapes":
        counts = {"train": config.limit_per_class, "test": config.limit_test_per_class}
        return _Reader(
            splits=shapes.SPLITS,
            open=lambda name, _check: shapes.open_split(name, size, per_class=counts[name]),
            fingerprint=shapes.fingerprint,
            synthetic=True,
        )
    root = typed_path(config.dataset.removeprefix("folder:"))
    limits = {
        "train": config.limit_per_class,
        "test": config.limit_test_per_class,
        "unlabeled": config.limit_images,
    }
    return _Reader(
        splits=folder.splits_of(root),
        open=lambda name, check: folder.open_split(
            root,
            name,
            size,
            limit=limits[name],
            in_memory=config.cache != "none",
            shared=_is_shared(config),
            report=report,
            check=check,
        ),
        fingerprint=partial(folder.fingerprint, root),
    )


def _pretrain_name(config: PretrainConfig, splits: tuple[str, ...]) -> str:
    if config.is_supervised:
        if "train" not in splits:
            raise DataError(
                f"--method: {config.method} needs labels, and {config.dataset} has no train split; choose simclr, or "
                "put images into train/<class>/"
            )
        return "train"
    if config.split == "auto":
        return "unlabeled" if "unlabeled" in splits else "train"
    if not set(config.split.split("+")) <= set(splits):
        raise ConfigError("split", f"{config.dataset} has no split {config.split}; choose auto, {' or '.join(splits)}")
    return config.split


@dataclass(frozen=True, slots=True)
class _Opening:
    """Opens the splits of one data set as a config says."""

    reader: _Reader
    config: PretrainConfig
    check: Check

    def labelled(self, name: str, per_class: int) -> Split | None:
        if name not in self.reader.splits:
            return None
        return self._cached(self._open(name).first_of_each_class(per_class))

    def pretrain(self, name: str, train: Split | None, test: Split | None) -> Split:
        limit = self.config.limit_images
        if name == "train" and train is not None:
            return train.first(limit)
        if name == "test" and test is not None:
            return test.first(limit)
        if name == "unlabeled" or train is None:
            return self._cached(self._open("unlabeled").first(limit))
        if 0 < limit <= len(train):
            return train.first(limit)
        unlabeled = self._open("unlabeled").first(limit - len(train) if limit else 0)
        return join(name, [train, self._cached(unlabeled)])

    def _open(self, name: str) -> Split:
        self.check()
        return self.reader.open(name, self.check)

    def _cached(self, split: Split) -> Split:
        if self.config.cache == "none":
            return split
        held = to_memory(split.images, self.check, shared=_is_shared(self.config))
        return Split(split.name, held, split.labels, split.classes)


def _is_shared(config: PretrainConfig) -> bool:
    return config.cache == "ram" and config.num_workers > 0
