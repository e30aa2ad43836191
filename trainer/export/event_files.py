"""The scalars of TensorBoard's event files, read by TensorBoard's own reader.

Series are kept as arrays of numbers, 24 bytes a value, since files hold them one value after the other, by whichever
tag was written next. A value of a tag at a step that comes again takes the place of the older one, as after a restart.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.export.event_writer import check_tensorboard

PATTERN = "*tfevents*"
"""What the names of event files have in them (TensorBoard's IsTensorFlowEventsFile)."""

_LARGEST_STEP = 2**62
_MOST_NAMED = 4


@dataclass(slots=True)
class Series:
    """One tag's values in the order in which they were written."""

    steps: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    """UTC seconds at which each was written."""

    def points(self) -> list[tuple[int, float, float]]:
        """(step, value, seconds) by step, each step once, the value that was written last."""
        last = dict(zip(self.steps, zip(self.values, self.seconds, strict=True), strict=True))
        return [(step, *last[step]) for step in sorted(last)]


@dataclass(slots=True)
class Events:
    """What some event files hold."""

    series: dict[str, Series] = field(default_factory=dict)
    """By tag."""
    notes: list[str] = field(default_factory=list)
    """A sentence for each file whose end can't be read."""

    @property
    def values(self) -> int:
        """How many there are."""
        return sum(len(one.steps) for one in self.series.values())


def event_files(folder: Path) -> list[Path]:
    """The event files of one run, below a folder, the oldest first.

    Raises:
        UsageError: there is none, or they are of several runs, which TensorBoard tells by their folders.
    """
    found = sorted(path for path in folder.rglob(PATTERN) if path.is_file())
    if not found:
        raise UsageError(f"{folder} has no event files of TensorBoard; name a folder that has, or an archive")
    folders = sorted({path.parent for path in found})
    if len(folders) > 1:
        named = ", ".join(str(path.relative_to(folder)) for path in folders[:_MOST_NAMED])
        more = f" and {len(folders) - _MOST_NAMED} more" if len(folders) > _MOST_NAMED else ""
        raise UsageError(f"{folder} has event files of several runs ({named}{more}); name the folder of one of them")
    return found


def read_events(folder: Path) -> Events:
    """Every scalar below a folder.

    Raises:
        UsageError: TensorBoard's package is missing, or there is no scalar to be read.
    """
    check_tensorboard("import of event files")
    files, found = event_files(folder), Events()
    try:
        for path in files:
            _read(path, found)
    except OSError as error:
        where = error.filename or folder
        raise UsageError(f"{where} can't be read ({error.strerror}); check its permissions") from error
    if not found.series:
        reason = f" ({found.notes[0]})" if found.notes else ""
        raise UsageError(f"{folder} has event files without a scalar{reason}; name a folder of a run that logged some")
    return found


def _read(path: Path, found: Events) -> None:
    from google.protobuf.message import DecodeError
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    read = 0
    for record in RawEventFileLoader(str(path)).Load():
        try:
            event = Event.FromString(record)
        except DecodeError:
            break
        read += len(record) + 16  # a record has its length, its data and a checksum of each
        for value in event.summary.value:
            number = _scalar(value)
            if number is not None and 0 <= event.step <= _LARGEST_STEP:
                series = found.series.setdefault(value.tag, Series())
                series.steps.append(event.step)
                series.values.append(number)
                series.seconds.append(event.wall_time)
    rest = path.stat().st_size - read
    if rest > 0:
        found.notes.append(f"the last {rest:,} bytes of {path.name} can't be read, as where its writer was killed")


def _scalar(value: Any) -> float | None:
    """The number of a value in a summary, in either form that TensorBoard's scalars have had; else None."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.tensor.tensor_shape.dim:
        return None
    for name in ("float_val", "double_val", "int_val", "int64_val"):
        numbers = getattr(value.tensor, name)
        if len(numbers) == 1:
            return float(numbers[0])
    content = value.tensor.tensor_content
    kinds = {(1, 4): "f", (2, 8): "d"}  # DT_FLOAT and DT_DOUBLE
    kind = kinds.get((value.tensor.dtype, len(content)))
    return float(array(kind, content)[0]) if kind else None


def groups(series: dict[str, Series], tags: dict[str, str]) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Some series as rows: (step, seconds, values by name), by step.

    Args:
        series: by tag.
        tags: the tags that are wanted, with the name of the column that each is.
    """
    rows: dict[int, tuple[float, dict[str, float]]] = {}
    for tag, name in tags.items():
        for step, value, seconds in series[tag].points() if tag in series else ():
            rows.setdefault(step, (seconds, {}))[1][name] = value
    for step in sorted(rows):
        yield step, *rows[step]
