"""Ridge regression on frozen features, for parameters that are numbers.

Minimises ‖Y − X W‖² + α N ‖W‖² over standardised features and centred targets (Hoerl and Kennard 1970); α is by row,
so that the same strength means the same however many rows there are. Solved by Cholesky factors in float64, of the
D × D matrix or, where there are more features than rows, of the N × N one. Shapes: N rows, D features, T targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = tuple(10.0**exponent for exponent in range(-5, 3))
"""Values of α that are worth trying on standardised features."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """A fitted regression."""

    weight_DT: Tensor
    """float64, of standardised features."""
    mean_D: Tensor
    """float64, of the features that were fitted to, as the two below."""
    scale_D: Tensor
    target_mean_T: Tensor
    low_T: Tensor
    """Smallest target that was fitted to."""
    high_T: Tensor

    def predict(self, features_ND: Tensor) -> Tensor:
        """The targets that the features speak for, float64 (N, T), none beyond those that were fitted to.

        A feature that is 0 for nearly all rows, as behind a ReLU, may lie fifty deviations off in the next one; a few
        such rows would cost the whole of R².
        """
        free_NT = (features_ND.double() - self.mean_D) * self.scale_D @ self.weight_DT + self.target_mean_T
        return free_NT.clamp(self.low_T, self.high_T)


class RidgeProblem:
    """One set of rows, to be solved at several strengths."""

    def __init__(self, features_ND: Tensor, targets_NT: Tensor) -> None:
        """Standardise the rows and multiply them once.

        Args:
            features_ND: floating.
            targets_NT: floating, on the same device.
        """
        self._mean_D, self._scale_D = standardisation(features_ND)
        self._x_ND = (features_ND.double() - self._mean_D) * self._scale_D
        self._target_mean_T = targets_NT.double().mean(dim=0)
        self._y_NT = targets_NT.double() - self._target_mean_T
        self._range_T = targets_NT.double().aminmax(dim=0)
        rows, features = self._x_ND.shape
        self._is_dual = features > rows
        self._gram = self._x_ND @ self._x_ND.T if self._is_dual else self._x_ND.T @ self._x_ND
        self._right = self._y_NT if self._is_dual else self._x_ND.T @ self._y_NT

    def solve(self, strength: float) -> Ridge:
        """The minimum at one α, above 0."""
        damped = self._gram.clone()
        damped.diagonal().add_(strength * len(self._x_ND))
        solution = torch.cholesky_solve(self._right, torch.linalg.cholesky(damped))
        weight_DT = self._x_ND.T @ solution if self._is_dual else solution
        return Ridge(weight_DT, self._mean_D, self._scale_D, self._target_mean_T, *self._range_T)


def r_squared(predicted_NT: Tensor, targets_NT: Tensor) -> float:
    """The coefficient of determination, 1 − Σ(y − ŷ)² / Σ(y − ȳ)², mean over targets.

    A target that does not vary here counts as 0: there is nothing to predict.
    """
    targets_NT = targets_NT.double()
    residual_T = (targets_NT - predicted_NT).square().sum(dim=0)
    total_T = (targets_NT - targets_NT.mean(dim=0)).square().sum(dim=0)
    return torch.where(total_T > 0, 1 - residual_T / total_T, 0.0).mean().item()


def standardisation(features_ND: Tensor) -> tuple[Tensor, Tensor]:
    """What is taken off each feature and what it is then multiplied by, float64 (D,): its mean and 1 / its deviation.

    The factor of a constant feature is 0. A deviation at the rounding noise of float32 counts as none, or the noise
    would become a feature.
    """
    std_D, mean_D = torch.std_mean(features_ND.double(), dim=0, correction=0)
    constant_D = std_D <= 4 * torch.finfo(torch.float32).eps * mean_D.abs()
    return mean_D, (1 / std_D).masked_fill(constant_D, 0.0)
