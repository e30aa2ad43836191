"""The first line: the runs folder, how many runs are in which state, the device and the clock."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.content import Content
from textual.widget import Widget

from simclr_tui.format import SIGNS, clock, duration, size
from simclr_tui.model import RunRow
from simclr_tui.theme import MUTED
from simclr_tui.words import STATE_STYLES, Part

STALE_SECONDS = 2.0
"""The clock is called stale where the store was not read for so long."""

_SAMPLE_SECONDS = 10.0
_LOW_BYTES, _FULL_BYTES = 1 << 30, 1 << 20
"""Room on the disk below which it is shown: three checkpoints of a large run, and hardly a page of the store."""
_COUNTED = ("running", "starting", "stalled", "pausing", "stopping", "queued", "paused", "interrupted", "failed")


class Header(Widget):
    """Counts, device and clock; the clock stops being plain as soon as the feed stops."""

    def __init__(self, runs: Path, *, id: str) -> None:
        """Args: the runs folder and the widget's id."""
        super().__init__(id=id)
        self._runs = runs
        self._shown = Content()
        # Plain attributes: a reactive one would paint the line at each poll, and all of it goes over the network.
        self.rows: Sequence[RunRow] = ()
        """Every run."""
        self.device: Mapping[str, Any] | None = None
        """The latest sample of a device."""
        self.free_bytes: int | None = None
        """Room on the disk of the runs folder."""
        self.polled_at = time.time()
        """When the store was last read."""
        self.problem = ""
        """Why it could not be read since, if it couldn't."""

    def on_mount(self) -> None:
        """Let the clock go on, whatever the feed does."""
        self.polled_at = time.time()
        self.set_interval(0.5, self.show)

    def show(self) -> None:
        """Paint the line if it says something else than what is painted."""
        if not self._line(time.time()).is_same(self._shown):
            self.refresh()

    def render(self) -> Content:
        """One line, the counts at the left and the device and the clock at the right."""
        self._shown = self._line(time.time())
        return self._shown

    def _line(self, now: float) -> Content:
        disk = _disk_parts(self.free_bytes)
        right = Content.assemble(*disk, *_device_parts(self.device, self.rows, now), "  ", *self._clock(now), " ")
        room = max(0, self.size.width - right.cell_length - 1)
        left = self._left(in_words=True)
        if left.cell_length > room:
            left = self._left(in_words=False)
        return Content.assemble(left.truncate(room, ellipsis=True, pad=True), " ", right)

    def _left(self, *, in_words: bool) -> Content:
        """Name, folder and counts; without words a state is its sign."""
        folder = (f" {self._folder()}/ ", MUTED)
        return Content.assemble((" simclr-tui ", "bold $primary"), folder, *self._counts(in_words=in_words))

    def _folder(self) -> str:
        try:
            return str(self._runs.relative_to(Path.cwd()))
        except ValueError:
            return self._runs.name

    def _counts(self, *, in_words: bool) -> list[Part]:
        counts = Counter(row.state for row in self.rows)
        parts: list[Part] = []
        for state in _COUNTED:
            if counts[state]:
                parts += ["  ", (f"{SIGNS[state]} {counts[state]}" + f" {state}" * in_words, STATE_STYLES[state])]
        return parts

    def _clock(self, now: float) -> list[Part]:
        age = now - self.polled_at
        if age < STALE_SECONDS:
            return [(clock(now, seconds=True), "bold")]
        reason = f": {self.problem}" if self.problem and self.size.width > 110 else ""
        return [(f" stale {duration(age)}{reason} ", "bold reverse $warning")]


def _disk_parts(free_bytes: int | None) -> list[Part]:
    """How much room is left on the disk, from where on it is worth looking after."""
    if free_bytes is None or free_bytes >= _LOW_BYTES:
        return []
    if free_bytes < _FULL_BYTES:
        return [(" disk full ", "bold reverse $error"), "  "]
    return [(f"disk {size(free_bytes)} free", "bold $warning"), "  "]


def _device_parts(sample: Mapping[str, Any] | None, rows: Sequence[RunRow], now: float) -> list[Part]:
    """What the device does, as long as somebody samples it."""
    if sample is None or now - sample["at"] > _SAMPLE_SECONDS:
        return [("device idle", MUTED)]
    name = next((row.run.device for row in rows if row.run.id == sample["run_id"] and row.run.device), None)
    is_cpu = sample["source"] == "cpu"
    parts: list[Part] = [("CPU" if is_cpu else short_name(name or "GPU"), "bold")]
    if sample["gpu_util"] is not None:
        parts.append(f"  {sample['gpu_util']:.0f} %")
    if sample["gpu_memory_bytes"] is not None and sample["gpu_memory_total_bytes"]:
        parts.append(f"  {sample['gpu_memory_bytes'] / 2**30:.0f}/{size(sample['gpu_memory_total_bytes'])}")
    elif is_cpu and sample["process_memory_bytes"] is not None:
        # As many decimals at every poll: else all that is left of it would jump.
        parts.append(f"  {sample['process_memory_bytes'] / 2**30:.2f} GiB")
    if sample["power_watts"] is not None:
        parts.append(f"  {sample['power_watts']:.0f} W")
    if sample["temperature_celsius"] is not None:
        parts.append(f"  {sample['temperature_celsius']:.0f} °C")
    return parts


def short_name(device: str) -> str:
    """A GPU's name without its maker and memory: NVIDIA H100 80GB HBM3 → H100."""
    words = device.removeprefix("NVIDIA ").removeprefix("GeForce ").split()
    return " ".join(word for word in words if "GB" not in word and not word.startswith("HBM")) or device
