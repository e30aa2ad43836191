"""Epochs by the trainer itself, in a process of its own: logging and checkpoints are in their seconds."""

import argparse
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.ways import Epoch
from trainer.config import PretrainConfig
from trainer.store.reader import StoreReader

EPOCHS = 3
"""Of a process; the second is measured: the first one warms up, and the last one ends with the run's own end."""

REMARK = "a trainer's, whole, with logging and checkpoints"


class WholeTrainer:
    """A fresh run each time; what an epoch took is what its store says."""

    def __init__(self, config: PretrainConfig, options: argparse.Namespace, folder: Path) -> None:
        """Args: the settings, the benchmark's options (whose images a trainer can load), and a folder for the runs."""
        self._runs = folder / "runs"
        self._made = 0
        limit = ["--limit-per-class", str(-(-options.images // 10))] if options.data == "shapes" else []
        self._words = [
            *(sys.executable, "-m", "trainer.run", "--headless", "--runs-dir", str(self._runs)),
            *("--dataset", options.data, "--image-size", str(config.image_size), "--backbone", config.backbone),
            *("--batch-size", str(config.batch_size), "--device", config.device, "--threads", str(config.threads)),
            *("--stem", config.stem, "--seed", str(config.seed), "--epochs", str(EPOCHS), "--warmup-epochs", "0"),
            *("--augment", config.augment, "--cache", config.cache, "--num-workers", str(config.num_workers)),
            *("--compile", config.compile, "--deterministic", "no", "--knn-every", "0", "--no-evaluate-at-end"),
            *("--health-every", "0", "--validate-every", "0"),
            *limit,
        ]

    def __call__(self) -> Epoch:
        """Run a process and read its second epoch."""
        self._made += 1
        name = f"epoch-{self._made}"
        done = subprocess.run([*self._words, "--name", name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
        with closing(StoreReader.open(self._runs)) as reader:
            second = reader.epochs(reader.find(name).id)[1]
        return Epoch(second["t_epoch"], second["images_per_second"], second["loss"], second["acc_top1"])
