"""A folder that looks like /sys/class/powercap, whose counters a test advances."""

from collections.abc import Mapping
from pathlib import Path

SERVER = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "core",
    "intel-rapl:0:1": "dram",
    "intel-rapl:1": "package-1",
    "intel-rapl:1:0": "core",
    "intel-rapl:1:1": "dram",
}
"""Zones of a machine with two sockets, by folder."""
COUNTED = ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1")
RANGE_MICROJOULES = 262_143_328_850
"""As it is on many Intel processors."""


class Powercap:
    """The folder; counters are microjoules."""

    def __init__(self, root: Path, zones: Mapping[str, str], *, wraps_at: int = RANGE_MICROJOULES) -> None:
        self.root = root
        self._wraps_at = wraps_at
        self._counters = dict.fromkeys(zones, 0)
        (root / "intel-rapl").mkdir(parents=True)  # the control type itself, which counts nothing
        (root / "intel-rapl" / "enabled").write_text("1\n")
        for folder, name in zones.items():
            (root / folder).mkdir()
            (root / folder / "name").write_text(f"{name}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{wraps_at}\n")
            self.put(folder, 0)

    def file(self, folder: str) -> Path:
        """The counter of a zone."""
        return self.root / folder / "energy_uj"

    def put(self, folder: str, microjoules: int) -> None:
        """Let a counter say something."""
        self._counters[folder] = microjoules
        # As the kernel gives it: whoever reads sees one whole number.
        beside = self.root / folder / "beside"
        beside.write_text(f"{microjoules}\n")
        beside.replace(self.file(folder))

    def advance(self, folder: str, joules: float) -> None:
        """Let a zone take some energy."""
        self.put(folder, (self._counters[folder] + round(joules * 1e6)) % self._wraps_at)
