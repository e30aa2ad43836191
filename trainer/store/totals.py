"""What a run has used over its whole life: sums and peaks of its device samples, and when it first began."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainer.store.energy import sampled_joules
from trainer.store.rank_samples import WITH_RANKS
from trainer.store.reader import StoreReader

_WITH_ENERGY = 7
"""The schema version that brought the sums of a run."""

_PEAKS = """
    SELECT max(at) AS last_at, max(gpu_memory_bytes) AS device_memory_bytes,
      max(process_memory_bytes) AS process_memory_bytes
    FROM {table} WHERE run_id = ? AND at > ?
"""
_OF_FIRST_RANK = _PEAKS.format(table="device_samples")
_OF_OTHER_RANKS = _PEAKS.format(table="rank_samples") + " AND rank > 0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums and peaks over a run's samples; None where nothing of the kind was sampled."""

    energy_joules: float | None = None
    """What the card took while a trainer of the run lived, whoever used it; of several ranks all their cards."""
    cpu_energy_joules: float | None = None
    """The same of the machine's processors and their memory."""
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
    card_joules: float | None = None
    """Of the energy, that of the first rank's card."""
    ranks_joules: float | None = None
    """Of the energy, that of the other ranks' cards."""


def read_totals(reader: StoreReader, run_id: str, known: Totals | None = None) -> Totals:
    """The totals of a run; with what was known before, only newer samples are read. Reads only."""
    before = known or Totals()
    row: dict[str, Any] = reader._figures(_OF_FIRST_RANK, (run_id, before.last_at))[0]
    others = _of_other_ranks(reader, run_id, before.ranks_last_at)
    card, cpu = _energy(reader, run_id)
    last_at, ranks_last_at = row["last_at"] or before.last_at, others.get("last_at") or before.ranks_last_at
    if card is None:
        card = _sum(before.card_joules, sampled_joules(reader, run_id, since=before.last_at, until=last_at))
    of_others = _sum(before.ranks_joules, others.get("energy_joules"))
    return replace(
        before,
        energy_joules=_sum(card, of_others),
        card_joules=card,
        ranks_joules=of_others,
        cpu_energy_joules=cpu,
        device_memory_bytes=_peak(
            (before.device_memory_bytes, row["device_memory_bytes"], others.get("device_memory_bytes"))
        ),
        process_memory_bytes=_peak(
            (before.process_memory_bytes, row["process_memory_bytes"], others.get("process_memory_bytes"))
        ),
        began_at=before.began_at if before.began_at is not None else _began_at(reader, run_id),
        last_at=last_at,
        ranks_last_at=ranks_last_at,
    )


def _of_other_ranks(reader: StoreReader, run_id: str, since: float) -> dict[str, Any]:
    """Sums and peaks over the samples of other ranks; nothing where there are no new ones, or no such table."""
    if reader.schema_version() < WITH_RANKS:
        return {}
    row = reader._figures(_OF_OTHER_RANKS, (run_id, since))[0]
    if row["last_at"] is None:
        return {}
    joules = sampled_joules(reader, run_id, since=since, until=row["last_at"], of_other_ranks=True)
    return row | {"energy_joules": joules}


def _began_at(reader: StoreReader, run_id: str) -> float | None:
    query = "SELECT min(at) AS at FROM events WHERE run_id = ? AND kind = 'started'"
    found: float | None = reader._figures(query, (run_id,))[0]["at"]
    return found


def _energy(reader: StoreReader, run_id: str) -> tuple[float | None, float | None]:
    """Of the card and of the processors, as the run's row has them; a store of a version before has no such columns."""
    if reader.schema_version() < _WITH_ENERGY:
        return None, None
    rows = reader._figures("SELECT energy_joules, cpu_energy_joules FROM runs WHERE id = ?", (run_id,))
    return (rows[0]["energy_joules"], rows[0]["cpu_energy_joules"]) if rows else (None, None)


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _peak(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
