"""Encoders: torchvision's, wider and narrower ones, the small stem, and timm's models as they are installed."""

import sys

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet34_Weights, ResNet50_Weights

from trainer.backbones import build_encoder
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.model import build_model

RESNETS = {"resnet18": ResNet18_Weights, "resnet34": ResNet34_Weights, "resnet50": ResNet50_Weights}
TINY = ("test_vit", "test_resnet", "test_efficientnet")
"""Models that timm keeps for its own tests: some 0.4 million weights each."""


def encoder_without_values(**settings: object) -> tuple[nn.Module, int]:
    """Shapes alone, which cost nothing."""
    with torch.device("meta"):
        return build_encoder(PretrainConfig(**settings))  # type: ignore[arg-type]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def convolutions(encoder: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: module for name, module in encoder.named_modules() if isinstance(module, nn.Conv2d)}


def random_images(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("backbone", RESNETS)
def test_a_resnet_has_the_published_number_of_weights(backbone: str) -> None:
    encoder, features = encoder_without_values(backbone=backbone)
    published = RESNETS[backbone].IMAGENET1K_V1.meta["num_params"]
    assert count(encoder) == published - (features + 1) * 1000


@pytest.mark.parametrize(
    ("backbone", "published"), [("resnet18", 11_168_832), ("resnet34", 21_276_992), ("resnet50", 23_500_352)]
)
def test_with_the_small_stem_it_has_the_number_that_supcontrasts_has(backbone: str, published: int) -> None:
    assert count(encoder_without_values(backbone=backbone, stem="small")[0]) == published


@pytest.mark.parametrize(("multiplier", "millions"), [(1.0, 24), (2.0, 94), (4.0, 375)])
def test_a_wide_resnet_50_has_the_size_that_the_simclr_paper_prints(multiplier: float, millions: int) -> None:
    encoder, features = encoder_without_values(backbone="resnet50", width_multiplier=multiplier)
    assert round(count(encoder) / 1e6) == millions
    assert features == 2048 * multiplier


@pytest.mark.parametrize("backbone", RESNETS)
@pytest.mark.parametrize("multiplier", [2.0, 0.5])
@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_the_width_multiplier_multiplies_the_channels_of_every_convolution(
    backbone: str, multiplier: float, stem: str
) -> None:
    plain, features = encoder_without_values(backbone=backbone, stem=stem)
    wide, wide_features = encoder_without_values(backbone=backbone, stem=stem, width_multiplier=multiplier)
    assert wide_features == multiplier * features
    ours, theirs = convolutions(wide), convolutions(plain)
    assert list(ours) == list(theirs)
    for name, convolution in ours.items():
        narrow = theirs[name]
        assert convolution.out_channels == multiplier * narrow.out_channels, name
        assert convolution.in_channels == (3 if name == "conv1" else multiplier * narrow.in_channels), name
        assert convolution.stride == narrow.stride
        assert convolution.kernel_size == narrow.kernel_size


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_a_wide_resnet_at_one_time_the_width_is_torchvisions_bit_for_bit(backbone: str) -> None:
    """A multiplier that rounds to the plain width takes the wide class; with torchvision's weights it does the same."""
    wide, _ = build_encoder(PretrainConfig(backbone=backbone, width_multiplier=1 + 1e-9))
    reference = getattr(torchvision.models, backbone)(weights=None)
    reference.fc = nn.Identity()
    assert type(wide) is not type(reference)
    wide.load_state_dict(reference.state_dict(), strict=True)
    x = random_images(2, 32)
    assert torch.equal(wide.eval()(x), reference.eval()(x))


def test_a_wide_resnet_is_initialised_like_torchvisions() -> None:
    wide, features = build_encoder(PretrainConfig(width_multiplier=0.5))
    for name, convolution in convolutions(wide).items():
        fan_out = convolution.out_channels * convolution.kernel_size[0] ** 2
        assert convolution.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1), name
    for module in wide.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones(module.num_features))
    assert wide(random_images(2, 32)).shape == (2, features) == (2, 256)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_the_small_stem_keeps_the_maps_of_small_images(backbone: str) -> None:
    encoder, _ = build_encoder(PretrainConfig(backbone=backbone, stem="small", width_multiplier=0.125))
    sides: dict[str, int] = {}
    for stage in ("conv1", "layer1", "layer2", "layer3", "layer4"):
        encoder.get_submodule(stage).register_forward_hook(
            lambda _, inputs, output, stage=stage: sides.update({stage: output.shape[-1]})
        )
    encoder(random_images(2, 32))
    assert sides == {"conv1": 32, "layer1": 32, "layer2": 16, "layer3": 8, "layer4": 4}


@pytest.mark.parametrize("name", TINY)
def test_a_model_of_timm_is_an_encoder_like_any_other(name: str) -> None:
    config = PretrainConfig(backbone=f"timm:{name}", image_size=48, head_width=16, projection_size=8)
    model = build_model(config)
    assert model.training
    assert all(module.training for module in model.modules())
    assert model.encode(random_images(2, 48)).shape == (2, model.feature_size)
    assert model(random_images(2, 48)).shape == (2, 8)
    model(random_images(4, 48)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_weights_of_timms_models_are_a_function_of_the_seed(name: str) -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        return build_model(PretrainConfig(backbone=f"timm:{name}", image_size=32, seed=seed)).state_dict()

    before = torch.get_rng_state()
    first = weights(1)
    torch.rand(3)
    again, other = weights(1), weights(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    torch.set_rng_state(before)


def test_the_pass_that_measures_a_model_leaves_no_trace_in_its_statistics() -> None:
    encoder, _ = build_encoder(PretrainConfig(backbone="timm:test_resnet", image_size=32))
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.num_batches_tracked == 0 and not norm.running_mean.any() for norm in norms)  # type: ignore[union-attr]


def test_a_model_that_widens_its_features_after_pooling_says_so() -> None:
    encoder, features = build_encoder(PretrainConfig(backbone="timm:mobilenetv3_small_050", image_size=32))
    assert encoder.num_features != features == encoder(random_images(2, 32)).shape[1]


def test_a_vision_transformer_is_built_for_the_images_of_the_run() -> None:
    for side, patches in ((32, 4), (96, 36)):
        encoder, _ = build_encoder(PretrainConfig(backbone="timm:test_vit", image_size=side))
        assert encoder.get_submodule("patch_embed").num_patches == patches
        assert encoder.get_parameter("pos_embed").shape[1] == patches + 1  # and the class token


def refusal(name: str, image_size: int = 96) -> str:
    with pytest.raises(ConfigError) as caught:
        build_encoder(PretrainConfig(backbone=f"timm:{name}", image_size=image_size))
    assert caught.value.setting == "backbone"
    sentence = str(caught.value)
    assert sentence.startswith("--backbone: ")
    assert "\n" not in sentence
    return sentence


def test_an_unknown_model_is_answered_with_near_ones_or_the_way_to_a_list() -> None:
    assert "timm has no model 'vit_tiny_patch99'; choose one, such as " in refusal("vit_tiny_patch99")
    assert "timm.list_models" in refusal("zzzzzz")


def test_without_timm_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert refusal("test_vit") == (
        "--backbone: timm:test_vit needs timm; install it with `pip install 'simclr-tui[timm]'`, or choose resnet18"
    )


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("test_vit", 33),  # no multiple of the patches; seen in the forward pass
        ("xcit_nano_12_p16_224", 33),  # the same, seen when it is built
        ("test_convnext", 16),  # too small for the last stage
        ("levit_128s", 33),  # built for fewer positions than the stem makes
    ],
)
def test_a_model_that_cannot_take_the_images_is_refused_before_training(name: str, side: int) -> None:
    assert f"timm:{name} can't take images of {side} pixels (" in refusal(name, side)
