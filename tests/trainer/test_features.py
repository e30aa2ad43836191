from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from trainer.augment import normalise
from trainer.config import PretrainConfig
from trainer.features import evaluation_mode, extract, pixels
from trainer.model import SimCLRModel, build_model

IMAGES = torch.randint(0, 256, (23, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class StoppedError(Exception):
    pass


def take(indices: Sequence[int]) -> Tensor:
    return IMAGES[list(indices)]


def go_on() -> None:
    pass


@pytest.fixture
def model() -> SimCLRModel:
    """A network in training mode whose batch norm has seen some images."""
    model = build_model(PretrainConfig(backbone="resnet-narrow", image_size=16))
    model(normalise(IMAGES, "half"))
    return model


def features(model: SimCLRModel, batch_size: int = 8, n: int = 23) -> dict[str, Tensor]:
    return extract(model, take, n, batch_size, "cpu", None, go_on, normalisation="half")


def modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


def test_features_are_those_of_one_pass_in_eval_mode_over_all_images(model: SimCLRModel) -> None:
    found = features(model)
    model.eval()
    with torch.no_grad():
        expected = model.layers((IMAGES.float() / 255 - 0.5) / 0.5)
    assert set(found) == {"h", "g1", "z"}
    for name, values in found.items():
        assert values.shape[0] == 23
        assert values.dtype == torch.float32
        assert values.device.type == "cpu"
        assert not values.requires_grad
        torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 22, 23, 100])
def test_features_do_not_depend_on_the_batch_size(model: SimCLRModel, batch_size: int) -> None:
    expected = features(model, batch_size=23)
    for name, values in features(model, batch_size=batch_size).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-5)


def test_features_do_not_depend_on_the_mode_the_model_is_in(model: SimCLRModel) -> None:
    expected = features(model)
    assert all(torch.equal(values, expected[name]) for name, values in features(model.eval()).items())


def test_extraction_moves_no_statistic_and_no_weight(model: SimCLRModel) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    features(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_features_can_be_trained_on_afterwards(model: SimCLRModel) -> None:
    weight = torch.zeros(1, 96, requires_grad=True)
    (gradient,) = torch.autograd.grad((features(model)["h"] @ weight.T).sum(), weight)
    assert gradient.abs().sum() > 0


def test_every_module_gets_its_own_mode_back(model: SimCLRModel) -> None:
    model.head.eval()
    before = modes(model)
    assert True in before
    assert False in before
    features(model)
    assert modes(model) == before


def test_modes_come_back_when_extraction_is_stopped(model: SimCLRModel) -> None:
    before = modes(model)
    calls = []

    def stop_at_the_third() -> None:
        calls.append(modes(model))
        if len(calls) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        extract(model, take, 23, 5, "cpu", None, stop_at_the_third, normalisation="half")
    assert len(calls) == 3
    assert not any(any(mode) for mode in calls)
    assert modes(model) == before


def test_evaluation_mode_has_no_gradient_inside_and_again_one_outside(model: SimCLRModel) -> None:
    with evaluation_mode(model):
        assert not model(normalise(IMAGES[:2], "half")).requires_grad
    assert model(normalise(IMAGES[:2], "half")).requires_grad


def test_autocast_is_used_and_float32_comes_back(model: SimCLRModel) -> None:
    exact = features(model)["h"]
    coarse = extract(model, take, 23, 8, "cpu", torch.bfloat16, go_on, normalisation="half")["h"]
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, rtol=0.1, atol=0.1)


def test_images_are_normalised_as_torchvision_does_it_to_the_bit() -> None:
    every_value = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1)
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    picture = Image.fromarray(every_value.permute(1, 2, 0).contiguous().numpy())
    assert torch.equal(normalise(every_value[None], "half"), chain(picture)[None])


def test_normalising_leaves_the_images_as_they_are() -> None:
    before = IMAGES.clone()
    normalise(IMAGES, "half")
    assert torch.equal(IMAGES, before)


def test_pixels_are_what_the_network_sees() -> None:
    found = pixels(take, 23, 5, go_on, normalisation="half")
    assert found.shape == (23, 3 * 16 * 16)
    assert torch.equal(found, normalise(IMAGES, "half").flatten(1))


def test_pixels_can_be_stopped() -> None:
    def stop() -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        pixels(take, 23, 5, stop, normalisation="half")


def test_no_images_are_refused(model: SimCLRModel) -> None:
    with pytest.raises(ValueError, match="0 images"):
        features(model, n=0)
    with pytest.raises(ValueError, match="batches of 0"):
        pixels(take, 23, 0, go_on, normalisation="half")
