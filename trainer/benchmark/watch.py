"""What the device is seen to do while a trial is measured: how busy it is, and whether it is slowed down."""

import threading
import time
from typing import Any

from trainer.gpu import Sampler

_INTERVAL_SECONDS = 0.25
_SLOWED = ("hardware slowdown", "thermal (software)", "thermal (hardware)", "power brake")
"""Words of trainer.gpu.throttle_words for a device that is kept from its usual speed. A power cap is not among them:
that is how fast the card is when it is busy."""


class Watch:
    """Samples the device in a thread of its own until it is closed. Use as a context manager."""

    def __init__(self, sampler: Sampler) -> None:
        """Args: what to sample; nothing starts yet."""
        self._sampler = sampler
        self._samples: list[tuple[float, dict[str, Any]]] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the last sample and stop."""
        self._closing.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        # psutil keeps the beginning of an interval for each thread, so the first sample of this one begins it.
        self._sampler.sample()
        seen_at = time.perf_counter()
        is_over = False
        while not is_over:
            is_over = self._closing.wait(_INTERVAL_SECONDS)
            now = time.perf_counter()
            self._samples.append((now - seen_at, self._sampler.sample()))
            seen_at = now

    @property
    def utilisation(self) -> float | None:
        """Mean of the device's utilisation in percent, each sample for as long as it stands."""
        known = [(seconds, sample["gpu_util"]) for seconds, sample in self._samples if "gpu_util" in sample]
        total = sum(seconds for seconds, _ in known)
        return sum(seconds * percent for seconds, percent in known) / total if total else None

    @property
    def slowed(self) -> str | None:
        """Why the device was slower than it can be, if it was seen to be."""
        words = [word for word in _SLOWED if any(word in s.get("throttle_reasons", "") for _, s in self._samples)]
        return f"the device was throttled: {', '.join(words)}" if words else None
