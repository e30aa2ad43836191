"""Ridge regression and R², against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from trainer.evaluation.ridge import RidgeProblem, r_squared, standardisation


def sample(rows: int, features: int, targets: int = 2) -> tuple[Tensor, Tensor]:
    """Features of different scales and targets that depend on them."""
    generator = torch.Generator().manual_seed(rows + features)
    scale_D = torch.logspace(-2, 2, features)
    x_ND = torch.randn(rows, features, generator=generator) * scale_D + 3
    weight_DT = torch.randn(features, targets, generator=generator) / scale_D[:, None]
    return x_ND, x_ND @ weight_DT + torch.randn(rows, targets, generator=generator) + 5


@pytest.mark.parametrize("strength", [1e-5, 1e-2, 10.0])
@pytest.mark.parametrize(("rows", "features"), [(60, 12), (20, 50)], ids=["tall", "wide"])
def test_predictions_are_those_of_scikit_learn(rows: int, features: int, strength: float) -> None:
    (x_ND, y_NT), (new_ND, _) = sample(rows, features), sample(rows + 1, features)
    scaler = StandardScaler().fit(x_ND.double().numpy())
    reference = SklearnRidge(alpha=strength * rows, solver="svd")
    reference.fit(scaler.transform(x_ND.double().numpy()), y_NT.double().numpy())
    # Nothing is predicted beyond what was fitted to.
    expected = reference.predict(scaler.transform(new_ND.double().numpy())).clip(
        y_NT.numpy().min(0), y_NT.numpy().max(0)
    )
    found = RidgeProblem(x_ND, y_NT).solve(strength).predict(new_ND)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_a_feature_that_is_constant_in_the_fit_changes_no_prediction() -> None:
    x_ND, y_NT = sample(40, 6)
    constant_ND = torch.full((40, 1), 0.1)
    noisy_ND = torch.cat([x_ND, constant_ND * (1 + torch.finfo(torch.float32).eps * torch.rand(40, 1))], dim=1)
    fitted = RidgeProblem(noisy_ND, y_NT).solve(1e-3)
    elsewhere_ND = torch.cat([x_ND, torch.full((40, 1), 1e6)], dim=1)
    assert torch.equal(fitted.predict(noisy_ND), fitted.predict(elsewhere_ND))
    torch.testing.assert_close(fitted.predict(noisy_ND), RidgeProblem(x_ND, y_NT).solve(1e-3).predict(x_ND))


def test_features_of_deviation_one_are_not_taken_for_constant() -> None:
    mean_D, scale_D = standardisation(torch.tensor([[-1.0, 4.0], [1.0, 4.0]]))
    assert mean_D.tolist() == [0.0, 4.0]
    assert scale_D.tolist() == [1.0, 0.0]


def test_r_squared_is_that_of_scikit_learn() -> None:
    _, y_NT = sample(50, 4, targets=3)
    guess_NT = y_NT.double() + torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert r_squared(guess_NT, y_NT) == pytest.approx(r2_score(y_NT.double().numpy(), guess_NT.numpy()))


def test_a_target_that_does_not_vary_counts_as_nothing_to_predict() -> None:
    y_NT = torch.stack([torch.arange(6.0), torch.full((6,), 2.0)], dim=1)
    assert r_squared(y_NT.double(), y_NT) == 0.5


def test_a_feature_that_nearly_never_speaks_does_not_drown_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(600, 3, generator=generator)
    targets = plain[:, :1].clamp(-2, 2)
    rare = torch.zeros(600, 1)
    rare[5], rare[500:503] = 0.01, 5.0
    features = torch.cat((plain, rare), dim=1)
    fitted = RidgeProblem(features[:400], targets[:400]).solve(1e-5)
    free = (features[400:].double() - fitted.mean_D) * fitted.scale_D @ fitted.weight_DT + fitted.target_mean_T
    assert r_squared(free, targets[400:]) < 0.9
    assert r_squared(fitted.predict(features[400:]), targets[400:]) > 0.9
