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

_RANKS_QUERY = """
    SELECT max(at) AS last_at, max(gpu_memory_bytes) AS device_memory_bytes,
      max(process_memory_bytes) AS process_memory_bytes,
      sum(CASE WHEN used >= 0 AND gap <= ? THEN used END) AS energy_joules
    FROM (
      SELECT at, gpu_memory_bytes, process_memory_bytes,
        energy_joules - lag(energy_joules) OVER (PARTITION BY rank ORDER BY at, id) AS used,
        at - lag(at) OVER (PARTITION BY rank ORDER BY at, id) AS gap
      FROM rank_samples WHERE run_id = ? AND at >= ? AND rank > 0
    )
"""
"""The cards of the other ranks; that of the first one is in `device_samples`."""

_WITH_RANKS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums and peaks over a run's samples; None where nothing of the kind was sampled."""

    energy_joules: float | None = None
    """What the card took while a trainer of the run lived; of several ranks all their cards."""
    device_memory_bytes: int | None = None
    """The most that was in use on the card, by whomever."""
    process_memory_bytes: int | None = None
    """The most that the training process held."""
    began_at: float | None = None
    """UTC seconds at which a trainer first took the run up."""
    last_at: float = 0.0
    """When the newest sample that is counted was taken."""
    ranks_last_at: float = 0.0
    """When the newest one of other ranks was."""


def read_totals(reader: StoreReader, run_id: str, known: Totals | None = None) -> Totals:
    """The totals of a run; with what was known before, only newer samples are read. Reads only."""
    before = known or Totals()
    # From the last counted sample on, so that what was used since then is counted too.
    row: dict[str, Any] = reader._figures(_QUERY, (_LONGEST_GAP_SECONDS, run_id, before.last_at))[0]
    others = _of_ranks(reader, run_id, before.ranks_last_at)
    return replace(
        before,
        energy_joules=_sum(_sum(before.energy_joules, row["energy_joules"]), others.get("energy_joules")),
        device_memory_bytes=_peak(
            (before.device_memory_bytes, row["device_memory_bytes"], others.get("device_memory_bytes"))
        ),
        process_memory_bytes=_peak(
            (before.process_memory_bytes, row["process_memory_bytes"], others.get("process_memory_bytes"))
        ),
        ranks_last_at=others.get("last_at") or before.ranks_last_at,
        began_at=before.began_at if before.began_at is not None else _began_at(reader, run_id),
        last_at=row["last_at"] if row["last_at"] is not None else before.last_at,
    )


def _of_ranks(reader: StoreReader, run_id: str, since: float) -> dict[str, Any]:
    """Sums and peaks over the samples of other ranks; nothing where an older store has none."""
    if reader.schema_version() < _WITH_RANKS:
        return {}
    return reader._figures(_RANKS_QUERY, (_LONGEST_GAP_SECONDS, run_id, since))[0]


def _began_at(reader: StoreReader, run_id: str) -> float | None:
    query = "SELECT min(at) AS at FROM events WHERE run_id = ? AND kind = 'started'"
    found: float | None = reader._figures(query, (run_id,))[0]["at"]
    return found


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _peak(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
