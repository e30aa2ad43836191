"""What a run has used over its whole life: sums and peaks of its device samples, and when it first began."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainer.store.reader import StoreReader

_LONGEST_GAP_SECONDS = 60.0
"""Between samples that lie further apart no trainer ran, and the card may have worked for others."""

_QUERY = """
    SELECT count(*) AS samples, max(at) AS last_at, max(gpu_memory_bytes) AS device_memory_bytes,
      max(process_memory_bytes) AS process_memory_bytes,
      sum(CASE WHEN used >= 0 AND gap <= ? THEN used END) AS energy_joules
    FROM (
      SELECT at, gpu_memory_bytes, process_memory_bytes,
        energy_joules - lag(energy_joules) OVER (ORDER BY at, id) AS used, at - lag(at) OVER (ORDER BY at, id) AS gap
      FROM device_samples WHERE run_id = ? AND at >= ?
    )
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums and peaks over a run's samples; None where nothing of the kind was sampled."""

    energy_joules: float | None = None
    """What the card took while a trainer of the run lived."""
    device_memory_bytes: int | None = None
    """The most that was in use on the card, by whomever."""
    process_memory_bytes: int | None = None
    """The most that the training process held."""
    began_at: float | None = None
    """UTC seconds at which a trainer first took the run up."""
    last_at: float = 0.0
    """When the newest sample that is counted was taken."""


def read_totals(reader: StoreReader, run_id: str, known: Totals | None = None) -> Totals:
    """The totals of a run; with what was known before, only newer samples are read. Reads only."""
    before = known or Totals()
    # From the last counted sample on, so that what was used since then is counted too.
    row: dict[str, Any] = reader._figures(_QUERY, (_LONGEST_GAP_SECONDS, run_id, before.last_at))[0]
    return replace(
        before,
        energy_joules=_sum(before.energy_joules, row["energy_joules"]),
        device_memory_bytes=_peak((before.device_memory_bytes, row["device_memory_bytes"])),
        process_memory_bytes=_peak((before.process_memory_bytes, row["process_memory_bytes"])),
        began_at=before.began_at if before.began_at is not None else _began_at(reader, run_id),
        last_at=row["last_at"] if row["last_at"] is not None else before.last_at,
    )


def _began_at(reader: StoreReader, run_id: str) -> float | None:
    query = "SELECT min(at) AS at FROM events WHERE run_id = ? AND kind = 'started'"
    found: float | None = reader._figures(query, (run_id,))[0]["at"]
    return found


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _peak(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
