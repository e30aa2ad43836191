"""What a run may be told: the frozen configs, one docstring per setting.

Defaults are the recipe of the UvA tutorial 17 (SimCLR on STL10), so that a run that sets nothing reproduces it.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from trainer.errors import ConfigError
from trainer.settings import Setting, check_all, fields_of

DATASETS = ("stl10", "cifar10", "shapes", "folder:PATH")
FOLDER = "folder:"


class _Serialised:
    """Conversion to and from the JSON that the store keeps in `runs.config`."""

    def to_json(self) -> str:
        """Every setting, sorted by name."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that was stored; settings added since take their defaults.

        Raises:
            ConfigError: a value is out of bounds, or a setting is not known to this version.
        """
        return cls.from_values(json.loads(text))

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """A config from a mapping of names to values.

        Raises:
            ConfigError: a value is out of bounds, or a name is not a setting.
        """
        known = {field.name for field in fields_of(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(name, "no such setting; `python -m trainer.run --help` lists them")
        return cls(**values)

    def digest(self) -> str:
        """SHA-256 over the settings that can change a result, in hexadecimal."""
        values = {f.name: getattr(self, f.name) for f in fields_of(type(self)) if f.setting.results}
        if str(values.get("dataset")).startswith(FOLDER):
            values["dataset"] = FOLDER  # where the images lie is not what they are, which has a fingerprint of its own
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig(_Serialised):
    """SimCLR pretraining (Chen et al. 2020, arXiv 2002.05709) and the evaluation at its end."""

    dataset: Annotated[str, Setting(group="Data", common=True)] = "stl10"
    """Images to train on: stl10, cifar10, shapes (drawn by the program) or folder:PATH (your own)."""
    data_dir: Annotated[str, Setting(group="Data", results=False)] = "data"
    """Folder that stl10 and cifar10 are downloaded to and read from."""
    split: Annotated[
        Literal["auto", "train", "test", "unlabeled", "train+unlabeled"], Setting(group="Data", common=True)
    ] = "auto"
    """Split that is pretrained on; auto is unlabeled where there is one, else train."""
    limit_images: Annotated[int, Setting(group="Data", low=0, unit="images")] = 0
    """Use the first so many images of the split; 0 uses all."""
    limit_per_class: Annotated[int, Setting(group="Data", low=0, unit="images per class")] = 0
    """Use the first so many images of each class of train; 0 uses all."""
    limit_test_per_class: Annotated[int, Setting(group="Data", low=0, unit="images per class")] = 0
    """Use the first so many images of each class of test; 0 uses all."""
    image_size: Annotated[int, Setting(group="Data", low=16, high=512, unit="pixels", common=True)] = 96
    """Side of the square images that the network sees."""
    cache: Annotated[Literal["none", "ram", "vram"], Setting(group="Data", results=False)] = "ram"
    """Where decoded images wait: none reads each when needed, ram shares one tensor between workers, vram keeps
    the split on the training device and needs no workers."""

    num_workers: Annotated[int, Setting(group="Loader", low=0, high=64, unit="processes", results=False)] = 2
    """DataLoader workers; 0 loads in the training process."""
    pin_memory: Annotated[bool, Setting(group="Loader", results=False)] = True
    """Copy batches to page-locked memory first (CUDA only; nothing is done on a CPU)."""
    persistent_workers: Annotated[bool, Setting(group="Loader", results=False)] = True
    """Keep the workers between epochs (needs workers)."""
    prefetch_factor: Annotated[
        int, Setting(group="Loader", low=1, high=64, unit="batches per worker", results=False)
    ] = 2
    """Batches that each worker loads ahead."""
    drop_last: Annotated[bool, Setting(group="Loader")] = True
    """Leave out the last batch of an epoch where it is short."""

    augment: Annotated[Literal["kornia", "torchvision"], Setting(group="Augmentation", common=True)] = "kornia"
    """Who computes the views: kornia, a batch on the training device, or torchvision, an image in the workers."""
    crop_scale_min: Annotated[float, Setting(group="Augmentation", low=0.01, high=1, unit="of the area")] = 0.08
    """Smallest crop."""
    crop_scale_max: Annotated[float, Setting(group="Augmentation", low=0.01, high=1, unit="of the area")] = 1.0
    """Largest crop."""
    crop_ratio_max: Annotated[float, Setting(group="Augmentation", low=1, high=4, unit="width / height")] = 4 / 3
    """Widest crop; the narrowest is its inverse."""
    flip_probability: Annotated[float, Setting(group="Augmentation", low=0, high=1)] = 0.5
    """Chance of a horizontal flip."""
    jitter_probability: Annotated[float, Setting(group="Augmentation", low=0, high=1)] = 0.8
    """Chance that the colours are jittered."""
    jitter_brightness: Annotated[float, Setting(group="Augmentation", low=0, high=1, unit="±")] = 0.5
    """Spread of the brightness factor around 1."""
    jitter_contrast: Annotated[float, Setting(group="Augmentation", low=0, high=1, unit="±")] = 0.5
    """Spread of the contrast factor around 1."""
    jitter_saturation: Annotated[float, Setting(group="Augmentation", low=0, high=1, unit="±")] = 0.5
    """Spread of the saturation factor around 1."""
    jitter_hue: Annotated[float, Setting(group="Augmentation", low=0, high=0.5, unit="± of the circle")] = 0.1
    """Spread of the hue shift."""
    grayscale_probability: Annotated[float, Setting(group="Augmentation", low=0, high=1)] = 0.2
    """Chance that the colours are taken away."""
    blur_probability: Annotated[float, Setting(group="Augmentation", low=0, high=1)] = 1.0
    """Chance of a Gaussian blur."""
    blur_kernel: Annotated[int, Setting(group="Augmentation", low=0, high=101, unit="pixels")] = 0
    """Width of the blur's kernel, odd; 0 takes a tenth of the side made odd, at least 3."""
    blur_sigma_min: Annotated[float, Setting(group="Augmentation", low=0.01, high=20, unit="pixels")] = 0.1
    """Smallest sigma of the blur."""
    blur_sigma_max: Annotated[float, Setting(group="Augmentation", low=0.01, high=20, unit="pixels")] = 2.0
    """Largest sigma of the blur."""

    backbone: Annotated[
        Literal["resnet18", "resnet34", "resnet50", "resnet-narrow"], Setting(group="Model", common=True)
    ] = "resnet18"
    """The encoder f; resnet-narrow (one basic block a stage, widths 24-48-96) is for small machines."""
    stem: Annotated[Literal["imagenet", "small"], Setting(group="Model")] = "imagenet"
    """First layers of a ResNet: imagenet is 7×7 stride 2 and max-pooling, small is 3×3 stride 1 without it;
    resnet-narrow always has the small one."""
    head_layers: Annotated[int, Setting(group="Model", low=1, high=3, unit="layers")] = 2
    """Linear layers of the projection head g."""
    head_width: Annotated[int, Setting(group="Model", low=8, high=8192, unit="features")] = 512
    """Width of the head's hidden layers."""
    projection_size: Annotated[int, Setting(group="Model", low=2, high=4096, unit="features")] = 128
    """Size of z, on which the loss is computed."""
    temperature: Annotated[float, Setting(group="Model", low=0.01, high=10, common=True)] = 0.07
    """Divides the cosine similarities in NT-Xent."""

    epochs: Annotated[int, Setting(group="Optimisation", low=1, high=100_000, unit="epochs", common=True)] = 500
    """Passes over the split."""
    batch_size: Annotated[int, Setting(group="Optimisation", low=2, high=65_536, unit="images", common=True)] = 256
    """Images a step; each gives two views."""
    optimizer: Annotated[Literal["adamw", "sgd"], Setting(group="Optimisation")] = "adamw"
    """AdamW, or SGD with Nesterov-free momentum."""
    learning_rate: Annotated[float, Setting(group="Optimisation", low=1e-8, high=100, common=True)] = 5e-4
    """Highest learning rate."""
    weight_decay: Annotated[float, Setting(group="Optimisation", low=0, high=1)] = 1e-4
    """Decay of all parameters, batch norm and biases included, as the tutorial does it."""
    momentum: Annotated[float, Setting(group="Optimisation", low=0, high=0.9999)] = 0.9
    """Momentum of SGD; AdamW does not use it."""
    warmup_epochs: Annotated[float, Setting(group="Optimisation", low=0, high=1000, unit="epochs")] = 0.0
    """Epochs in which the learning rate grows linearly to its highest value."""
    learning_rate_floor: Annotated[float, Setting(group="Optimisation", low=0, high=1, unit="of the learning rate")] = (
        0.02
    )
    """Where the cosine ends, as a part of the learning rate."""
    schedule: Annotated[Literal["step", "epoch"], Setting(group="Optimisation")] = "epoch"
    """Whether the learning rate changes with each step or only between epochs."""
    seed: Annotated[int, Setting(group="Optimisation", low=0, high=2**31 - 1, common=True)] = 42
    """Everything random is a function of it."""

    device: Annotated[str, Setting(group="Machine", common=True, results=False)] = "auto"
    """auto takes the first CUDA device, else the CPU; or cpu, cuda, cuda:N."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Setting(group="Machine")] = "auto"
    """Autocast type of the network; auto is bfloat16 on a CUDA device that computes in it, else float32. The loss is
    always float32."""
    channels_last: Annotated[Literal["auto", "yes", "no"], Setting(group="Machine")] = "auto"
    """Memory layout of images and weights; auto is yes on CUDA and no on a CPU."""
    deterministic: Annotated[Literal["auto", "yes", "no"], Setting(group="Machine")] = "auto"
    """Bit-reproducible kernels; auto is yes on a CPU, where it costs nothing, and on CUDA."""
    threads: Annotated[int, Setting(group="Machine", low=0, high=1024, unit="threads")] = 0
    """CPU threads of the training process; 0 takes the cores at hand when the run is made, and stays with it."""

    knn_every: Annotated[int, Setting(group="Evaluation", low=0, high=100_000, unit="epochs")] = 1
    """Epochs between online kNN scores; 0 takes none."""
    validate_every: Annotated[int, Setting(group="Evaluation", low=0, high=100_000, unit="epochs")] = 1
    """Epochs between contrastive validations; 0 makes none."""
    evaluate_at_end: Annotated[bool, Setting(group="Evaluation")] = True
    """Score raw pixels, the untrained encoder, h and z on test once the last epoch is done."""

    checkpoint_seconds: Annotated[
        float, Setting(group="Checkpoints", low=0, high=86_400, unit="seconds", results=False)
    ] = 60.0
    """A checkpoint is written at the first step after so long; it grows where one would cost over 1 % of the time."""
    keep_checkpoints: Annotated[int, Setting(group="Checkpoints", low=2, high=1000, results=False)] = 3
    """Newest checkpoints kept, beside the best and the last one."""
    keep_every_epochs: Annotated[
        int, Setting(group="Checkpoints", low=0, high=100_000, unit="epochs", results=False)
    ] = 50
    """Also keep the checkpoint at the end of every so many epochs; 0 keeps none."""

    def __post_init__(self) -> None:
        """Check each field, then what must agree between fields.

        Raises:
            ConfigError: naming the setting, the reason and the remedy.
        """
        check_all(self)
        _check_dataset(self.dataset)
        _check_device(self.device)
        if self.crop_scale_min > self.crop_scale_max:
            raise ConfigError("crop_scale_min", "is above --crop-scale-max; make it smaller")
        if self.blur_sigma_min > self.blur_sigma_max:
            raise ConfigError("blur_sigma_min", "is above --blur-sigma-max; make it smaller")
        if self.blur_kernel and self.blur_kernel % 2 == 0:
            raise ConfigError("blur_kernel", f"{self.blur_kernel} is even; give an odd number, or 0")
        if self.cache == "vram" and self.augment == "torchvision":
            raise ConfigError("cache", "vram needs --augment kornia, which works on the device; change one of them")
        if self.warmup_epochs > self.epochs:
            raise ConfigError("warmup_epochs", "is above --epochs; make it smaller")

    @property
    def blur_kernel_size(self) -> int:
        """Width of the blur's kernel in pixels, odd (google-research/simclr data_util.py: height // 10 made odd)."""
        return self.blur_kernel or max(3, self.image_size // 10 // 2 * 2 + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig(_Serialised):
    """Linear evaluation and kNN of one checkpoint, as a job of its own."""

    run: Annotated[str, Setting(group="Evaluation")] = ""
    """Id of the run whose checkpoint is scored."""
    step: Annotated[int, Setting(group="Evaluation", low=0, unit="steps")] = 0
    """Step of the checkpoint; 0 takes the newest one that verifies."""
    baselines: Annotated[bool, Setting(group="Evaluation")] = True
    """Score raw pixels and the untrained encoder too."""
    tutorial_probe: Annotated[bool, Setting(group="Evaluation")] = False
    """Also fit the linear layer as the UvA tutorial does (AdamW, 100 epochs, features as they are), to compare."""
    device: Annotated[str, Setting(group="Machine", common=True)] = "auto"
    """auto takes the first CUDA device, else the CPU; or cpu, cuda, cuda:N."""
    threads: Annotated[int, Setting(group="Machine", low=0, high=1024, unit="threads")] = 0
    """CPU threads of the process; 0 takes the cores at hand."""

    def __post_init__(self) -> None:
        """Check each field.

        Raises:
            ConfigError: naming the setting, the reason and the remedy.
        """
        check_all(self)
        _check_device(self.device)


def _check_dataset(dataset: str) -> None:
    if dataset in DATASETS and dataset != "folder:PATH":
        return
    if dataset.startswith("folder:") and len(dataset) > len("folder:"):
        return
    raise ConfigError("dataset", f"{dataset!r} is not known; choose {', '.join(DATASETS)}")


def _check_device(device: str) -> None:
    kind, _, index = device.partition(":")
    if device in ("auto", "cpu", "cuda") or (kind == "cuda" and index.isdigit()):
        return
    raise ConfigError("device", f"{device!r} is not known; choose auto, cpu, cuda or cuda:N")
