"""A store to which rows are added as they were, instead of as they happen."""

from typing import Any

from trainer.manifest import is_number
from trainer.store.records import StepRow
from trainer.store.runs import RunStore
from trainer.store.series import append_steps


class AddingStore(RunStore):
    """A store to which rows are added as they are."""

    def add(self, table: str, rows: list[dict[str, Any]]) -> int:
        """Insert rows, columns that the table does not have left out; how many were not there yet. Commits durably."""
        columns = [row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")]
        added = 0
        with self._write(durable=True) as connection:
            for row in rows:
                names = [name for name in columns if name in row]
                marks = ", ".join("?" * len(names))
                query = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"
                added += connection.execute(query, [row[name] for name in names]).rowcount
        return added

    def forget_older(self, rows: list[dict[str, Any]]) -> None:
        """Make room for rows of runs that are newer than those that are there. Commits durably."""
        with self._write(durable=True) as connection:
            connection.executemany(
                "DELETE FROM runs WHERE id = ? AND max(lifecycle_at, coalesce(progress_at, 0)) < ?",
                [(row["id"], max(row["lifecycle_at"], _number_or_0(row.get("progress_at")))) for row in rows],
            )

    def add_steps(self, run_id: str, rows: list[StepRow]) -> None:
        """Insert steps and make their buckets. Commits durably."""
        with self._write(durable=True) as connection:
            append_steps(connection, run_id, rows)


def _number_or_0(value: Any) -> float:
    return float(value) if is_number(value) else 0.0
