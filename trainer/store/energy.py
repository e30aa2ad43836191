"""The energy of a run in the store: added up in its row while a trainer lives, so that it is known without a sum.

Runs of versions before that have the card's counter in their samples alone; it is added up from there once one of them
goes on, or whenever somebody asks.
"""

import math
from typing import Any

from trainer.energy import LONGEST_GAP_SECONDS, MOST_WATTS, Used
from trainer.store.reader import StoreReader

_ADD = """
    UPDATE runs SET
      energy_joules = CASE WHEN :card IS NULL THEN energy_joules ELSE ifnull(energy_joules, 0) + :card END,
      cpu_energy_joules = CASE WHEN :cpu IS NULL THEN cpu_energy_joules ELSE ifnull(cpu_energy_joules, 0) + :cpu END,
      energy_source = CASE WHEN :card IS NULL THEN energy_source
        WHEN :is_estimated OR energy_source = 'power' THEN 'power' ELSE 'counter' END
    WHERE id = :run
"""

_SAMPLED = """
    SELECT sum(used) AS joules FROM (
      SELECT at, energy_joules - lag(energy_joules) OVER taken AS used, at - lag(at) OVER taken AS gap
      FROM {table} WHERE run_id = :run AND at > :since - :gap AND at <= :until AND energy_joules IS NOT NULL {of}
      WINDOW taken AS ({each} ORDER BY at, id)
    ) WHERE at > :since AND used >= 0 AND gap <= :gap AND used <= :watts * max(gap, 1.0)
"""
_OF_CARD = _SAMPLED.format(table="device_samples", of="", each="")
_OF_OTHER_RANKS = _SAMPLED.format(table="rank_samples", of="AND rank > 0", each="PARTITION BY rank")


def add_energy(connection: Any, run_id: str, used: Used) -> None:
    """Add what was used to what a run has taken. Commits nothing."""
    values = {"run": run_id, "card": used.card_joules, "cpu": used.cpu_joules, "is_estimated": used.is_estimated}
    if used.card_joules is not None or used.cpu_joules is not None:
        connection.execute(_ADD, values)


def energy_so_far(connection: Any, run_id: str) -> dict[str, float]:
    """The columns of an epoch's row that say what the run has taken, as far as that is known. Reads only.

    A store of an older version has no such columns.
    """
    cursor = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,))
    row = dict(zip((column[0] for column in cursor.description), cursor.fetchone() or (), strict=False))
    return {name: row[name] for name in ("energy_joules", "cpu_energy_joules") if row.get(name) is not None}


def sampled_joules(
    reader: StoreReader, run_id: str, *, since: float = 0.0, until: float = math.inf, of_other_ranks: bool = False
) -> float | None:
    """What the counter of a run's card advanced by between samples, None where there are none of it. Reads only.

    The counter begins anew with the driver, and is another one where the run went on on another card: what falls, what
    lies too far apart, and what no card can take counts for nothing.

    Args:
        reader: the store.
        run_id: the run.
        since: UTC seconds of the last sample up to which it is known.
        until: UTC seconds of the last sample that counts.
        of_other_ranks: of the cards of all ranks but the first, which the samples of a run's device are of.
    """
    values: Any = {"run": run_id, "since": since, "until": until, "gap": LONGEST_GAP_SECONDS, "watts": MOST_WATTS}
    found: float | None = reader._figures(_OF_OTHER_RANKS if of_other_ranks else _OF_CARD, values)[0]["joules"]
    return found
