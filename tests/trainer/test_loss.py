import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.chance import chance_levels
from trainer.loss import contrastive_metrics, loss_and_metrics, nt_xent, similarity_logits


def random_z(images: int, size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2 * images, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def bunched_z(images: int = 256, size: int = 128) -> Tensor:
    """Embeddings of a network near collapse: mean cosine 0.989, and each positive the nearest."""
    generator = torch.Generator().manual_seed(0)
    centre = F.normalize(torch.randn(size, generator=generator), dim=0)
    of_image = torch.randn(images, size, generator=generator) * 0.08 / math.sqrt(size)
    of_view = torch.randn(2 * images, size, generator=generator) * 0.07 / math.sqrt(size)
    return centre + of_image.repeat(2, 1) + of_view


def algorithm_1(z: Tensor, temperature: float) -> float:
    """Algorithm 1 of the SimCLR paper word for word: pairs (2k − 1, 2k), double loops, no vector operation."""
    images = len(z) // 2
    rows = z.tolist()
    pairs = [rows[k // 2 + (k % 2) * images] for k in range(2 * images)]  # the paper puts the two views side by side

    def s(i: int, j: int) -> float:
        dot = math.fsum(a * b for a, b in zip(pairs[i], pairs[j], strict=True))
        return dot / (math.hypot(*pairs[i]) * math.hypot(*pairs[j]))

    def loss(i: int, j: int) -> float:
        others = math.fsum(math.exp(s(i, k) / temperature) for k in range(2 * images) if k != i)
        return -math.log(math.exp(s(i, j) / temperature) / others)

    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(images)) / (2 * images)


def uva_tutorial(z: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss, top-1, top-5 and mean position as the UvA tutorial 17 computes them: broadcast, −9e15 and a sort."""
    similarity = F.cosine_similarity(z[:, None, :], z[None, :, :], dim=-1)
    self_mask = torch.eye(len(z), dtype=torch.bool)
    similarity.masked_fill_(self_mask, -9e15)
    positive_mask = self_mask.roll(len(z) // 2, dims=0)
    similarity = similarity / temperature
    loss = (-similarity[positive_mask] + similarity.logsumexp(dim=-1)).mean()
    with_positive_first = torch.cat(
        (similarity[positive_mask][:, None], similarity.masked_fill(positive_mask, -9e15)), dim=-1
    )
    place = with_positive_first.argsort(dim=-1, descending=True).argmin(dim=-1).double()
    return loss, (place == 0).double().mean(), (place < 5).double().mean(), 1 + place.mean()


@pytest.mark.parametrize("images", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [2, 5, 16])
@pytest.mark.parametrize("temperature", [0.05, 0.07, 0.5, 1.0, 10.0])
def test_the_loss_is_algorithm_1_of_the_paper(images: int, size: int, temperature: float) -> None:
    z = random_z(images, size)
    assert nt_xent(z, temperature).item() == pytest.approx(algorithm_1(z, temperature), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("images", [2, 3, 17, 64])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_loss_and_metrics_are_the_tutorials(images: int, temperature: float) -> None:
    z = random_z(images, 12)
    loss, metrics = loss_and_metrics(z, temperature)
    expected = uva_tutorial(z, temperature)
    torch.testing.assert_close(loss, expected[0])
    for ours, theirs in zip(metrics, expected[1:], strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("images", [1, 2, 5, 100, 256, 333])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_identical_embeddings_give_ln_2n_minus_1_and_the_chance_levels(images: int, dtype: torch.dtype) -> None:
    z = random_z(1, 128)[:1].expand(2 * images, -1).to(dtype)
    loss, metrics = loss_and_metrics(z, 0.07)
    chance = chance_levels(images)
    assert loss.item() == pytest.approx(math.log(2 * images - 1), rel=1e-6, abs=1e-6)
    assert loss.item() == pytest.approx(chance.loss, rel=1e-6, abs=1e-6)
    assert metrics.acc_mean_pos.item() == chance.acc_mean_pos == images


def test_the_gradient_is_right() -> None:
    z = random_z(4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: nt_xent(z, 0.5), z)
    assert torch.autograd.gradcheck(lambda z: loss_and_metrics(z, 0.07)[0], z)


def test_swapping_the_two_views_changes_nothing() -> None:
    z = random_z(9, 6).requires_grad_()
    swapped = z.detach().roll(9, dims=0).requires_grad_()
    torch.testing.assert_close(nt_xent(z, 0.1), nt_xent(swapped, 0.1))
    (gradient,) = torch.autograd.grad(nt_xent(z, 0.1), z)
    (of_swapped,) = torch.autograd.grad(nt_xent(swapped, 0.1), swapped)
    torch.testing.assert_close(of_swapped, gradient.roll(9, dims=0))


def test_the_order_of_the_images_changes_nothing() -> None:
    z = random_z(9, 6)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    shuffled = z[torch.cat((order, order + 9))]
    loss, metrics = loss_and_metrics(z, 0.1)
    shuffled_loss, shuffled_metrics = loss_and_metrics(shuffled, 0.1)
    torch.testing.assert_close(shuffled_loss, loss)
    torch.testing.assert_close(shuffled_metrics, metrics)


def test_the_length_of_an_embedding_changes_nothing() -> None:
    z = random_z(9, 6)
    lengths = torch.linspace(1e-3, 1e3, 18, dtype=torch.float64)[:, None]
    torch.testing.assert_close(nt_xent(z * lengths, 0.07), nt_xent(z, 0.07))


def test_a_wrong_pairing_has_another_loss() -> None:
    views = random_z(8, 32)[:8]
    z = torch.cat((views, views))
    assert nt_xent(z, 0.07) < 0.1
    assert nt_xent(z.view(2, 8, 32).transpose(0, 1).reshape(16, 32), 0.07) > 5


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_the_loss_is_at_least_float32(dtype: torch.dtype, expected: torch.dtype) -> None:
    z = random_z(4, 8, dtype=dtype)
    assert nt_xent(z, 0.07).dtype == expected
    assert nt_xent(z, 0.07).shape == ()
    assert similarity_logits(z, 0.07).dtype == expected
    torch.testing.assert_close(nt_xent(z, 0.07).double(), nt_xent(z.double(), 0.07), rtol=1e-5, atol=1e-5)


def test_autocast_does_not_reach_into_the_loss() -> None:
    z = random_z(64, 128, dtype=torch.float32).requires_grad_()
    plain = nt_xent(z, 0.07)
    (gradient,) = torch.autograd.grad(plain, z)
    with torch.autocast("cpu", torch.bfloat16):
        assert (z @ z.T).dtype == torch.bfloat16
        loss, metrics = loss_and_metrics(z, 0.07)
        assert torch.equal(nt_xent(z, 0.07), plain)
    assert torch.equal(loss, plain)
    assert torch.equal(torch.autograd.grad(loss, z)[0], gradient)
    assert metrics.acc_top1.dtype == torch.float32


def test_bunched_embeddings_in_bfloat16_keep_their_ranks() -> None:
    z = bunched_z().bfloat16()
    logits = similarity_logits(z, 0.07)
    exact = contrastive_metrics(similarity_logits(z.double(), 0.07))
    ours = contrastive_metrics(logits)
    assert exact.acc_top1 == 1
    assert ours == exact
    # The same logits in 16 bits can't tell the positives from their neighbours.
    coarse = logits.bfloat16()
    positives = torch.cat((coarse.diagonal(256), coarse.diagonal(-256)))
    assert ((coarse == positives[:, None]).sum(dim=1) > 1).sum() > 200
    assert contrastive_metrics(coarse).acc_top1 < 0.5


@pytest.mark.parametrize("worst", [False, True], ids=["positives-alike", "positives-opposite"])
def test_a_small_temperature_neither_overflows_nor_loses_the_loss(worst: bool) -> None:
    views = random_z(32, 16, dtype=torch.float32)[:32]
    views[1:] = views[0] + 1e-3 * views[1:] if worst else views[1:]
    z = torch.cat((views, -views if worst else views)).requires_grad_()
    loss = nt_xent(z, 0.01)
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(loss.double(), nt_xent(z.double(), 0.01), rtol=1e-5, atol=1e-5)
    assert loss > 150 if worst else loss < 1e-3


def test_an_embedding_of_zero_has_a_finite_loss_and_gradient() -> None:
    z = random_z(4, 8, dtype=torch.float32)
    z[3] = 0
    z.requires_grad_()
    loss = nt_xent(z, 0.07)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def test_a_tie_with_the_positive_counts_half_a_rank() -> None:
    below, above, tie, nothing = 0.0, 2.0, 1.0, -torch.inf
    logits = torch.full((6, 6), below)
    logits.fill_diagonal_(nothing)
    for row in range(6):
        logits[row, (row + 3) % 6] = 1.0
    logits[0, 1], logits[0, 2] = above, tie  # position 1 + 1 + ½
    logits[1, 0] = tie  # position 1½
    metrics = contrastive_metrics(logits)
    assert metrics.acc_mean_pos.item() == pytest.approx((2.5 + 1.5 + 4 * 1) / 6)
    assert metrics.acc_top1.item() == pytest.approx(4 / 6)
    assert metrics.acc_top5.item() == 1


def test_top_5_counts_positions_up_to_five() -> None:
    logits = torch.zeros(16, 16).fill_diagonal_(-torch.inf)
    for row in range(16):
        positive = (row + 8) % 16
        logits[row, positive] = 1
        better = [column for column in range(16) if column not in (row, positive)][:row]
        logits[row, better] = 2
    metrics = contrastive_metrics(logits)
    assert metrics.acc_top1.item() == pytest.approx(1 / 16)
    assert metrics.acc_top5.item() == pytest.approx(5 / 16)
    assert metrics.acc_mean_pos.item() == pytest.approx((sum(range(1, 16)) + 15) / 16)


def test_a_tiny_batch_is_always_in_the_first_five() -> None:
    _, metrics = loss_and_metrics(random_z(2, 4), 0.07)
    assert metrics.acc_top5 == 1
    assert metrics.acc_mean_pos <= 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_metrics_of_embeddings_that_are_not_finite_are_nan(bad: float) -> None:
    z = random_z(8, 4, dtype=torch.float32)
    z[5, 2] = bad
    loss, metrics = loss_and_metrics(z, 0.07)
    assert loss.isnan()
    assert all(metric.isnan() for metric in metrics)


def test_metrics_carry_no_gradient() -> None:
    _, metrics = loss_and_metrics(random_z(4, 4).requires_grad_(), 0.07)
    assert not any(metric.requires_grad for metric in metrics)


def test_nothing_looks_at_a_value_or_has_a_shape_that_depends_on_one() -> None:
    with FakeTensorMode():
        z = torch.empty(32, 16, requires_grad=True)
        loss, metrics = loss_and_metrics(z, 0.07)
        (gradient,) = torch.autograd.grad(loss, z)
    assert loss.shape == ()
    assert gradient.shape == z.shape
    assert all(metric.shape == () and metric.dtype == torch.float32 for metric in metrics)


@pytest.mark.parametrize("function", [nt_xent, similarity_logits, loss_and_metrics])
def test_bad_arguments_are_refused_with_their_remedy(function: Callable[[Tensor, float], object]) -> None:
    for z in (torch.zeros(5, 3), torch.zeros(0, 3), torch.zeros(4), torch.zeros(2, 2, 2)):
        with pytest.raises(ValueError, match="give \\(V·N, P\\)"):
            function(z, 0.07)
    for temperature in (0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="give a number above 0"):
            function(torch.zeros(4, 3), temperature)
