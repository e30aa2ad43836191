"""SupCon, several views and cross entropy, against the papers' formulas in plain Python and SupContrast's own."""

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.trainer.test_loss import bunched_z
from trainer.loss import (
    classification_loss_and_metrics,
    contrastive_metrics,
    loss_and_metrics,
    nt_xent,
    positives,
    similarity_logits,
    supcon,
)

KINDS = ("all the same", "all different", "mixed", "some without", "none at all")


def random_views(images: int, size: int, views: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(views * images, size, generator=generator, dtype=torch.float64).to(dtype)


def labels_of(kind: str, images: int) -> Tensor:
    number = torch.arange(images)
    return {
        "all the same": torch.full((images,), 4),
        "all different": number + 3,
        "mixed": number * number % 3,
        "some without": torch.where(number % 2 == 0, -1, number % 3),
        "none at all": torch.full((images,), -1),
    }[kind]


def positives_of(row: int, rows: int, labels: Sequence[int]) -> list[int]:
    """P(i): the other views of the image and all views of images of its class, where it has one."""
    images, found = len(labels), []
    for other in range(rows):
        same_image = other % images == row % images
        same_class = labels[row % images] >= 0 and labels[row % images] == labels[other % images]
        if other != row and (same_image or same_class):
            found.append(other)
    return found


def similarities(z: Tensor, temperature: float) -> list[list[float]]:
    rows = z.tolist()
    return [
        [
            math.fsum(a * b for a, b in zip(u, v, strict=True)) / math.hypot(*u) / math.hypot(*v) / temperature
            for v in rows
        ]
        for u in rows
    ]


def equation_2(z: Tensor, labels: Tensor, temperature: float) -> float:
    """L_out of Khosla et al., word for word; the paper's sum over the anchors as a mean, as in all its code."""
    s, total = similarities(z, temperature), 0.0
    for i in range(len(s)):
        chosen = positives_of(i, len(s), labels.tolist())
        denominator = math.fsum(math.exp(s[i][a]) for a in range(len(s)) if a != i)
        total += -math.fsum(math.log(math.exp(s[i][p]) / denominator) for p in chosen) / len(chosen)
    return total / len(s)


def equation_3(z: Tensor, labels: Tensor, temperature: float) -> float:
    """L_in: the mean of the positives within the logarithm, which the paper finds worse."""
    s, total = similarities(z, temperature), 0.0
    for i in range(len(s)):
        chosen = positives_of(i, len(s), labels.tolist())
        denominator = math.fsum(math.exp(s[i][a]) for a in range(len(s)) if a != i)
        total += -math.log(math.fsum(math.exp(s[i][p]) / denominator for p in chosen) / len(chosen))
    return total / len(s)


def supcontrast(z: Tensor, labels: Tensor | None, temperature: float, views: int, base: float = 0.07) -> Tensor:
    """The formula of SupContrast's losses.py, from its layout (images, views, P) on and with its factor."""
    features = F.normalize(z.view(views, len(z) // views, -1).transpose(0, 1), dim=2)
    images = len(features)
    same = torch.eye(images) if labels is None else (labels[:, None] == labels[None, :]).to(z.dtype)
    contrast = torch.cat(torch.unbind(features, dim=1))
    scaled = contrast @ contrast.T / temperature
    scaled = scaled - scaled.amax(dim=1, keepdim=True)
    not_self = 1 - torch.eye(len(contrast), dtype=z.dtype)
    mask = same.repeat(views, views) * not_self
    log_probability = scaled - (scaled.exp() * not_self).sum(dim=1, keepdim=True).log()
    return -(temperature / base) * ((mask * log_probability).sum(dim=1) / mask.sum(dim=1)).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("temperature", [0.07, 0.5, 10.0])
def test_supcon_is_equation_2_of_the_paper(kind: str, views: int, temperature: float) -> None:
    for images in (1, 2, 3, 6):
        for size in (2, 7):
            z, labels = random_views(images, size, views, seed=images), labels_of(kind, images)
            expected = equation_2(z, labels, temperature)
            assert supcon(z, labels, temperature, views).item() == pytest.approx(expected, rel=1e-10, abs=1e-10)
            with_metrics, _ = loss_and_metrics(z, temperature, views, labels)
            assert with_metrics.item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("temperature", [0.07, 0.1, 0.5])
def test_the_loss_is_supcontrasts_without_its_factor(views: int, temperature: float) -> None:
    for images in (1, 2, 9):
        z = random_views(images, 12, views, seed=images)
        for kind in ("all the same", "all different", "mixed"):
            labels = labels_of(kind, images)
            theirs = supcontrast(z, labels, temperature, views) / (temperature / 0.07)
            torch.testing.assert_close(supcon(z, labels, temperature, views), theirs)
        theirs = supcontrast(z, None, temperature, views) / (temperature / 0.07)
        torch.testing.assert_close(nt_xent(z, temperature, views), theirs)


def test_identical_embeddings_at_temperature_a_half_are_not_worth_seven_times_the_chance_level() -> None:
    """Which they are in SupContrast, whose base temperature stays 0.07."""
    z, labels = random_views(1, 16, 1).expand(16, -1), labels_of("mixed", 8)
    assert supcon(z, labels, 0.5).item() == pytest.approx(math.log(15), rel=1e-12)
    assert supcontrast(z, labels, 0.5, 2).item() == pytest.approx(math.log(15) * 0.5 / 0.07, rel=1e-12)


def test_the_mean_over_the_positives_is_outside_the_logarithm() -> None:
    z, labels = random_views(6, 5, 2), labels_of("mixed", 6)
    ours = supcon(z, labels, 0.1).item()
    assert ours == pytest.approx(equation_2(z, labels, 0.1), rel=1e-12)
    assert ours > equation_3(z, labels, 0.1) + 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("kind", ["all different", "none at all"])
def test_without_a_class_in_common_supcon_is_nt_xent_bit_for_bit(dtype: torch.dtype, views: int, kind: str) -> None:
    z = random_views(33, 16, views, dtype=dtype).requires_grad_()
    ours, theirs = supcon(z, labels_of(kind, 33), 0.07, views), nt_xent(z, 0.07, views)
    assert torch.equal(ours, theirs)
    assert torch.equal(torch.autograd.grad(ours, z)[0], torch.autograd.grad(theirs, z)[0])
    assert not torch.equal(supcon(z, labels_of("mixed", 33), 0.07, views), theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_views_have_the_one_positive_of_the_two_diagonals_bit_for_bit(dtype: torch.dtype) -> None:
    for images in (1, 2, 31, 128):
        z = random_views(images, 24, 2, dtype=dtype)
        logits = similarity_logits(z, 0.07)
        of_positive = torch.cat((logits.diagonal(images), logits.diagonal(-images)))
        assert torch.equal(nt_xent(z, 0.07), (logits.logsumexp(dim=1) - of_positive).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [2, 3, 4])
def test_identical_embeddings_give_ln_of_all_others_and_half_of_their_places(kind: str, views: int) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        z = random_views(1, 64, 1).expand(views * 30, -1).to(dtype)
        loss, metrics = loss_and_metrics(z, 0.07, views, labels_of(kind, 30))
        assert loss.item() == pytest.approx(math.log(views * 30 - 1), rel=1e-6)
        counts = [views * 30 - 1 - len(positives_of(i, views * 30, labels_of(kind, 30).tolist())) for i in range(30)]
        assert metrics.acc_mean_pos.item() == pytest.approx(1 + sum(counts) / len(counts) / 2, rel=1e-6)


def test_the_gradient_of_supcon_and_of_several_views_is_right() -> None:
    z = random_views(4, 3, 3).requires_grad_()
    for kind in ("mixed", "some without"):
        labels = labels_of(kind, 4)
        assert torch.autograd.gradcheck(lambda z, labels=labels: supcon(z, labels, 0.5, 3), z)
    assert torch.autograd.gradcheck(lambda z: nt_xent(z, 0.5, 3), z)
    assert torch.autograd.gradcheck(lambda z: loss_and_metrics(z, 0.5, 3, negatives=False)[0], z)


@pytest.mark.parametrize("views", [2, 3])
def test_the_order_of_images_views_and_class_names_changes_nothing(views: int) -> None:
    z, labels = random_views(9, 6, views), labels_of("some without", 9)
    loss, metrics = loss_and_metrics(z, 0.1, views, labels)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    rows = torch.cat([order + 9 * view for view in range(views)])
    others = {
        "images": loss_and_metrics(z[rows], 0.1, views, labels[order]),
        "views": loss_and_metrics(z.roll(9, dims=0), 0.1, views, labels),
        "names": loss_and_metrics(z, 0.1, views, torch.where(labels < 0, -1, 7 - labels)),
    }
    for name, (other, other_metrics) in others.items():
        torch.testing.assert_close(other, loss, msg=name)
        torch.testing.assert_close(other_metrics, metrics, msg=name)


def test_bunched_embeddings_in_bfloat16_keep_their_ranks_with_labels_and_three_views() -> None:
    z = torch.cat((bunched_z(), bunched_z()[:256] + 1e-3 * random_views(256, 128, 1, dtype=torch.float32))).bfloat16()
    labels = torch.arange(256) % 100
    _, ours = loss_and_metrics(z, 0.07, 3, labels)
    _, exact = loss_and_metrics(z.double(), 0.07, 3, labels)
    assert ours == exact
    coarse = similarity_logits(z, 0.07, 3).bfloat16()
    assert contrastive_metrics(coarse, positives(coarse, 3, labels)).acc_mean_pos > 1.5 * exact.acc_mean_pos


def test_autocast_does_not_reach_into_supcon_or_the_cross_entropy() -> None:
    z, labels = random_views(32, 64, 3, dtype=torch.float32), labels_of("mixed", 32)
    plain = loss_and_metrics(z, 0.07, 3, labels)
    of_classes = classification_loss_and_metrics(z[:32], labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(supcon(z, labels, 0.07, 3), plain[0])
        assert loss_and_metrics(z, 0.07, 3, labels) == plain
        assert classification_loss_and_metrics(z[:32], labels) == of_classes


def slow_metrics(logits: list[list[float]], chosen: list[list[int]]) -> tuple[float, float, float]:
    """Top-1, top-5 and mean place of the nearest positive among itself and the negatives; a tie is half a place."""
    places = []
    for i, row in enumerate(logits):
        nearest = max(row[p] for p in chosen[i])
        rivals = [row[a] for a in range(len(row)) if row[a] != -math.inf and a not in chosen[i]]
        places.append(1 + sum(r > nearest for r in rivals) + 0.5 * sum(r == nearest for r in rivals))
    count = len(places)
    return sum(p <= 1 for p in places) / count, sum(p <= 5 for p in places) / count, sum(places) / count


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [2, 3])
def test_metrics_with_several_positives_are_the_slow_ones(kind: str, views: int) -> None:
    for images in (1, 4, 11):
        labels = labels_of(kind, images)
        rows = views * images
        # Whole numbers, so that there are ties.
        logits = torch.randint(0, 6, (rows, rows), generator=torch.Generator().manual_seed(images)).float()
        logits.fill_diagonal_(-torch.inf)
        ours = contrastive_metrics(logits, positives(logits, views, labels))
        expected = slow_metrics(logits.tolist(), [positives_of(i, rows, labels.tolist()) for i in range(rows)])
        assert [metric.item() for metric in ours] == pytest.approx(expected, rel=1e-6)


def test_one_positive_that_is_not_finite_spoils_the_metrics_among_several() -> None:
    z = random_views(6, 4, 3, dtype=torch.float32)
    z[2, 0] = math.nan
    loss, metrics = loss_and_metrics(z, 0.07, 3, labels_of("all the same", 6))
    assert loss.isnan()
    assert all(metric.isnan() for metric in metrics)


def test_nothing_of_supcon_or_cross_entropy_looks_at_a_value() -> None:
    with FakeTensorMode():
        z, labels = torch.empty(30, 16, requires_grad=True), torch.empty(10, dtype=torch.int64)
        for loss, metrics in (
            loss_and_metrics(z, 0.07, 3, labels),
            loss_and_metrics(z, 0.07, 3, negatives=False),
            classification_loss_and_metrics(z, labels.repeat(3)),
        ):
            (gradient,) = torch.autograd.grad(loss, z)
            assert loss.shape == ()
            assert gradient.shape == z.shape
            assert all(metric.shape == () and metric.dtype == torch.float32 for metric in metrics)


def test_without_negatives_the_loss_is_the_mean_similarity_and_collapse_makes_it_smallest() -> None:
    z = random_views(5, 4, 2)
    s = similarities(z, 0.5)
    loss, metrics = loss_and_metrics(z, 0.5, negatives=False)
    assert loss.item() == pytest.approx(-sum(s[i][(i + 5) % 10] for i in range(10)) / 10, rel=1e-12)
    assert metrics == loss_and_metrics(z, 0.5)[1]
    collapsed, _ = loss_and_metrics(z[:1].expand(10, -1), 0.5, negatives=False)
    assert collapsed.item() == pytest.approx(-1 / 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_cross_entropy_and_its_metrics_are_the_slow_ones(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randint(-8, 9, (40, 9), generator=generator) / 4).to(dtype)  # quarters, so that there are ties
    labels = torch.arange(40) % 9
    loss, metrics = classification_loss_and_metrics(logits, labels)
    rows = logits.double().tolist()
    terms = [math.log(math.fsum(map(math.exp, row))) - row[label] for row, label in zip(rows, labels, strict=True)]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    assert loss.item() == pytest.approx(sum(terms) / 40, rel=tolerance)
    assert loss.item() == pytest.approx(log_loss(labels, logits.double().softmax(dim=1)), rel=tolerance)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    assert [metric.item() for metric in metrics] == pytest.approx(slow_metrics(rows, labels[:, None].tolist()))


def test_the_gradient_of_the_cross_entropy_is_right_and_its_metrics_carry_none() -> None:
    logits = random_views(5, 4, 1).requires_grad_()
    labels = torch.tensor([0, 3, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda logits: classification_loss_and_metrics(logits, labels)[0], logits)
    assert not any(metric.requires_grad for metric in classification_loss_and_metrics(logits, labels)[1])


def test_views_and_labels_that_do_not_fit_are_refused_with_their_remedy() -> None:
    for views in (0, 1, 4):
        with pytest.raises(ValueError, match=f"not {views} views of each image; give"):
            nt_xent(torch.zeros(6, 3), 0.07, views)
    for labels in (torch.zeros(6), torch.zeros(2), torch.zeros(3, 1)):
        with pytest.raises(ValueError, match="there are 3 images; give one each"):
            supcon(torch.zeros(6, 3), labels, 0.07)
