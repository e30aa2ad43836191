import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from trainer import logistic
from trainer.logistic import Axes, LogisticProblem, _Scaling, principal_axes


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def go_on() -> None:
    pass


def random_problem(images: int, features: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Correlated features, standardised, and labels that follow them loosely."""
    generator = torch.Generator().manual_seed(images + features)
    mixing = torch.randn(features, features, generator=generator) * torch.logspace(0, -2, features)
    x = torch.randn(images, features, generator=generator) @ mixing.T
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    scores = x @ torch.randn(features, classes, generator=generator) / math.sqrt(features)
    noise = torch.randn(images, classes, generator=generator)
    return x, (scores + noise).argmax(dim=1)


def objective(weight: Tensor, bias: Tensor, x: Tensor, labels: Tensor, C: float) -> Tensor:
    """scikit-learn's: C times the summed log loss plus half the squared weights, in float64."""
    logits = x.double() @ weight.T + bias
    return C * torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + weight.square().sum() / 2


@pytest.mark.parametrize(("images", "features"), [(200, 12), (60, 300), (500, 300)])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
def test_a_solution_has_no_gradient_left(images: int, features: int, C: float) -> None:
    x, labels = random_problem(images, features)
    found = LogisticProblem(x, labels, 4, principal_axes(x), go_on).solve(C)
    weight, bias = found.weight.clone().requires_grad_(), found.bias.clone().requires_grad_()
    value = objective(weight, bias, x, labels, C)
    gradients = torch.autograd.grad(value, (weight, bias))
    norm = math.hypot(*(g.norm().item() for g in gradients))
    at_zero = torch.zeros_like(weight).requires_grad_()
    start = torch.autograd.grad(objective(at_zero, torch.zeros(4).double(), x, labels, C), at_zero)[0].norm().item()
    assert found.converged
    # The objective is 1-strongly convex in the weights, so it lies at most norm² / 2 above its minimum.
    assert norm**2 / 2 < 1e-3 * value.item()
    assert norm < 1e-2 * start


@pytest.mark.parametrize(("images", "features"), [(200, 12), (60, 300)])
def test_the_axes_change_the_way_and_not_the_solution(images: int, features: int) -> None:
    x, labels = random_problem(images, features)
    other = Axes(torch.eye(features)[:, :3], torch.ones(3, dtype=torch.float64))
    found, again = (LogisticProblem(x, labels, 4, axes, go_on).solve(0.1) for axes in (principal_axes(x), other))
    a, b = (objective(w.weight, w.bias, x, labels, 0.1).item() for w in (found, again))
    assert a == pytest.approx(b, rel=1e-5)


def test_a_start_changes_the_way_and_not_the_solution() -> None:
    x, labels = random_problem(200, 12)
    problem = LogisticProblem(x, labels, 4, principal_axes(x), go_on)
    cold, warm = problem.solve(0.1), problem.solve(0.1, problem.solve(1e-4))
    torch.testing.assert_close(warm.weight, cold.weight, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(warm.bias, cold.bias, rtol=1e-2, atol=1e-3)


def test_gradients_are_those_of_autograd() -> None:
    x, labels = random_problem(50, 8)
    problem = LogisticProblem(x, labels, 4, principal_axes(x), go_on)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, generator=generator, dtype=torch.float64, requires_grad=True)
    value, by_weight, by_bias = problem._evaluate(x, weight.detach(), bias.detach(), penalty=0.3)
    expected = objective(weight, bias, x, labels, C=1 / (0.3 * 50)) * 0.3
    assert value == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip((by_weight, by_bias), torch.autograd.grad(expected, (weight, bias)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_change_of_coordinates_is_symmetric_and_undone_by_its_inverse() -> None:
    x, _ = random_problem(100, 20)
    axes = principal_axes(x)
    scaling = _Scaling(Axes(axes.basis_DR[:, 5:], axes.variance_R[5:]), penalty=0.01, classes=4)
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4, 20, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(scaling.shrink(scaling.stretch(a)), a, rtol=1e-4, atol=1e-5)
    assert (scaling.stretch(a) * b).sum().item() == pytest.approx((a * scaling.stretch(b)).sum().item(), rel=1e-4)


def test_few_features_have_their_exact_principal_axes() -> None:
    x, _ = random_problem(100, 20)
    axes = principal_axes(x)
    spectrum = torch.linalg.svdvals(x.double()).square().flip(0) / 100
    torch.testing.assert_close(axes.variance_R, spectrum, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(axes.basis_DR.T @ axes.basis_DR, torch.eye(20), rtol=1e-4, atol=1e-5)
    along = (x @ axes.basis_DR).square().mean(dim=0).double()
    torch.testing.assert_close(along, axes.variance_R, rtol=1e-4, atol=1e-5)


def test_many_features_have_their_strongest_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "MAX_AXES", 30)
    x, _ = random_problem(200, 80)
    axes = principal_axes(x)
    assert axes.basis_DR.shape == (80, 30)
    spectrum = torch.linalg.svdvals(x.double()).square() / 200
    torch.testing.assert_close(axes.variance_R.flip(0)[:10], spectrum[:10], rtol=0.02, atol=0)


def test_axes_are_the_same_each_time_and_move_no_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "MAX_AXES", 30)
    x, _ = random_problem(200, 80)
    before = torch.get_rng_state()
    first, second = principal_axes(x), principal_axes(x)
    assert torch.equal(first.basis_DR, second.basis_DR)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_fit_that_runs_out_of_iterations_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = random_problem(500, 300)
    problem = LogisticProblem(x, labels, 4, principal_axes(x), go_on)
    monkeypatch.setattr(logistic, "MAX_CHUNKS", 1)
    assert not problem.solve(100.0).converged


def test_log_loss_is_summed_over_the_images() -> None:
    x, labels = random_problem(50, 8)
    found = LogisticProblem(x, labels, 4, principal_axes(x), go_on).solve(0.1)
    probabilities = (x.double() @ found.weight.T + found.bias).softmax(dim=1)
    expected = -sum(math.log(probabilities[i, int(labels[i])]) for i in range(50))
    assert found.log_loss(x, labels) == pytest.approx(expected, rel=1e-5)
