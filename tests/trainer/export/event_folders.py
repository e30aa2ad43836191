"""Folders of event files as people have them, written by TensorBoard's own writers."""

import math
from collections.abc import Iterable
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

PER_EPOCH, EPOCHS, EVERY = 20, 6, 5
BEGUN = 1_600_000_000.0

Point = tuple[str, int, float, float]
"""Tag, step, value, UTC seconds."""


def tutorial_points(*, epochs: int = EPOCHS, with_epoch: bool = True) -> list[Point]:
    """What Lightning logs of the UvA tutorial's SimCLR: steps and epochs from 0, training every few steps."""
    points: list[Point] = []
    for step in range(epochs * PER_EPOCH):
        at, epoch = BEGUN + 2 * step, step // PER_EPOCH
        loss = 5 * math.exp(-step / 60)
        train = {"loss": loss, "acc_top1": step / 200, "acc_top5": step / 150, "acc_mean_pos": 100 - step / 2}
        if (step + 1) % EVERY == 0:
            points += [(f"train_{name}", step, value, at) for name, value in train.items()]
            points += [("epoch", step, float(epoch), at)] if with_epoch else []
        if (step + 1) % PER_EPOCH == 0:
            points += [(f"val_{name}", step, value + 0.25, at + 1) for name, value in train.items()]
            points += [("lr-AdamW", step, 1e-3 / (epoch + 1), at + 1)]
            points += [("epoch", step, float(epoch), at + 1)] if with_epoch else []
    return points


def write(folder: Path, points: Iterable[Point], *, suffix: str = "") -> Path:
    """The folder with one event file more."""
    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for tag, step, value, seconds in points:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=seconds, step=step, summary=summary))
    writer.close()
    return folder
