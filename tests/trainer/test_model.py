import itertools

import pytest
import torch
import torchvision
from torch import Tensor, nn

from trainer import randomness
from trainer.config import PretrainConfig
from trainer.model import SimCLRModel, build_model


def narrow(**settings: object) -> PretrainConfig:
    return PretrainConfig(backbone="resnet-narrow", **settings)  # type: ignore[arg-type]


def assert_equal_states(a: nn.Module, b: nn.Module) -> None:
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def shape_before_pooling(model: SimCLRModel, pool: str, side: int) -> tuple[int, ...]:
    """Shape of the last feature map of one image."""
    shapes = []
    model.encoder.get_submodule(pool).register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    model.eval()(torch.zeros(1, 3, side, side))
    (shape,) = shapes
    return shape


def test_the_tutorials_network_has_its_published_size() -> None:
    model = build_model(PretrainConfig())
    sizes = [p.numel() for p in model.parameters()]
    assert sum(sizes) == 11_504_832
    assert len(sizes) == 64
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("backbone", "features"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)])
def test_a_resnet_is_torchvisions_own_to_the_bit(backbone: str, features: int) -> None:
    config = PretrainConfig(backbone=backbone, seed=3)
    model = build_model(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.key(3, "weights"))
        reference = getattr(torchvision.models, backbone)(weights=None)
    reference.fc = nn.Identity()
    assert_equal_states(model.encoder, reference)
    assert model.feature_size == features
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.eval().encode(x), reference.eval()(x))
    assert model.encode(x).shape == (2, features)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet-narrow"])
def test_building_twice_gives_the_same_bits_and_another_seed_gives_others(backbone: str) -> None:
    def build(seed: int) -> SimCLRModel:
        return build_model(PretrainConfig(backbone=backbone, seed=seed))

    first = build(1)
    torch.rand(7)
    assert_equal_states(first, build(1))
    other = build(2)
    weights = [(n, p) for n, p in first.named_parameters() if p.ndim > 1]
    assert all(not torch.equal(p, other.get_parameter(n)) for n, p in weights)


def test_building_leaves_the_global_generator_where_it_was() -> None:
    before = torch.get_rng_state()
    build_model(narrow())
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_do_not_depend_on_the_default_device() -> None:
    with torch.device("meta"):
        model = build_model(narrow())
    assert_equal_states(model, build_model(narrow()))


def test_the_small_stem_keeps_the_resolution_and_the_imagenet_stem_divides_it_by_four() -> None:
    small = build_model(PretrainConfig(stem="small"))
    assert shape_before_pooling(small, "avgpool", 32) == (1, 512, 4, 4)
    assert shape_before_pooling(build_model(PretrainConfig()), "avgpool", 32) == (1, 512, 1, 1)


def test_the_small_stem_is_initialised_like_every_other_convolution() -> None:
    stem = build_model(PretrainConfig(stem="small")).encoder.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    assert stem.weight.shape == (64, 3, 3, 3)
    assert stem.bias is None
    assert stem.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_the_narrow_resnet_has_one_block_a_stage_and_96_features() -> None:
    model = build_model(narrow())
    blocks = [m for m in model.encoder.modules() if isinstance(m, torchvision.models.resnet.BasicBlock)]
    assert [block.conv1.out_channels for block in blocks] == [24, 48, 96]
    assert [block.stride for block in blocks] == [1, 2, 2]
    # Stem 696, blocks 10,464 + 32,544 + 129,600: counted by hand from the widths.
    assert sum(p.numel() for p in model.encoder.parameters()) == 173_304
    assert model.feature_size == 96
    assert shape_before_pooling(model, "pool", 32) == (1, 96, 8, 8)
    assert model.encode(torch.zeros(1, 3, 32, 32)).shape == (1, 96)


def test_convolutions_of_the_narrow_resnet_are_initialised_like_torchvisions() -> None:
    for name, module in build_model(narrow()).encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15), name


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_head_has_as_many_linear_layers_as_asked_for_with_relu_between(layers: int) -> None:
    model = build_model(narrow(head_layers=layers, head_width=40, projection_size=24))
    sizes = [96, *[40] * (layers - 1), 24]
    expected: list[str] = []
    for size, following in itertools.pairwise(sizes):
        expected += [f"Linear {size} {following}", "ReLU"]
    found = [
        f"Linear {m.in_features} {m.out_features}" if isinstance(m, nn.Linear) else type(m).__name__
        for m in model.head.children()
    ]
    assert found == expected[:-1]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 24)


def test_layers_gives_h_and_z_of_one_pass() -> None:
    model = build_model(narrow()).eval()
    passes: list[Tensor] = []
    model.encoder.register_forward_hook(lambda module, inputs, output: passes.append(output))
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    layers = model.layers(x)
    assert len(passes) == 1
    assert list(layers) == ["h", "g1", "z"] == list(model.layer_names)
    assert torch.equal(layers["h"], model.encode(x))
    assert torch.equal(layers["z"], model(x))
    assert not torch.equal(layers["h"].relu(), torch.zeros_like(layers["h"]))


def test_layers_does_not_let_the_head_overwrite_h() -> None:
    for head_layers in (1, 2, 3):
        model = build_model(narrow(head_layers=head_layers)).eval()
        x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        assert torch.equal(model.layers(x)["h"], model.encode(x))


def test_gradients_reach_every_parameter() -> None:
    model = build_model(narrow())
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_channels_last_gives_the_same_features() -> None:
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = build_model(narrow()).eval()
    expected = model(x)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)


def lightlys_head(sizes: list[int]) -> nn.Sequential:
    """The layers of lightly's SimCLRProjectionHead with batch norm, in its order."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following, bias=False), nn.BatchNorm1d(following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_head_with_batch_norm_is_lightlys(layers: int) -> None:
    model = build_model(narrow(head_layers=layers, head_width=40, projection_size=24, head_batch_norm=True))
    theirs = lightlys_head([96, *[40] * (layers - 1), 24])
    assert [type(ours) for ours in model.head] == [type(other) for other in theirs]
    theirs.load_state_dict(model.head.state_dict(), strict=True)
    h = torch.randn(9, 96, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.head(h), theirs(h))
    z = model.head(h)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(24), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("head_layers", [1, 2, 3])
def test_layers_are_what_the_next_layer_of_the_head_sees(head_layers: int, batch_norm: bool) -> None:
    model = build_model(narrow(head_layers=head_layers, head_width=40, head_batch_norm=batch_norm)).eval()
    x = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    for module in model.head:
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    z = model(x)
    expected, seen = [*seen, z], []
    layers = model.layers(x)
    assert list(layers) == ["h", *["g1", "g2"][: head_layers - 1], "z"] == list(model.layer_names)
    for name, value in zip(layers, expected, strict=True):
        torch.testing.assert_close(layers[name], value)
    assert all((layers[name] >= 0).all() for name in layers if name.startswith("g"))


def test_the_supervised_baseline_is_torchvisions_classifier() -> None:
    config = PretrainConfig(method="cross-entropy", views=1, seed=3)
    model = build_model(config, classes=10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.key(3, "weights"))
        reference = torchvision.models.resnet18(num_classes=10)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in reference.parameters())
    (classifier,) = model.head
    assert classifier.state_dict().keys() == reference.fc.state_dict().keys()
    reference.load_state_dict(model.encoder.state_dict() | {f"fc.{n}": v for n, v in classifier.state_dict().items()})
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    layers = model.eval().layers(x)
    assert list(layers) == ["h", "logits"] == list(model.layer_names)
    torch.testing.assert_close(layers["logits"], reference.eval()(x))
    assert torch.equal(layers["logits"], model(x))
    assert model.classes == 10


def test_the_baseline_begins_with_the_encoder_that_simclr_begins_with() -> None:
    """Or the two would not be compared on the same start."""
    simclr, supcon = build_model(narrow()), build_model(narrow(method="supcon"))
    baseline = build_model(narrow(method="cross-entropy"), classes=4)
    assert_equal_states(simclr, supcon)
    assert_equal_states(simclr.encoder, baseline.encoder)
    assert simclr.classes == 0
