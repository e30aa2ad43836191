"""What an evaluation may be told: one frozen config for all the ways to look at a checkpoint."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainer.config import check_dataset, check_device
from trainer.errors import ConfigError
from trainer.quote import quoted
from trainer.serialised import Serialised
from trainer.settings import Setting, check_all, fields_of

WAYS = ("layers", "labels", "invariance", "finetune", "map")

_BELONGS_TO = {
    "tutorial_probe": ("layers", "labels"),
    "labels_per_class": ("labels",),
    "seeds": ("labels",),
    "folds": ("labels",),
    "fractions": ("finetune",),
    "finetune_epochs": ("finetune",),
    "finetune_learning_rate": ("finetune",),
    "finetune_batch_size": ("finetune",),
    "projection": ("map",),
    "map_images": ("map",),
    "neighbours": ("map",),
}
"""Settings that only some ways of evaluation look at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig(Serialised):
    """The evaluation of one checkpoint, as a job of its own."""

    run: Annotated[str, Setting(group="Evaluation")] = ""
    """Id of the run whose checkpoint is scored."""
    step: Annotated[int, Setting(group="Evaluation", low=0, unit="steps")] = 0
    """Step of the checkpoint; 0 takes the newest one that verifies."""
    what: Annotated[Literal["layers", "labels", "invariance", "finetune", "map"], Setting(group="Evaluation")] = (
        "layers"
    )
    """layers: kNN and linear accuracy of every layer. labels: accuracy over the number of labels. invariance: what
    each layer still tells about the augmentations. finetune: train the encoder on with few labels. map: the
    representation in two dimensions, and the nearest neighbours of its images."""
    baselines: Annotated[bool, Setting(group="Evaluation")] = True
    """Score raw pixels and the untrained encoder too."""
    tutorial_probe: Annotated[bool, Setting(group="Evaluation")] = False
    """Also fit the linear layer as the UvA tutorial does (AdamW, 100 epochs, features as they are), to compare."""
    seed: Annotated[int, Setting(group="Evaluation", low=0, high=2**31 - 1)] = 0
    """Of what the evaluation draws: held-out images, subsets of labels, views."""

    dataset: Annotated[str, Setting(group="Transfer")] = ""
    """Another data set to score the encoder on: stl10, cifar10, shapes or folder:PATH; empty takes the run's own."""
    data_dir: Annotated[str, Setting(group="Transfer")] = ""
    """Folder that holds the data set; empty takes the run's."""
    limit_per_class: Annotated[int, Setting(group="Transfer", low=0, unit="images per class")] = 0
    """Use the first so many images of each class of its train split; 0 uses all."""
    limit_test_per_class: Annotated[int, Setting(group="Transfer", low=0, unit="images per class")] = 0
    """Use the first so many images of each class of its test split; 0 uses all."""

    labels_per_class: Annotated[str, Setting(group="Labels")] = ""
    """Numbers of labels per class, such as 10,50,500; empty takes those of 10,20,50,100,200,500 that there are."""
    seeds: Annotated[int, Setting(group="Labels", low=1, high=100, unit="draws")] = 5
    """Draws of each number of labels, over which mean and interval are taken."""
    folds: Annotated[bool, Setting(group="Labels")] = True
    """Also score STL10's ten official folds of 100 labels per class, where the data set has them."""

    fractions: Annotated[str, Setting(group="Fine-tuning", unit="%")] = "1,10,100"
    """Parts of the labels of train that the encoder is trained on with, in %."""
    finetune_epochs: Annotated[int, Setting(group="Fine-tuning", low=1, high=10_000, unit="epochs")] = 30
    """Passes over these labels."""
    finetune_learning_rate: Annotated[float, Setting(group="Fine-tuning", low=1e-8, high=100)] = 1e-3
    """Highest learning rate of AdamW, with a cosine to zero."""
    finetune_batch_size: Annotated[int, Setting(group="Fine-tuning", low=2, high=65_536, unit="images")] = 64
    """Images a step; at most as many as there are labels."""

    projection: Annotated[Literal["tsne", "umap", "pca"], Setting(group="Map")] = "tsne"
    """How the map is made: t-SNE, UMAP (needs the extra simclr-tui[umap]) or the two principal components."""
    map_images: Annotated[int, Setting(group="Map", low=10, high=20_000, unit="images")] = 2000
    """Images of the test split on the map, the same number of each class."""
    neighbours: Annotated[int, Setting(group="Map", low=1, high=50, unit="images")] = 8
    """Nearest train images that are noted for each image of the map."""

    device: Annotated[str, Setting(group="Machine", common=True)] = "auto"
    """auto takes the first CUDA device, else the CPU; next the free GPU with the most memory; or cpu, cuda, cuda:N."""
    threads: Annotated[int, Setting(group="Machine", low=0, high=1024, unit="threads")] = 0
    """CPU threads of the process; 0 takes the cores at hand."""

    def __post_init__(self) -> None:
        """Check each field, then the lists.

        Raises:
            ConfigError: naming the setting, the reason and the remedy.
        """
        check_all(self)
        check_device(self.device)
        if self.dataset:
            check_dataset(self.dataset)
        counts, parts = self.label_counts, self.label_fractions
        if any(count < 1 for count in counts) or list(counts) != sorted(set(counts)):
            text = quoted(self.labels_per_class)
            raise ConfigError("labels_per_class", f"{text} must grow from 1 on; write 10,50,500")
        if not parts or any(not 0 < part <= 1 for part in parts) or list(parts) != sorted(set(parts)):
            text = quoted(self.fractions)
            raise ConfigError("fractions", f"{text} must grow and lie above 0, to 100; write 1,10,100")
        self._check_what_is_ignored()

    def _check_what_is_ignored(self) -> None:
        """What a person asked for must not be passed over in silence."""
        for field in fields_of(type(self)):
            ways = _BELONGS_TO.get(field.name, (self.what,))
            if self.what not in ways and getattr(self, field.name) != field.default:
                raise ConfigError(field.name, f"belongs to --what {ways[0]}; leave it out, or ask for that")
            is_limit = field.name in ("limit_per_class", "limit_test_per_class")
            if is_limit and getattr(self, field.name) and not self.dataset:
                raise ConfigError(
                    field.name, "limits another --dataset, and the run's own has the run's limits; leave it out"
                )

    @property
    def label_counts(self) -> tuple[int, ...]:
        """The numbers of labels per class that were asked for; empty for the usual ones."""
        try:
            return (
                tuple(int(word) for word in self.labels_per_class.split(",")) if self.labels_per_class.strip() else ()
            )
        except ValueError:
            raise ConfigError(
                "labels_per_class", f"{quoted(self.labels_per_class)} is not a list of whole numbers; write 10,50,500"
            ) from None

    @property
    def label_fractions(self) -> tuple[float, ...]:
        """The parts of the labels for fine-tuning, each from 0 to 1."""
        try:
            return tuple(float(word) / 100 for word in self.fractions.split(",") if self.fractions.strip())
        except ValueError:
            text = quoted(self.fractions)
            raise ConfigError("fractions", f"{text} is not a list of numbers; write 1,10,100") from None
