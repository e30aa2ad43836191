"""What a run may be told: the frozen configs, one docstring per setting.

Defaults are the recipe of the UvA tutorial 17 (SimCLR on STL10), so that a run that sets nothing reproduces it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainer.errors import ConfigError
from trainer.quote import quoted
from trainer.serialised import Serialised
from trainer.settings import Setting, check_all

DATASETS = ("stl10", "cifar10", "shapes", "folder:PATH")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet-narrow")
BACKBONES = (*RESNETS, "timm:NAME")
TIMM = "timm:"
SUPERVISED = ("supcon", "cross-entropy")
"""Methods that learn from the labels of the split that they train on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig(Serialised):
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
    hold_out: Annotated[float, Setting(group="Data", low=0, high=0.5, unit="of each class")] = 0.1
    """Part of the labelled images that supcon and cross-entropy don't train on, so that their online scores are
    honest; 0 trains on all and takes no such score. SimCLR sees no label and holds nothing out."""
    image_size: Annotated[int, Setting(group="Data", low=16, high=512, unit="pixels", common=True)] = 96
    """Side of the square images that the network sees."""
    cache: Annotated[Literal["none", "ram", "vram"], Setting(group="Data", results=False)] = "ram"
    """Where decoded images wait: none reads each when needed, ram shares one tensor between workers, vram keeps
    the split on the training device and needs no workers."""

    method: Annotated[Literal["simclr", "supcon", "cross-entropy"], Setting(group="Method", common=True)] = "simclr"
    """What is learnt: simclr (no label), supcon (labels decide which views belong together) or cross-entropy (the
    supervised baseline: the same encoder with a linear classifier)."""
    views: Annotated[int, Setting(group="Method", low=1, high=8, unit="views")] = 2
    """Augmented views of each image in a batch; simclr and supcon need two or more."""
    temperature: Annotated[float, Setting(group="Method", low=0.01, high=10, common=True)] = 0.07
    """Divides the cosine similarities in the loss of simclr and supcon."""
    negatives: Annotated[bool, Setting(group="Method")] = True
    """Push views of different images apart; without it the embeddings collapse, which is all that it is good for."""

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

    augment: Annotated[Literal["kornia", "torchvision", "fused"], Setting(group="Augmentation", common=True)] = "kornia"
    """Who computes the views: kornia, a batch on the training device; torchvision, an image in the workers; or fused,
    a batch on the training device in as few passes as it allows."""
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
    same_on_batch: Annotated[bool, Setting(group="Augmentation")] = False
    """Give all images of a batch the same draws, as Kornia's setting of that name: a trivial task, to see its harm."""
    normalisation: Annotated[Literal["half", "cifar10", "imagenet"], Setting(group="Augmentation")] = "half"
    """Mean and deviation that are taken off the pixels last: 0.5 and 0.5, or those of CIFAR-10 or ImageNet."""

    backbone: Annotated[str, Setting(group="Model", common=True)] = "resnet18"
    """The encoder f: resnet18, resnet34, resnet50, resnet-narrow (one basic block a stage, widths 24-48-96, for small
    machines), or timm:NAME for any model of timm (needs the extra simclr-tui[timm])."""
    stem: Annotated[Literal["imagenet", "small"], Setting(group="Model")] = "imagenet"
    """First layers of a ResNet: imagenet is 7×7 stride 2 and max-pooling, small is 3×3 stride 1 without it;
    resnet-narrow always has the small one."""
    width_multiplier: Annotated[float, Setting(group="Model", low=0.125, high=4, unit="times")] = 1.0
    """Widens or narrows every layer of a ResNet."""
    head_layers: Annotated[int, Setting(group="Model", low=1, high=3, unit="layers")] = 2
    """Linear layers of the projection head g."""
    head_width: Annotated[int, Setting(group="Model", low=8, high=8192, unit="features")] = 512
    """Width of the head's hidden layers."""
    head_batch_norm: Annotated[bool, Setting(group="Model")] = False
    """Batch norm after each linear layer of the head, as google-research/simclr has it; the tutorial has none."""
    projection_size: Annotated[int, Setting(group="Model", low=2, high=4096, unit="features")] = 128
    """Size of z, on which the loss is computed."""

    epochs: Annotated[int, Setting(group="Optimisation", low=1, high=100_000, unit="epochs", common=True)] = 500
    """Passes over the split."""
    batch_size: Annotated[int, Setting(group="Optimisation", low=2, high=65_536, unit="images", common=True)] = 256
    """Images a step; each gives --views views."""
    optimizer: Annotated[Literal["adamw", "sgd", "lars"], Setting(group="Optimisation")] = "adamw"
    """AdamW, SGD with momentum (no Nesterov), or LARS: SGD with a step for each layer that fits its weights."""
    learning_rate: Annotated[float, Setting(group="Optimisation", low=1e-8, high=100, common=True)] = 5e-4
    """Highest learning rate, before it is scaled by the batch size."""
    learning_rate_scaling: Annotated[Literal["none", "linear", "sqrt"], Setting(group="Optimisation")] = "none"
    """Multiplies the learning rate: linear by batch size / 256, sqrt by the root of the batch size."""
    weight_decay: Annotated[float, Setting(group="Optimisation", low=0, high=1)] = 1e-4
    """Decay of the weights."""
    decay_norm_and_bias: Annotated[bool, Setting(group="Optimisation")] = True
    """Decay batch norm and biases too, as the tutorial does; google-research/simclr and others leave them out."""
    momentum: Annotated[float, Setting(group="Optimisation", low=0, high=0.9999)] = 0.9
    """Momentum of SGD and LARS; AdamW does not use it."""
    trust_coefficient: Annotated[float, Setting(group="Optimisation", low=1e-6, high=1)] = 1e-3
    """Part of a layer's norm that LARS moves it by, times the learning rate (its eta)."""
    clip_grad_norm: Annotated[float, Setting(group="Optimisation", low=0, high=1e6)] = 0.0
    """Largest L2 norm of all gradients together; longer ones are shortened, 0 leaves them."""
    ema_decay: Annotated[float, Setting(group="Optimisation", low=0, high=0.99999)] = 0.0
    """Keep an exponential moving average of the weights with this decay, which is what gets scored; 0 keeps none."""
    warmup_epochs: Annotated[float, Setting(group="Optimisation", low=0, high=1000, unit="epochs")] = 0.0
    """Epochs in which the learning rate grows linearly to its highest value."""
    warmup_start: Annotated[float, Setting(group="Optimisation", low=0, high=1, unit="of the learning rate")] = 0.0
    """Where the warm-up begins."""
    cosine_from: Annotated[Literal["warmup", "start"], Setting(group="Optimisation")] = "warmup"
    """Where the cosine begins: after the warm-up, or at the first step, so that the warm-up climbs to a point of it."""
    milestones: Annotated[str, Setting(group="Optimisation", unit="epochs")] = ""
    """Epochs after which the learning rate drops, such as 70,90; empty takes the cosine instead."""
    milestone_factor: Annotated[float, Setting(group="Optimisation", low=0.001, high=1)] = 0.1
    """What each milestone multiplies the learning rate by."""
    learning_rate_floor: Annotated[float, Setting(group="Optimisation", low=0, high=1, unit="of the learning rate")] = (
        0.02
    )
    """Where the cosine ends, as a part of the learning rate."""
    schedule: Annotated[Literal["step", "epoch"], Setting(group="Optimisation")] = "epoch"
    """Whether the learning rate changes with each step or only between epochs."""
    seed: Annotated[int, Setting(group="Optimisation", low=0, high=2**31 - 1, common=True)] = 42
    """Everything random is a function of it."""

    device: Annotated[str, Setting(group="Machine", common=True, results=False)] = "auto"
    """auto takes the first CUDA device, else the CPU; next takes the free GPU with the most memory when the run begins;
    or cpu, cuda, cuda:N."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Setting(group="Machine")] = "auto"
    """Autocast type of the network; auto is bfloat16 on a CUDA device that computes in it, else float32. The loss is
    always float32."""
    channels_last: Annotated[Literal["auto", "yes", "no"], Setting(group="Machine")] = "auto"
    """Memory layout of images and weights; auto is yes on CUDA and no on a CPU."""
    compile: Annotated[Literal["auto", "no", "graph", "yes"], Setting(group="Machine")] = "auto"
    """How a step is run: no launches each operation, graph replays the whole step as one CUDA graph, yes compiles the
    network with inductor too; auto is graph on a CUDA device where the step can be captured, else no."""
    deterministic: Annotated[Literal["auto", "yes", "no"], Setting(group="Machine")] = "auto"
    """Bit-reproducible kernels; auto is yes on a CPU, where it costs nothing, and on CUDA."""
    threads: Annotated[int, Setting(group="Machine", low=0, high=1024, unit="threads")] = 0
    """CPU threads of the training process; 0 takes the cores at hand when the run is made, and stays with it."""

    hang_seconds: Annotated[float, Setting(group="Machine", low=0, high=864_000, unit="seconds", results=False)] = 600.0
    """Without any progress for so long (six times that but while it trains), or for 60 steps if that is longer, the
    trainer is ended with exit code 70 by its watchdog; a fifth of it writes the stacks of all threads into the log. 0
    turns the watchdog off."""

    knn_every: Annotated[int, Setting(group="Evaluation", low=0, high=100_000, unit="epochs")] = 1
    """Epochs between online kNN scores; 0 takes none."""
    validate_every: Annotated[int, Setting(group="Evaluation", low=0, high=100_000, unit="epochs")] = 1
    """Epochs between contrastive validations; 0 makes none."""
    health_every: Annotated[int, Setting(group="Evaluation", low=0, high=100_000, unit="epochs")] = 1
    """Epochs between looks at the embeddings themselves (rank, spread, alignment), for the verdict; 0 takes none."""
    evaluate_at_end: Annotated[bool, Setting(group="Evaluation")] = True
    """Score raw pixels, the untrained encoder, h and z on test once the last epoch is done."""

    checkpoint_seconds: Annotated[
        float, Setting(group="Checkpoints", low=0, high=86_400, unit="seconds", results=False)
    ] = 60.0
    """A checkpoint is written at the first step after so long; it grows where one would cost over 1 % of the time."""
    checkpoint_in_background: Annotated[bool, Setting(group="Checkpoints", results=False)] = True
    """Write checkpoints from a copy while training goes on; a pause, a stop and the end wait for theirs."""
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
        check_dataset(self.dataset)
        check_device(self.device)
        self._check_method()
        self._check_model()
        self._check_schedule()
        if 0 < self.hang_seconds < 1:
            raise ConfigError("hang_seconds", "is so short that every step would be a hang; give 0, or 1 or more")
        if self.crop_scale_min > self.crop_scale_max:
            raise ConfigError("crop_scale_min", "is above --crop-scale-max; make it smaller")
        if self.blur_sigma_min > self.blur_sigma_max:
            raise ConfigError("blur_sigma_min", "is above --blur-sigma-max; make it smaller")
        if self.blur_kernel and self.blur_kernel % 2 == 0:
            raise ConfigError("blur_kernel", f"{self.blur_kernel} is even; give an odd number, or 0")
        if self.cache == "vram" and self.augment == "torchvision":
            raise ConfigError(
                "cache", "vram needs --augment kornia or fused, which work on the device; change one of them"
            )

    def _check_method(self) -> None:
        if self.method != "cross-entropy" and self.views < 2:
            raise ConfigError("views", f"{self.method} compares views of an image; give 2 or more")
        if self.method != "simclr" and not self.negatives:
            raise ConfigError("negatives", f"{self.method} is not defined without them; leave --no-negatives out")
        if self.is_supervised and self.split not in ("auto", "train"):
            reason = "is kept for scoring" if self.split == "test" else "has images without labels"
            raise ConfigError("split", f"{self.method} learns from labels, and {self.split} {reason}; choose train")

    def _check_model(self) -> None:
        if self.backbone not in RESNETS and not (self.backbone.startswith(TIMM) and self.backbone != TIMM):
            raise ConfigError("backbone", f"{quoted(self.backbone)} is not known; choose {', '.join(BACKBONES)}")
        plain = self.backbone in RESNETS and self.backbone != "resnet-narrow"
        if self.width_multiplier != 1 and not plain:
            raise ConfigError(
                "width_multiplier", f"does not apply to {self.backbone}; leave it out, or choose a resnet"
            )
        if self.stem == "small" and self.backbone.startswith(TIMM):
            raise ConfigError("stem", f"does not apply to {self.backbone}; leave it out or choose a resnet")

    def _check_schedule(self) -> None:
        if self.warmup_epochs > self.epochs:
            raise ConfigError("warmup_epochs", "is above --epochs; make it smaller")
        epochs, text = self.milestone_epochs, quoted(self.milestones)
        if list(epochs) != sorted(set(epochs)) or any(not 0 < epoch < self.epochs for epoch in epochs):
            raise ConfigError("milestones", f"{text} must grow and lie between 0 and --epochs; change it")

    @property
    def is_supervised(self) -> bool:
        """Whether it learns from labels."""
        return self.method in SUPERVISED

    @property
    def kind(self) -> str:
        """The kind of run (`runs.kind`) that these settings make."""
        return "supervised" if self.method == "cross-entropy" else "pretrain"

    @property
    def milestone_epochs(self) -> tuple[int, ...]:
        """The milestones as numbers.

        Raises:
            ConfigError: they are not whole numbers with commas between them.
        """
        try:
            return tuple(int(word) for word in self.milestones.split(",")) if self.milestones.strip() else ()
        except ValueError:
            raise ConfigError("milestones", f"{quoted(self.milestones)} is not a list of epochs; write 70,90") from None

    @property
    def blur_kernel_size(self) -> int:
        """Width of the blur's kernel in pixels, odd (google-research/simclr data_util.py: height // 10 made odd)."""
        return self.blur_kernel or max(3, self.image_size // 10 // 2 * 2 + 1)


def check_dataset(dataset: str, setting: str = "dataset") -> None:
    """Raises: ConfigError, where no data set has that name."""
    if dataset in DATASETS and dataset != "folder:PATH":
        return
    if dataset.startswith("folder:") and len(dataset) > len("folder:"):
        return
    raise ConfigError(setting, f"{quoted(dataset)} is not known; choose {', '.join(DATASETS)}")


def check_device(device: str) -> None:
    """Raises: ConfigError, where that can be no device."""
    kind, _, index = device.partition(":")
    if device in ("auto", "cpu", "cuda", "next") or (kind == "cuda" and index.isdigit()):
        return
    if kind == "mps":
        raise ConfigError("device", "Apple's GPUs (mps) are not supported, see docs/platforms.md; choose cpu")
    raise ConfigError("device", f"{quoted(device)} is not known; choose auto, next, cpu, cuda or cuda:N")
