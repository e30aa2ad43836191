"""Energy of the machine's processors and their memory: RAPL's counters, as Linux shows them in powercap.

Each processor package is a zone `intel-rapl:N` with a counter `energy_uj` in microjoules that wraps at
`max_energy_range_uj`; AMD's have the same names (docs.kernel.org/power/powercap/powercap.html). Counted are packages
and, beside them, `dram`. `core` and `uncore` are parts of a package, `psys` has the packages within it, and
`intel-rapl-mmio` shows a package once more; none of them is counted.
"""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.energy import Counter

POWERCAP_VARIABLE = "SIMCLR_TUI_POWERCAP"
POWERCAP = Path("/sys/class/powercap")

_PACKAGE, _PART = re.compile(r"intel-rapl:\d+"), re.compile(r"intel-rapl:\d+:\d+")


class NotMeasuredError(Exception):
    """The energy of the processors can't be read here."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        """Args: why not, in a sentence, and what to do about it if anything can be done."""
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Zone:
    """A counter."""

    name: str
    """As the kernel has it: package-0, dram."""
    file: Path
    range_joules: float | None
    """Where it wraps."""

    def joules(self) -> float:
        """What it says.

        Raises:
            OSError: it can't be read.
            ValueError: it is no number.
        """
        return int(self.file.read_text()) / 1e6


def powercap() -> Path:
    """Where powercap is: $SIMCLR_TUI_POWERCAP, as for a container that has the host's elsewhere, or the kernel's."""
    return Path(os.environ.get(POWERCAP_VARIABLE) or POWERCAP)


def zones(root: Path | None = None) -> Sequence[Zone]:
    """The counters that add up to the processors and their memory, all of which could be read.

    Raises:
        NotMeasuredError: there is none, or one of them can't be read.
    """
    root = root or powercap()
    try:
        folders = sorted(root.iterdir())
    except OSError:
        folders = []
    found = [zone for folder in folders if (zone := _zone(folder)) is not None]
    if not any(zone.name.startswith("package") for zone in found):
        raise NotMeasuredError(
            f"{root} has no intel-rapl zone, as in most virtual machines and containers and on processors without RAPL"
        )
    for zone in found:
        try:
            zone.joules()
        except PermissionError:
            raise NotMeasuredError(
                f"{zone.file} may be read by root alone, as kernels have it since CVE-2020-8694",
                f"`sudo chmod a+r {root}/intel-rapl:*/energy_uj`, until the next boot, if nobody on this machine has to"
                " be kept from secrets of others that power gives away",
            ) from None
        except (OSError, ValueError) as error:
            raise NotMeasuredError(f"{zone.file} can't be read ({error})") from None
    return found


def _zone(folder: Path) -> Zone | None:
    is_package, is_part = _PACKAGE.fullmatch(folder.name), _PART.fullmatch(folder.name)
    if not is_package and not is_part:
        return None
    name = _text(folder / "name")
    if not (is_package and name.startswith("package")) and not (is_part and name == "dram"):
        return None
    wraps = _text(folder / "max_energy_range_uj")
    return Zone(name, folder / "energy_uj", int(wraps) / 1e6 if wraps.isdecimal() and int(wraps) else None)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


class CpuEnergy:
    """Joules that the processors have taken since this was made, whoever used them. Never raises."""

    def __init__(self, root: Path | None = None) -> None:
        """Args: the folder of powercap, where it is not the usual one. Takes the first reading."""
        self.watts: float | None = None
        """Mean power between the last two readings."""
        try:
            self._zones = zones(root)
        except NotMeasuredError:
            self._zones = ()
        self._counters = [Counter(range_joules=zone.range_joules) for zone in self._zones]
        self._last_at = 0.0
        self.read()

    @property
    def joules(self) -> float | None:
        """As of the last reading; None where it is not measured."""
        known = [counter.joules for counter in self._counters if counter.joules is not None]
        return sum(known) if known and len(known) == len(self._counters) else None

    def read(self) -> float | None:
        """Take a reading; the sum so far."""
        before, at = self.joules, time.monotonic()
        try:
            readings = [zone.joules() for zone in self._zones]
        except (OSError, ValueError):  # taken away while the trainer lives; what was used meanwhile comes with the next
            self.watts = None
            return before
        for counter, joules in zip(self._counters, readings, strict=True):
            counter.read(joules, at)
        joules_now = self.joules
        is_first = before is None or joules_now is None or at <= self._last_at
        self.watts = None if is_first else (joules_now - before) / (at - self._last_at)  # type: ignore[operator]  # known
        self._last_at = at
        return joules_now
