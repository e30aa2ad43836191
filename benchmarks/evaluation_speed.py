"""Seconds of kNN and of the linear probe on features of STL10's size, side by side with scikit-learn's.

    python benchmarks/evaluation_speed.py [--train 5000] [--test 8000] [--features 512] [--threads 2]

The features are drawn: ten overlapping classes in `--features` correlated dimensions, as an encoder's are. The shares
of predictions that differ are of the same features at the C that our probe chose.
"""

import argparse
import time

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from trainer.knn import knn_accuracy
from trainer.linear_probe import fit_probe

CLASSES = 10


def draw(
    count: int, features: int, generator: torch.Generator, mixing: Tensor, centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Features (count, features) of classes that overlap, never below 0, and their labels."""
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, features, generator=generator) @ mixing
    return (centres[labels] + noise).clamp_min(0), labels


def main() -> None:
    """Print one line for each of the four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=8000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    size = options.features
    # Directions of falling strength, so that the features are correlated and their rank is well below their number.
    scale = torch.arange(1, size + 1).float() ** -0.5
    mixing = scale[:, None] * torch.randn(size, size, generator=generator) / size**0.5
    centres = 0.012 * torch.randn(CLASSES, size, generator=generator)
    x, y = draw(options.train, size, generator, mixing, centres)
    x_test, y_test = draw(options.test, size, generator, mixing, centres)

    begun = time.perf_counter()
    top1, _ = knn_accuracy(x, y, x_test, y_test, classes=CLASSES)
    print(f"kNN, ours          {time.perf_counter() - begun:7.2f} s  accuracy {top1:.4f}")
    begun = time.perf_counter()
    unit, unit_test = (torch.nn.functional.normalize(values).numpy() for values in (x, x_test))
    theirs = KNeighborsClassifier(20, metric="cosine", algorithm="brute").fit(unit, y.numpy()).predict(unit_test)
    accuracy = (torch.from_numpy(theirs) == y_test).double().mean()
    print(f"kNN, scikit-learn  {time.perf_counter() - begun:7.2f} s  accuracy {accuracy:.4f}")

    begun = time.perf_counter()
    probe = fit_probe(x, y, CLASSES, 0, lambda: None)
    ours = probe.logits(x_test).argmax(dim=1)
    accuracy = (ours == y_test).double().mean()
    seconds = time.perf_counter() - begun
    print(f"linear, ours       {seconds:7.2f} s  accuracy {accuracy:.4f}  C {probe.C:g}, choice and refit")
    begun = time.perf_counter()
    scaler = StandardScaler().fit(x.numpy())
    classifier = LogisticRegression(C=probe.C, max_iter=10_000, tol=1e-6).fit(scaler.transform(x.numpy()), y.numpy())
    found = torch.from_numpy(classifier.predict(scaler.transform(x_test.numpy())))
    accuracy = (found == y_test).double().mean()
    print(f"linear, scikit-learn {time.perf_counter() - begun:5.2f} s  accuracy {accuracy:.4f}  one fit at the same C")
    print(f"predictions that differ: {(ours != found).double().mean():.2%}")


if __name__ == "__main__":
    main()
