"""What was measured of a run, in a few rows: its newest epochs, and the memory that it had."""

from typing import Any

from trainer.store.reader import StoreReader

_SAMPLES = 300
"""The newest, a second apart; more would make a run of days slow to ask about."""


def newest_epochs(reader: StoreReader, run_id: str, *, limit: int) -> list[dict[str, Any]]:
    """The newest rows of `epochs`, the oldest first; of a store of a version before without energy. Reads only."""
    return reader._figures("SELECT * FROM epochs WHERE run_id = ? ORDER BY epoch DESC LIMIT ?", (run_id, limit))[::-1]


def memory_bytes(reader: StoreReader, run_id: str, *, of_gpu: bool) -> int | None:
    """The most that was in use on a run's GPU, or that its own process had; None where nothing was sampled. Reads only.

    Of the newest samples alone.
    """
    column = "gpu_memory_bytes" if of_gpu else "process_memory_bytes"
    newest = f"SELECT {column} AS used FROM device_samples WHERE run_id = ? ORDER BY at DESC LIMIT ?"
    found: int | None = reader._figures(f"SELECT max(used) AS used FROM ({newest})", (run_id, _SAMPLES))[0]["used"]
    return found
