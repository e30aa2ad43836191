"""L2-penalised multinomial logistic regression by L-BFGS, fast enough to sweep a path of strengths on a CPU.

Standardised features of images are nearly collinear, which costs plain L-BFGS hundreds of iterations. So it works on
coordinates in which the curvature is about the same in every direction. That changes the way, not the optimum: the
objective is strictly convex. On 3,000 × 3,072 pixels it saves three quarters of the iterations.

Products with the features are float32; the coordinates, the objective and what L-BFGS does with them are float64. Where
float32 products can't lower the objective any more and it is not known to be at its minimum, float64 ones go on.
Shapes: N images, D features, K classes, R axes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import randomness

MAX_AXES = 256
SUBSPACE_ITERATIONS = 2

TOLERANCE = 1e-6
"""A fit ends where strong convexity says that the objective is at most this part of itself above its minimum."""
STALLED = 1e-9
"""Products of a precision can do no more where `CHUNK` iterations lower the objective by less than this part."""
CHUNK = 10
HISTORY = 20
MAX_CHUNKS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A point of the optimisation."""

    weight: Tensor
    """(K, D), float64."""
    bias: Tensor
    """(K,), float64."""
    converged: bool
    """False where the iterations ran out before the minimum was reached."""

    def log_loss(self, x_ND: Tensor, labels_N: Tensor) -> float:
        """Summed log loss in nats."""
        logits = F.linear(x_ND, self.weight.float(), self.bias.float()).double()
        return F.cross_entropy(logits, labels_N, reduction="sum").item()


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """The directions in which the features vary most."""

    basis_DR: Tensor
    """Orthonormal columns, float32."""
    variance_R: Tensor
    """Mean square of the features along each, float64."""


def principal_axes(x_ND: Tensor) -> Axes:
    """The R = min(D, 256) principal axes of centred features, by subspace iteration where D is larger.

    (Halko, Martinsson and Tropp 2011, arXiv 0909.4061, algorithm 4.4.) They only precondition, so their last digits
    don't matter; the start is drawn from a fixed seed, so they are the same each time.
    """
    images, features = x_ND.shape
    axes = min(features, MAX_AXES)
    start = torch.randn(features, axes, generator=randomness.generator(0, "principal-axes"))
    basis_DR = torch.linalg.qr(start.to(x_ND)).Q
    for _ in range(SUBSPACE_ITERATIONS if axes < features else 0):
        basis_DR = torch.linalg.qr(x_ND.T @ (x_ND @ basis_DR)).Q
    projected_NR = x_ND @ basis_DR
    variance_R, rotation_RR = torch.linalg.eigh((projected_NR.T @ projected_NR).double() / images)
    return Axes(basis_DR @ rotation_RR.float(), variance_R.clamp_min(0))


class LogisticProblem:
    """One training set, to be solved at several strengths."""

    def __init__(self, x_ND: Tensor, labels_N: Tensor, classes: int, axes: Axes, check: Callable[[], None]) -> None:
        """Hold the data.

        Args:
            x_ND: standardised features, float32.
            labels_N: integers from 0 to classes − 1.
            classes: K.
            axes: principal axes of these features, or of a larger set that they are a part of.
            check: called before each few iterations; it may raise to stop.
        """
        self._x_ND = x_ND
        self._target_KN = F.one_hot(labels_N, classes).T.double().contiguous()
        self._axes = axes
        self._check = check

    def solve(self, C: float, start: Weights | None = None) -> Weights:
        """The minimum of C · Σ log loss + ½ ‖weight‖², the bias free, from a start or from zero."""
        penalty = 1 / (C * len(self._x_ND))
        scaling = _Scaling(self._axes, penalty, classes=len(self._target_KN))
        classes, features = len(self._target_KN), self._x_ND.shape[1]
        point = self._x_ND.new_zeros(classes * (features + 1), dtype=torch.float64)
        if start is not None:
            point = torch.cat((scaling.shrink(start.weight).flatten(), start.bias))

        def unpack(flat: Tensor) -> tuple[Tensor, Tensor]:
            return scaling.stretch(flat[:-classes].view(classes, features)), flat[-classes:]

        @torch.no_grad()
        def objective(x_ND: Tensor) -> _Value:
            weight_KD, bias_K = unpack(point)
            value, gradient_KD, gradient_K = self._evaluate(x_ND, weight_KD, bias_K, penalty)
            point.grad = torch.cat((scaling.stretch(gradient_KD).flatten(), gradient_K))
            # Minimised over the bias, the objective curves by the penalty or more, so it can't fall by more than this.
            return _Value(value, gap=gradient_KD.square().sum().item() / (2 * penalty))

        ending = _minimise(lambda: objective(self._x_ND), point.requires_grad_(), self._check)
        if ending is _Ending.STALLED:
            precise_ND = self._x_ND.double()
            ending = _minimise(lambda: objective(precise_ND), point, self._check)
        return Weights(*unpack(point.detach()), ending is not _Ending.RAN_OUT)

    def _evaluate(
        self, x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor, penalty: float
    ) -> tuple[float, Tensor, Tensor]:
        """Mean log loss + ½ penalty ‖weight‖², and its gradients by weight and bias; products in the features' type."""
        logits_KN = (weight_KD.to(x_ND.dtype) @ x_ND.T).double() + bias_K[:, None]
        normaliser_N = logits_KN.logsumexp(dim=0)
        images = len(x_ND)
        loss = (normaliser_N.sum() - (logits_KN * self._target_KN).sum()) / images
        error_KN = ((logits_KN - normaliser_N).exp() - self._target_KN) / images
        gradient_KD = (error_KN.to(x_ND.dtype) @ x_ND).double() + penalty * weight_KD
        return (loss + penalty / 2 * weight_KD.square().sum()).item(), gradient_KD, error_KN.sum(dim=1)


class _Scaling:
    """The change of coordinates that evens out the curvature.

    At the uniform distribution the Hessian of the mean log loss along an axis is its variance times (1/K)(1 − 1/K),
    plus the penalty (the lower-bound matrix of Böhning 1992 has the same form). Outside the axes the smallest
    curvature along them is taken.
    """

    def __init__(self, axes: Axes, penalty: float, classes: int) -> None:
        root_R = (axes.variance_R * (1 / classes) * (1 - 1 / classes) + penalty).sqrt()
        self._basis_DR = axes.basis_DR
        self._rest = root_R.min().item()
        self._up_R = (root_R - self._rest).float()
        self._down_R = (1 / root_R - 1 / self._rest).float()

    def stretch(self, scaled_KD: Tensor) -> Tensor:
        """Weights from coordinates; its own transpose, so also the gradient by coordinates from that by weights."""
        return scaled_KD / self._rest + self._along_axes(scaled_KD, self._down_R)

    def shrink(self, weight_KD: Tensor) -> Tensor:
        """Coordinates from weights."""
        return weight_KD * self._rest + self._along_axes(weight_KD, self._up_R)

    def _along_axes(self, matrix_KD: Tensor, factor_R: Tensor) -> Tensor:
        return (((matrix_KD.float() @ self._basis_DR) * factor_R) @ self._basis_DR.T).double()


class _Value(NamedTuple):
    """The objective at a point."""

    value: float
    gap: float
    """Upper bound on how far that is above the minimum."""


class _Ending(Enum):
    """Why a minimisation ended."""

    REACHED = "reached"
    """The minimum is near enough."""
    STALLED = "stalled"
    """Nothing lowers the objective any more."""
    RAN_OUT = "ran out"
    """The iterations did."""


def _minimise(objective: Callable[[], _Value], point: Tensor, check: Callable[[], None]) -> _Ending:
    """Move `point` towards the minimum of an objective that leaves its gradient there."""
    optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
        [point],
        max_iter=CHUNK,
        history_size=HISTORY,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    before = math.inf
    for _ in range(MAX_CHUNKS):
        check()
        optimizer.step(lambda: objective().value)
        value, gap = objective()
        if gap <= TOLERANCE * value:
            return _Ending.REACHED
        if before - value <= STALLED * value:
            return _Ending.STALLED
        before = value
    return _Ending.RAN_OUT
