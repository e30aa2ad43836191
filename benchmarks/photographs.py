"""SimCLR, SupCon and cross-entropy on the same few real photographs, by the tutorial's recipe, as one table.

    python benchmarks/photographs.py PHOTOS --runs-dir RUNS --epochs 10 --seeds 0 1

PHOTOS holds train/<class>/ and test/<class>/ of 32-pixel images; the first 500 of each class are trained on, the first
100 of each class of test are scored. A run that is there already is resumed, or only read; so this may be interrupted
and started again. The last table comes from the store and nowhere else.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from trainer.evaluation.names import LAYERS, PROTOCOLS
from trainer.store import Evaluation, StoreReader

RECIPE = [
    *("--preset=cifar10", "--batch-size=128", "--limit-per-class=500", "--limit-test-per-class=100"),
    *("--num-workers=0", "--no-persistent-workers", "--hold-out=0"),
]
METHODS = {
    "simclr": [],
    "supcon": ["--method=supcon", "--temperature=0.1"],
    "cross-entropy": ["--method=cross-entropy", "--views=1"],
}


def run_name(method: str, epochs: int, seed: int) -> str:
    """One run of each."""
    return f"{method}-{epochs}-epochs-seed-{seed}"


def train(options: argparse.Namespace, method: str, seed: int) -> None:
    """Start or resume one run, and wait for its end."""
    command = [sys.executable, "-m", "trainer.run", "--headless", f"--runs-dir={options.runs_dir}"]
    command += [f"--resume-or-start={run_name(method, options.epochs, seed)}", f"--dataset=folder:{options.photos}"]
    command += [*RECIPE, f"--epochs={options.epochs}", f"--seed={seed}", *METHODS[method], *options.more.split()]
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def table(runs: Path, epochs: int, seeds: list[int], methods: list[str]) -> str:
    """Accuracy on test in %, one figure a seed, as Markdown."""
    reader = StoreReader.open(runs)
    lines = ["| method | features | " + " | ".join(PROTOCOLS[p] for p in ("knn", "linear", "classifier")) + " |"]
    lines.append("|---|---|---|---|---|")
    for method in methods:
        by_seed = [reader.evaluations(reader.find(run_name(method, epochs, seed)).id) for seed in seeds]
        for layer, words in LAYERS.items():
            cells = [_cell(by_seed, layer, protocol) for protocol in ("knn", "linear", "classifier")]
            if any(cells):
                lines.append(f"| {method} | {words} | " + " | ".join(cell or "–" for cell in cells) + " |")
    seconds = {
        method: [reader.find(run_name(method, epochs, seed)).trained_seconds or 0 for seed in seeds]
        for method in methods
    }
    spent = ", ".join(f"{method} {statistics.mean(times):,.0f} s" for method, times in seconds.items())
    return "\n".join(lines) + f"\n\nMean time of training: {spent}."


def _cell(by_seed: list[list[Evaluation]], layer: str, protocol: str) -> str:
    found = [
        row.top1
        for rows in by_seed
        for row in rows
        if (row.layer, row.protocol, row.labels_per_class, row.dataset) == (layer, protocol, 0, "")
    ]
    return ", ".join(f"{100 * top1:.1f}" for top1 in found if top1 is not None)


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--more", default="", help="further settings of the trainer, such as --more=--threads=1")
    options = parser.parse_args()
    for seed in options.seeds:
        for method in options.methods:
            train(options, method, seed)
    print(table(options.runs_dir, options.epochs, options.seeds, options.methods))


if __name__ == "__main__":
    main()
