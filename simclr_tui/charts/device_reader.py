"""Reading what the device did over a whole run, a bounded piece of it each poll."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.store.history import DEVICE_SERIES, device_bins, device_until
from trainer.store.reader import StoreReader

MOST_BINS = 1024
_SAMPLES_A_POLL = 20_000
"""A run that went on for days is read in a few polls, none of which holds up the others."""


class DeviceReader:
    """Stretches of equal length over a run; once they are too many each two become one."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self._run_id = run_id
        self._after = 0.0
        self._seconds = 1.0
        self._bins: dict[int, dict[str, Any]] = {}

    def read(self, reader: StoreReader) -> bool:
        """Read on from where it was; whether there was anything. Reads only."""
        until = device_until(reader, self._run_id, after=self._after, samples=_SAMPLES_A_POLL)
        if until is None:
            return False
        for row in device_bins(reader, self._run_id, after=self._after, until=until, seconds=self._seconds):
            self._put(self._bins, row["bin"], row)
        while len(self._bins) > MOST_BINS:
            halved: dict[int, dict[str, Any]] = {}
            for number, row in self._bins.items():
                self._put(halved, number // 2, row)
            self._bins, self._seconds = halved, 2 * self._seconds
        self._after = until
        return True

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The stretches in order, each with `at`, its middle, and `seconds`, its length."""
        return tuple(
            {**self._bins[number], "at": (number + 0.5) * self._seconds, "seconds": self._seconds}
            for number in sorted(self._bins)
        )

    @staticmethod
    def _put(bins: dict[int, dict[str, Any]], number: int, row: dict[str, Any]) -> None:
        """Add a stretch to those that there are."""
        known = bins.get(number)
        if known is None:
            bins[number] = dict(row)
            return
        for name in DEVICE_SERIES:
            for word, choose in (("low", min), ("high", max)):
                values = [one[f"{word}_{name}"] for one in (known, row) if one[f"{word}_{name}"] is not None]
                known[f"{word}_{name}"] = choose(values, default=None)
            known[f"sum_{name}"] = (known[f"sum_{name}"] or 0) + (row[f"sum_{name}"] or 0)
            known[f"count_{name}"] += row[f"count_{name}"]
        for name in ("samples", "slowed"):
            known[name] += row[name]
        known["last_at"] = max(known["last_at"], row["last_at"])
