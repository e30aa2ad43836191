"""Linear evaluation of frozen features: multinomial logistic regression, all choices made on the training split.

The standard protocol needs no tuning and no luck: features standardised with the training statistics, L-BFGS, the
L2 strength chosen by log loss on held-out training images. The protocol of the UvA tutorial (AdamW) is there for
comparison with its figures. Shapes: N images, D features, K classes.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import randomness
from trainer.accuracy import top_accuracy
from trainer.data.stratify import stratified_folds, stratified_split
from trainer.errors import DataError, NonFiniteError
from trainer.logistic import LogisticProblem, Weights, principal_axes

C_PATH = tuple(10.0**exponent for exponent in range(-5, 3))
"""Inverse L2 strengths that are tried, strongest regularisation first."""

HELD_OUT = 0.2
FOLDS = 5
FEW_LABELS = 25
"""Below so many labels of some class, C is chosen over folds: one fifth of so few says little."""

ONE_THREAD_BELOW = 2**24
"""Number of features times images up to which a fit on the CPU takes one thread: its thousands of small steps lose
more by threads that wait for a busy core (tenfold, measured on two) than they gain; and the result doesn't depend
on `--threads`."""

ADAMW_EPOCHS = 100
ADAMW_BATCH = 64
ADAMW_MILESTONES = (60, 80)


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A fitted linear classifier of frozen features."""

    weight: Tensor
    """(K, D), float32, of standardised features."""
    bias: Tensor
    """(K,), float32."""
    mean: Tensor
    """(D,), float32: what is taken off a feature."""
    std: Tensor
    """(D,), float32: what it is divided by, never 0."""
    C: float | None
    """Inverse L2 strength in scikit-learn's sense, C · Σ log loss + ½ ‖weight‖²; None where there is none."""
    log_losses: dict[float, float]
    """Held-out log loss in nats of each C that was tried; empty where C was given."""
    converged: bool
    """False where the last fit ran out of iterations; its accuracy is then that of an unfinished fit."""

    def logits(self, features_ND: Tensor) -> Tensor:
        """Unnormalised log probabilities, (N, K)."""
        return F.linear((features_ND.float() - self.mean) / self.std, self.weight, self.bias)


def fit_probe(
    features_ND: Tensor,
    labels_N: Tensor,
    classes: int,
    seed: int,
    check: Callable[[], None],
    *,
    strengths: Sequence[float] = C_PATH,
) -> Probe:
    """Fit the standard protocol: C chosen on held-out training images, then refitted on all of them.

    C has the lowest log loss on a stratified fifth, or over five stratified folds where a class has fewer than 25
    labels. The path starts at the strongest regularisation, each fit where the last one ended, and stops once the
    log loss has risen twice in a row: past its minimum it goes on rising, and those fits would take most of the
    time. Mean and deviation come from all training images; they use no label.

    Args:
        features_ND: training features, floating.
        labels_N: integers from 0 to classes − 1.
        classes: number of classes K; one without a training image is never predicted.
        seed: of the held-out images.
        check: called before each few iterations; it may raise to stop.
        strengths: values of C, growing; one alone is taken without a choice.

    Raises:
        DataError: a label is missing, or no class has two.
        NonFiniteError: a feature is NaN or infinite.
    """
    _check(features_ND, labels_N, classes)
    with _few_threads(features_ND):
        mean, std = _statistics(features_ND)
        x_ND = (features_ND.float() - mean) / std
        axes = principal_axes(x_ND)

        def problem(rows: Tensor | slice) -> LogisticProblem:
            return LogisticProblem(x_ND[rows], labels_N[rows], classes, axes, check)

        C, start, losses = strengths[0], None, dict[float, float]()
        if len(strengths) > 1:
            splits = _splits(labels_N, seed)
            problems = [problem(rest) for rest, _ in splits]
            held_out = [(x_ND[rows], labels_N[rows]) for _, rows in splits]
            C, start, losses = _choose(problems, held_out, strengths)
        fitted = problem(slice(None)).solve(C, start)
    return Probe(fitted.weight.float(), fitted.bias.float(), mean, std, C, losses, fitted.converged)


def score(probe: Probe, features_ND: Tensor, labels_N: Tensor) -> tuple[float, float]:
    """Accuracy of a probe as (top1, top5), each 0 to 1, over all images given.

    Raises:
        DataError: there is no image.
    """
    if len(labels_N) == 0:
        raise DataError("the probe has no images to be scored on; choose a data set with a labelled test split")
    return top_accuracy(probe.logits(features_ND), labels_N)


def adamw_probe(features_ND: Tensor, labels_N: Tensor, classes: int, seed: int, check: Callable[[], None]) -> Probe:
    """Fit the protocol of the UvA deep learning tutorial 17 (SimCLR.ipynb), for comparison with its figures.

    A linear layer in its default initialisation, AdamW with rate 1e-3 and weight decay 1e-3, 100 epochs in batches
    of 64, the rate divided by ten after 60 and 80; features as they are. The tutorial reports the best of ten looks
    at `test`; here the last epoch is taken.

    Args and Raises as in `fit_probe`; `check` is called before each epoch.
    """
    _check(features_ND, labels_N, classes)
    features = features_ND.shape[1]
    weight, bias = (
        torch.empty(shape).uniform_(-(features**-0.5), features**-0.5, generator=randomness.generator(seed, name))
        for name, shape in (("probe-weight", (classes, features)), ("probe-bias", (classes,)))
    )
    parameters = [tensor.to(features_ND.device).requires_grad_() for tensor in (weight, bias)]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, ADAMW_MILESTONES, gamma=0.1)
    x_ND = features_ND.float()
    with _few_threads(x_ND):
        for epoch in range(ADAMW_EPOCHS):
            check()
            order = torch.randperm(len(x_ND), generator=randomness.generator(seed, "probe-order", epoch))
            for rows in torch.split(order.to(x_ND.device), ADAMW_BATCH):
                optimizer.zero_grad()
                torch.autograd.backward(F.cross_entropy(F.linear(x_ND[rows], *parameters), labels_N[rows]))
                optimizer.step()
            schedule.step()
    weight, bias = (parameter.detach() for parameter in parameters)
    mean, std = x_ND.new_zeros(features), x_ND.new_ones(features)
    return Probe(weight, bias, mean, std, C=None, log_losses={}, converged=True)


@contextmanager
def _few_threads(features_ND: Tensor) -> Iterator[None]:
    """One CPU thread inside where the problem is small, the number from before afterwards."""
    threads = torch.get_num_threads()
    if features_ND.device.type == "cpu" and features_ND.numel() <= ONE_THREAD_BELOW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _choose(
    problems: list[LogisticProblem], held_out: list[tuple[Tensor, Tensor]], strengths: Sequence[float]
) -> tuple[float, Weights, dict[float, float]]:
    """The C of the lowest held-out log loss, the first problem's weights at it, and the losses tried."""
    losses: dict[float, float] = {}
    starts: dict[float, Weights] = {}
    solutions: list[Weights | None] = [None] * len(problems)
    images = sum(len(labels) for _, labels in held_out)
    for C in strengths:
        fitted = [problem.solve(C, start) for problem, start in zip(problems, solutions, strict=True)]
        losses[C] = sum(w.log_loss(x, y) for w, (x, y) in zip(fitted, held_out, strict=True)) / images
        starts[C], solutions = fitted[0], list(fitted)
        tail = list(losses.values())[-3:]
        if len(tail) == 3 and all(before < after for before, after in itertools.pairwise(tail)):
            break
    best = min(losses, key=losses.__getitem__)
    return best, starts[best], losses


def _splits(labels_N: Tensor, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Rows to fit on and rows to choose C on: one stratified fifth, or folds where labels are few.

    A class of one image is never held out, since nothing could be learnt of it then.
    """
    labels_N = labels_N.cpu()
    counts_K = torch.bincount(labels_N)
    if int(counts_K[counts_K > 0].min()) >= FEW_LABELS:
        return [stratified_split(labels_N, HELD_OUT, seed)]
    rows = torch.nonzero(counts_K[labels_N] > 1).flatten()
    if len(rows) == 0:
        raise DataError("no class has two labelled training images, so nothing can be held out; label more of them")
    splits = []
    for _, fold in stratified_folds(labels_N[rows], min(FOLDS, len(rows)), seed):
        rest = torch.ones(len(labels_N), dtype=torch.bool)
        rest[rows[fold]] = False
        splits.append((torch.nonzero(rest).flatten(), rows[fold]))
    return splits


def _statistics(features_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, (D,) float32, the deviation 1 where a feature is constant.

    A deviation at the rounding noise of the mean counts as none, or dividing by it would turn the noise into a
    feature.
    """
    std, mean = torch.std_mean(features_ND.float(), dim=0, correction=0)
    constant = std <= 4 * torch.finfo(torch.float32).eps * mean.abs()
    return mean, std.masked_fill(constant, 1.0)


def _check(features_ND: Tensor, labels_N: Tensor, classes: int) -> None:
    if len(labels_N) == 0 or int(labels_N.min()) < 0 or int(labels_N.max()) >= classes:
        raise DataError(
            f"linear evaluation needs training images that all have a label from 0 to {classes - 1}; "
            "choose a labelled split"
        )
    if not bool(torch.isfinite(features_ND).all()):
        raise NonFiniteError(
            "the features hold NaN or infinity, so no classifier can be fitted; evaluate an earlier checkpoint"
        )
