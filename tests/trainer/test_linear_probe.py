import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, top_k_accuracy_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from trainer import randomness
from trainer.data.stratify import stratified_folds, stratified_split
from trainer.errors import DataError, NonFiniteError
from trainer.linear_probe import C_PATH, Probe, adamw_probe, fit_probe, score

CLASSES = 6


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_the_references() -> Iterator[None]:
    with threadpool_limits(1):
        yield


class StoppedError(Exception):
    pass


def go_on() -> None:
    pass


def random_problem(images: int, features: int, classes: int = CLASSES, noise: float = 1.5) -> tuple[Tensor, Tensor]:
    """Features of overlapping classes, of very different scales and off centre; every class equally often."""
    generator = torch.Generator().manual_seed(7 * images + features)
    centres = torch.randn(classes, features, generator=generator)
    labels = torch.arange(images) % classes
    x = centres[labels] + noise * torch.randn(images, features, generator=generator)
    x = x @ (torch.eye(features) + torch.randn(features, features, generator=generator) / math.sqrt(features))
    return x * torch.logspace(-2, 2, features) + 5, labels


def train_and_test(images: int, features: int, noise: float = 1.5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, labels = random_problem(images + 600, features, noise=noise)
    return x[:images], labels[:images], x[images:], labels[images:]


def scikit_learn(x: Tensor, labels: Tensor, C: float) -> tuple[StandardScaler, LogisticRegression]:
    scaler = StandardScaler().fit(x.double().numpy())
    model = LogisticRegression(C=C, tol=1e-9, max_iter=100_000)
    return scaler, model.fit(scaler.transform(x.double().numpy()), labels.numpy())


def objective(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, labels: Tensor, C: float) -> float:
    logits = torch.from_numpy(x @ weight.T + bias)
    loss = nn.functional.cross_entropy(logits, labels, reduction="sum").item()
    return C * loss + float((weight**2).sum()) / 2


@pytest.mark.parametrize(("images", "features"), [(600, 20), (300, 96), (150, 400)])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
def test_a_fit_is_scikit_learns_of_the_same_strength(images: int, features: int, C: float) -> None:
    x, labels, test_x, test_labels = train_and_test(images, features, noise=4.0)
    probe = fit_probe(x, labels, CLASSES, 0, go_on, strengths=[C])
    scaler, reference = scikit_learn(x, labels, C)
    standardised = scaler.transform(x.double().numpy())
    ours = objective(probe.weight.double().numpy(), probe.bias.double().numpy(), standardised, labels, C)
    theirs = objective(reference.coef_, reference.intercept_, standardised, labels, C)
    assert ours == pytest.approx(theirs, rel=1e-4)
    predicted = probe.logits(test_x).argmax(dim=1).numpy()
    expected = reference.predict(scaler.transform(test_x.double().numpy()))
    assert (predicted == expected).mean() >= 0.99
    assert probe.C == C
    assert probe.converged
    assert probe.log_losses == {}
    assert score(probe, test_x, test_labels)[0] == pytest.approx((expected == test_labels.numpy()).mean(), abs=0.01)


def brute_force_losses(x: Tensor, labels: Tensor, splits: Sequence[tuple[Tensor, Tensor]]) -> dict[float, float]:
    """Held-out log loss of every C by scikit-learn; features standardised once, as the protocol says."""
    standardised = StandardScaler().fit_transform(x.double().numpy())
    losses = dict.fromkeys(C_PATH, 0.0)
    for C, (rest, held_out) in itertools.product(C_PATH, splits):
        model = LogisticRegression(C=C, tol=1e-7, max_iter=100_000).fit(standardised[rest], labels[rest])
        probabilities = model.predict_proba(standardised[held_out])
        losses[C] += log_loss(labels[held_out], probabilities, labels=range(CLASSES), normalize=False) / len(labels)
    share = sum(len(held_out) for _, held_out in splits) / len(labels)
    return {C: loss / share for C, loss in losses.items()}


@pytest.mark.parametrize("noise", [0.5, 4.0, 12.0], ids=["clear", "overlapping", "hopeless"])
def test_c_has_the_lowest_log_loss_on_a_stratified_fifth(noise: float) -> None:
    x, labels, *_ = train_and_test(300, 20, noise)
    probe = fit_probe(x, labels, CLASSES, 5, go_on)
    expected = brute_force_losses(x, labels, [stratified_split(labels, 0.2, 5)])
    assert min(expected, key=expected.__getitem__) == probe.C
    assert list(probe.log_losses) == list(C_PATH)[: len(probe.log_losses)]
    for C, loss in probe.log_losses.items():
        assert loss == pytest.approx(expected[C], rel=2e-3, abs=1e-4)


def test_c_is_chosen_over_five_folds_where_labels_are_few() -> None:
    x, labels, *_ = train_and_test(24 * CLASSES, 20, noise=4.0)
    probe = fit_probe(x, labels, CLASSES, 5, go_on)
    expected = brute_force_losses(x, labels, stratified_folds(labels, 5, 5))
    assert min(expected, key=expected.__getitem__) == probe.C
    for C, loss in probe.log_losses.items():
        assert loss == pytest.approx(expected[C], rel=2e-3, abs=1e-4)


def test_the_chosen_c_is_refitted_on_all_images() -> None:
    x, labels, *_ = train_and_test(300, 20, noise=4.0)
    chosen = fit_probe(x, labels, CLASSES, 5, go_on)
    assert chosen.C is not None
    fixed = fit_probe(x, labels, CLASSES, 5, go_on, strengths=[chosen.C])
    torch.testing.assert_close(chosen.weight, fixed.weight, rtol=1e-2, atol=1e-3)


def test_the_path_ends_once_the_log_loss_has_risen_twice() -> None:
    x, labels, *_ = train_and_test(300, 20, noise=12.0)
    losses = list(fit_probe(x, labels, CLASSES, 5, go_on).log_losses.values())
    assert len(losses) < len(C_PATH)
    assert losses[-3] < losses[-2] < losses[-1]


def test_a_fit_is_the_same_each_time_and_moves_no_generator() -> None:
    x, labels, *_ = train_and_test(120, 300, noise=12.0)
    before = torch.get_rng_state()
    first, second = (fit_probe(x, labels, CLASSES, 3, go_on) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert first.log_losses == second.log_losses
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_change_no_bit_and_come_back() -> None:
    x, labels, *_ = train_and_test(120, 300, noise=12.0)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = fit_probe(x, labels, CLASSES, 3, go_on)
        torch.set_num_threads(2)
        second = fit_probe(x, labels, CLASSES, 3, go_on)
        assert torch.get_num_threads() == 2
        with pytest.raises(DataError):
            fit_probe(x[:4], torch.arange(4), CLASSES, 3, go_on)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(first.weight, second.weight)


def test_shift_and_scale_of_a_feature_do_not_matter() -> None:
    x, labels, test_x, _ = train_and_test(300, 20, noise=4.0)
    factors, shifts = torch.logspace(-3, 3, 20), torch.linspace(-1, 1, 20)
    probe = fit_probe(x, labels, CLASSES, 0, go_on, strengths=[0.01])
    moved = fit_probe(x * factors + shifts, labels, CLASSES, 0, go_on, strengths=[0.01])
    agree = probe.logits(test_x).argmax(dim=1) == moved.logits(test_x * factors + shifts).argmax(dim=1)
    assert agree.float().mean() > 0.99


@pytest.mark.parametrize("constant", [0.0, 0.1, -1234.567, 1e-20])
def test_a_constant_feature_changes_nothing(constant: float) -> None:
    x, labels, test_x, _ = train_and_test(300, 20, noise=4.0)
    probe = fit_probe(x, labels, CLASSES, 0, go_on, strengths=[1.0])
    padded = torch.cat((x, torch.full((300, 1), constant)), dim=1)
    with_constant = fit_probe(padded, labels, CLASSES, 0, go_on, strengths=[1.0])
    assert with_constant.std[-1] == 1
    expected = probe.logits(test_x)
    found = with_constant.logits(torch.cat((test_x, torch.full((600, 1), constant)), dim=1))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_a_feature_that_varies_by_its_rounding_alone_is_constant() -> None:
    x, labels, *_ = train_and_test(300, 20)
    last_bit = torch.randint(0, 2, (300, 1), generator=torch.Generator().manual_seed(0)) * 2.0**-23
    probe = fit_probe(torch.cat((x, 1 + last_bit), dim=1), labels, CLASSES, 0, go_on, strengths=[1.0])
    assert probe.std[-1] == 1
    assert probe.std[0] != 1


def test_features_that_say_nothing_give_the_class_shares() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 30)
    probe = fit_probe(torch.ones(120, 5), labels, 3, 0, go_on)
    shares = probe.logits(torch.ones(1, 5)).softmax(dim=1)
    torch.testing.assert_close(shares, torch.tensor([[0.5, 0.25, 0.25]]), rtol=1e-3, atol=1e-3)


def test_a_class_with_one_image_is_learnt_from_and_never_held_out() -> None:
    x, labels, *_ = train_and_test(60, 20, noise=4.0)
    x, labels = torch.cat((x, torch.full((1, 20), 30.0))), torch.cat((labels, torch.tensor([CLASSES])))
    probe = fit_probe(x, labels, CLASSES + 1, 0, go_on)
    assert probe.C is not None
    assert min(probe.log_losses.values()) < math.log(CLASSES)
    assert probe.logits(x[-1:]).argmax() == CLASSES


def test_a_class_without_images_is_never_predicted() -> None:
    x, labels, test_x, _ = train_and_test(300, 20)
    probe = fit_probe(x, labels + 1, CLASSES + 2, 0, go_on)
    predicted = probe.logits(test_x).argmax(dim=1)
    assert predicted.min() >= 1
    assert predicted.max() <= CLASSES


def test_scores_are_scikit_learns_top_1_and_top_5() -> None:
    x, labels, test_x, test_labels = train_and_test(300, 20, noise=8.0)
    probe = fit_probe(x, labels, CLASSES, 0, go_on)
    logits = probe.logits(test_x).numpy()
    top1, top5 = score(probe, test_x, test_labels)
    assert top1 == pytest.approx(top_k_accuracy_score(test_labels.numpy(), logits, k=1))
    assert top5 == pytest.approx(top_k_accuracy_score(test_labels.numpy(), logits, k=5))
    assert 0.2 < top1 < top5 < 1


def test_with_fewer_than_five_classes_top_5_is_everything() -> None:
    x, labels = random_problem(90, 8, classes=3)
    assert score(fit_probe(x, labels, 3, 0, go_on), x, labels)[1] == 1


def test_a_fit_can_be_stopped_between_iterations() -> None:
    x, labels, *_ = train_and_test(300, 20)
    calls: list[None] = []

    def stop_at_the_fourth() -> None:
        calls.append(None)
        if len(calls) == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        fit_probe(x, labels, CLASSES, 0, stop_at_the_fourth)


@pytest.mark.parametrize("fit", [fit_probe, adamw_probe])
def test_bad_labels_and_features_are_refused(fit: object) -> None:
    assert callable(fit)
    x, labels, *_ = train_and_test(60, 20)
    with pytest.raises(DataError, match="choose a labelled split"):
        fit(x, labels - 1, CLASSES, 0, go_on)
    with pytest.raises(DataError, match="from 0 to 2"):
        fit(x, labels, 3, 0, go_on)
    with pytest.raises(DataError, match="choose a labelled split"):
        fit(x[:0], labels[:0], CLASSES, 0, go_on)
    x[3, 4] = math.nan
    with pytest.raises(NonFiniteError, match="an earlier checkpoint"):
        fit(x, labels, CLASSES, 0, go_on)


def test_labels_of_which_none_can_be_held_out_are_refused() -> None:
    with pytest.raises(DataError, match="no class has two"):
        fit_probe(torch.eye(4), torch.arange(4), 4, 0, go_on)


def test_an_empty_test_set_is_refused() -> None:
    x, labels, *_ = train_and_test(60, 20, noise=12.0)
    with pytest.raises(DataError, match="labelled test split"):
        score(fit_probe(x, labels, CLASSES, 0, go_on), x[:0], labels[:0])


def tutorials_probe(x: Tensor, labels: Tensor, seed: int) -> nn.Linear:
    """The tutorial's training loop with modules and an explicit learning rate, in the order that ours draws."""
    layer = nn.Linear(x.shape[1], CLASSES)
    bound = x.shape[1] ** -0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=randomness.generator(seed, "probe-weight"))
        layer.bias.uniform_(-bound, bound, generator=randomness.generator(seed, "probe-bias"))
    optimizer = torch.optim.AdamW(layer.parameters(), weight_decay=1e-3, lr=1)
    for epoch in range(100):
        optimizer.param_groups[0]["lr"] = 1e-3 if epoch < 60 else 1e-4 if epoch < 80 else 1e-5
        order = torch.randperm(len(x), generator=randomness.generator(seed, "probe-order", epoch))
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            loss = nn.functional.cross_entropy(layer(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return layer


def test_the_adamw_probe_is_the_tutorials_loop() -> None:
    x, labels, test_x, _ = train_and_test(150, 20)
    x, test_x = x / 100, test_x / 100
    probe = adamw_probe(x, labels, CLASSES, 4, go_on)
    expected = tutorials_probe(x, labels, 4)
    assert isinstance(probe, Probe)
    assert probe.C is None
    torch.testing.assert_close(probe.logits(test_x), expected(test_x).detach(), rtol=1e-4, atol=1e-5)


def test_the_adamw_probe_starts_where_a_linear_layer_starts() -> None:
    drawn = randomness.generator(4, "probe-weight")
    weight = torch.empty(CLASSES, 500).uniform_(-(500**-0.5), 500**-0.5, generator=drawn)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        default = nn.Linear(500, CLASSES).weight
    assert weight.std().item() == pytest.approx(default.std().item(), rel=0.05)
    assert weight.abs().max().item() == pytest.approx(default.abs().max().item(), rel=0.01)


def test_the_adamw_probe_is_the_same_each_time_and_can_be_stopped() -> None:
    x, labels, *_ = train_and_test(60, 20)
    before = torch.get_rng_state()
    first, second = (adamw_probe(x, labels, CLASSES, 3, go_on) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first.weight, adamw_probe(x, labels, CLASSES, 4, go_on).weight)

    def stop() -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        adamw_probe(x, labels, CLASSES, 3, stop)
