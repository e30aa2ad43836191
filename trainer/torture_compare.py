"""Two runs of one folder held against each other, bit for bit: every logged figure, and the newest checkpoints.

Imports no torch; the tensors are compared by a process that has it.
"""

import json
import math
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.manifest import BadManifestError, Manifest, fault_of, manifest_paths, read_manifest
from trainer.paths import run_dir
from trainer.replay_check import tolerance
from trainer.store.reader import StoreReader

_TIMES = frozenset(
    {"run_id", "t_data", "t_batch", "t_train", "t_epoch", "t_idle", "images_per_second", "gpu_util", "at"}
)
_REPLAY = re.compile(r"replay (\d+) of (\d+) identical")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is not the same in two runs."""

    differences: tuple[str, ...]
    """Steps, epochs and tensors by name."""
    compared: int
    """Figures and tensors that were held against each other."""
    largest_relative_difference: float
    """Of the losses; infinite where the runs don't have the same steps."""
    is_close: bool
    """Whether the losses are close enough for a device whose bits are not promised."""


def compare(runs: Path, left: str, right: str) -> Comparison:
    """Hold two runs of a folder against each other. Reads only.

    Raises:
        TrainerError: one of them has no checkpoint that verifies, or torch can't be asked.
    """
    with closing(StoreReader.open(runs)) as reader:
        steps = [{row["step"]: row for row in reader.steps(run_id)} for run_id in (left, right)]
        epochs = [{row["epoch"]: row for row in reader.epochs(run_id)} for run_id in (left, right)]
    differences, compared = _differing_rows("step", *steps)
    more, count = _differing_rows("epoch", *epochs)
    apart = _distances(*steps)
    tensors, weights = _differing_weights(_newest(runs, left), _newest(runs, right))
    return Comparison(
        differences=(*differences, *more, *tensors),
        compared=compared + count + weights,
        largest_relative_difference=max(apart.values(), default=math.inf),
        is_close=bool(apart) and all(one <= tolerance(step) for step, one in apart.items()),
    )


def _differing_rows(
    noun: str, left: dict[int, dict[str, Any]], right: dict[int, dict[str, Any]]
) -> tuple[list[str], int]:
    found, compared = [], 0
    for number in sorted(left.keys() | right.keys()):
        if number not in left or number not in right:
            found.append(f"{noun} {number} is missing in one run")
            continue
        names = [name for name in left[number] if name not in _TIMES]
        compared += len(names)
        wrong = [name for name in names if left[number][name] != right[number][name]]
        if wrong:
            found.append(f"{noun} {number}: {', '.join(wrong)}")
    return found, compared


def _distances(left: dict[int, dict[str, Any]], right: dict[int, dict[str, Any]]) -> dict[int, float]:
    """How far apart, relatively, the losses of each step are."""
    return {step: _distance(left.get(step, {}), right.get(step, {})) for step in left.keys() | right.keys()}


def _distance(left: dict[str, Any], right: dict[str, Any]) -> float:
    one, other = left.get("loss"), right.get("loss")
    if one is None or other is None:
        return math.inf
    return float(abs(one - other) / max(abs(one), 1e-12))


def _newest(runs: Path, run_id: str) -> Manifest:
    for path in manifest_paths(run_dir(runs, run_id)):
        try:
            manifest = read_manifest(path)
            if fault_of(manifest) is None:
                return manifest
        except (BadManifestError, FileNotFoundError):
            continue
    raise TrainerError(f"{run_dir(runs, run_id)} has no checkpoint that verifies; look at the disk")


def _differing_weights(left: Manifest, right: Manifest) -> tuple[list[str], int]:
    command = [sys.executable, "-m", "trainer.same_weights", str(left.path), str(right.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
        return [f"checkpoint{name}" for name in found["differing"]], int(found["compared"])
    except (ValueError, KeyError) as error:
        said = done.stderr.strip().splitlines()[-1:]
        raise TrainerError(f"two checkpoints can't be compared ({''.join(said)[:300]}); look at torch") from error


def replayed(runs: Path, run_id: str) -> tuple[int, int]:
    """(steps that were run again after a resume, those of them that came out identical), as the trainers counted.

    A trainer that was killed before it had run all of them again says nothing; the next one begins again.
    """
    total = identical = 0
    with closing(StoreReader.open(runs)) as reader:
        messages = [event.message for event in reader.events(run_id=run_id) if event.kind == "replay"]
    for message in messages:
        match = _REPLAY.match(message)
        total += int(match[2]) if match else 1
        identical += int(match[1]) if match else 0
    return total, identical
