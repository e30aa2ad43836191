"""What each rank of a run that several processes train did: its device, and how long its steps take."""

from typing import Any

from trainer.store.reader import StoreReader

WITH_RANKS = 6
"""The schema version that brought the table."""


def rank_samples(reader: StoreReader, run_id: str, *, seconds: float) -> list[dict[str, Any]]:
    """The rows of `rank_samples` of a run's last seconds, oldest first; none where one process trains it. Reads only.

    Args:
        reader: the store.
        run_id: the run.
        seconds: how far back from the newest row.
    """
    if reader.schema_version() < WITH_RANKS:
        return []
    return reader._figures(
        "SELECT * FROM rank_samples WHERE run_id = :run AND"
        " at > (SELECT max(at) FROM rank_samples WHERE run_id = :run) - :seconds ORDER BY at, rank",
        {"run": run_id, "seconds": seconds},  # type: ignore[arg-type]  # names instead of places
    )
