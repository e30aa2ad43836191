"""Which checkpoints may go, against rules that are written down one by one, and reading one back."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trainer.retention import Retention, reads_back, reasons, surplus


@dataclass(frozen=True)
class Row:
    """What retention looks at."""

    step: int
    reason: str = "interval"
    knn_top1: float | None = None
    verified_at: float | None = 1.0


rows_of_a_run = st.lists(
    st.builds(
        Row,
        step=st.integers(1, 40),
        reason=st.sampled_from(["interval", "milestone", "best", "paused", "final"]),
        knn_top1=st.none() | st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 0.9]),
        verified_at=st.none() | st.just(1.0),
    ),
    max_size=14,
    unique_by=lambda row: row.step,
)
retentions = st.builds(
    Retention,
    newest=st.integers(1, 6),
    milestones=st.booleans(),
    pinned=st.frozensets(st.integers(1, 40), max_size=4),
)


def slow_surplus(rows: list[Row], retention: Retention) -> list[int]:
    """Each checkpoint is asked by itself, by counting those that are before it."""
    gone = []
    for row in rows:
        if row.verified_at is None:
            continue
        good = [other for other in rows if other.verified_at is not None]
        newer = sum(other.step > row.step for other in good)
        has_better = row.knn_top1 is None or any(
            other.knn_top1 is not None
            and (other.knn_top1 > row.knn_top1 or (other.knn_top1 == row.knn_top1 and other.step > row.step))
            for other in good
        )
        is_wanted = (
            newer < retention.newest
            or not has_better
            or (retention.milestones and row.reason == "milestone")
            or row.step in retention.pinned
        )
        if not is_wanted:
            gone.append(row.step)
    return sorted(gone)


@given(rows_of_a_run, retentions)
def test_what_may_go_is_what_no_rule_keeps(rows: list[Row], retention: Retention) -> None:
    assert surplus(rows, retention) == slow_surplus(rows, retention)
    assert surplus(rows[::-1], retention) == surplus(rows, retention)


@given(rows_of_a_run, retentions)
def test_the_newest_the_best_and_the_pinned_always_stay(rows: list[Row], retention: Retention) -> None:
    gone = set(surplus(rows, retention))
    verified = [row for row in rows if row.verified_at is not None]
    left = [row for row in verified if row.step not in gone]
    assert len(left) >= min(retention.newest, len(verified))
    if verified:
        assert max(row.step for row in verified) not in gone
    assert not gone & retention.pinned
    assert not gone & {row.step for row in rows if row.verified_at is None}
    scores = [row.knn_top1 for row in verified if row.knn_top1 is not None]
    if scores:
        assert max(scores) in [row.knn_top1 for row in left]


@given(rows_of_a_run, retentions)
def test_pruning_twice_is_pruning_once(rows: list[Row], retention: Retention) -> None:
    gone = surplus(rows, retention)
    assert surplus([row for row in rows if row.step not in gone], retention) == []


@given(rows_of_a_run, retentions)
def test_every_checkpoint_that_stays_has_a_reason(rows: list[Row], retention: Retention) -> None:
    why = reasons(rows, retention)
    assert [step for step, words in why.items() if not words] == surplus(rows, retention)
    assert {step for step, words in why.items() if "pinned" in words} == retention.pinned & set(why)


def surplus_that_counts_all(rows: list[Row], retention: Retention) -> list[int]:
    """Retention as it is often written: whatever was announced counts."""
    newest = sorted(rows, key=lambda row: row.step)[-retention.newest :]
    return [row.step for row in rows if row not in newest]


def test_counting_what_is_not_verified_would_delete_the_last_good_one() -> None:
    """The negative control: the last two were written to a dying disk."""
    rows = [Row(10), Row(20, verified_at=None), Row(30, verified_at=None)]
    retention = Retention(newest=2, milestones=False, pinned=frozenset())
    assert surplus_that_counts_all(rows, retention) == [10]
    assert surplus(rows, retention) == []


def test_a_file_reads_back_only_with_every_bit_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = bytes(range(256)) * 9000
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    assert reads_back(path, len(data), sha256)
    damages = {
        "flipped": data[:-1] + bytes([data[-1] ^ 1]),
        "truncated": data[:-1],
        "longer": data + b"\0",
        "a page of zeros": data[:4096] + bytes(4096) + data[8192:],
        "empty": b"",
    }
    for name, damaged in damages.items():
        path.write_bytes(damaged)
        assert not reads_back(path, len(data), sha256), name
    path.unlink()
    assert not reads_back(path, len(data), sha256)
    assert not reads_back(tmp_path, 0, sha256)
