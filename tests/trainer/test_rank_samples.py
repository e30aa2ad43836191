"""Samples of the ranks of a run, as they are stored and read."""

from trainer.store.rank_samples import rank_samples
from trainer.store.runs import RunStore


def test_only_the_last_seconds_of_a_run_are_read_and_none_of_another(store: RunStore) -> None:
    for number in range(61):
        store.put_rank_samples("one", [{"at": 5.0 * number, "rank": rank, "device": "CPU"} for rank in (0, 1)])
    store.put_rank_samples("other", [{"at": 1000.0, "rank": 0}])
    found = rank_samples(store, "one", seconds=120.0)
    assert [(row["at"], row["rank"]) for row in found] == [(5.0 * n, rank) for n in range(37, 61) for rank in (0, 1)]
    assert {row["run_id"] for row in found} == {"one"}
    assert rank_samples(store, "nobody", seconds=120.0) == []
