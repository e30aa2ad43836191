"""A mirror beside a run: troubles are told once, nothing that was missed is lost, and it ends with the run."""

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import trainer_of, until
from tests.small_disk import mounted
from tests.trainer.export.filled import filled_run, step_row
from tests.trainer.mirror.living import mirrored_run
from tests.trainer.mirror.reading import expected, held
from trainer.mirror import follow
from trainer.mirror.follow import Asked, Mirror
from trainer.mirror.mark import mark_file, only_mirror, read_mark
from trainer.paths import tensorboard_dir
from trainer.store import RunStore
from trainer.store.reader import StoreReader


class Beside:
    """A mirror in a thread of the test, and what it told."""

    def __init__(self, runs: Path, run_id: str, *, ends_at_once: bool = False) -> None:
        self.told: list[tuple[str, str]] = []
        self.asked = Asked()
        if ends_at_once:
            self.asked.end.set()
        self._runs, self._run_id = runs, run_id
        self._code: list[int] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        def tell(level: str, sentence: str) -> None:
            self.told.append((level, sentence))

        with closing(StoreReader.open(self._runs)) as reader, only_mirror(self._runs, self._run_id, "tensorboard"):
            mirror = Mirror(reader, self._run_id, "tensorboard", tell=tell, asked=self.asked, is_logged=False)
            self._code.append(mirror.run(until_end=True))

    def end(self) -> int:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self._code[0]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(follow, "_RETRY_SECONDS", (0.05, 0.05))


def test_it_follows_the_run_and_ends_with_everything_once_its_trainer_is_gone(store: RunStore, runs: Path) -> None:
    run_id = mirrored_run(store)
    store.lifecycle(run_id, "resumed", "by a test")
    with trainer_of(runs, run_id):
        mirror = Beside(runs, run_id)
        for step in range(41, 61):
            store.append(run_id, [step_row(step)])
            time.sleep(0.01)
        store.lifecycle(run_id, "finished", "by a test")
        store.append(run_id, [step_row(61)])
    assert mirror.end() == 0
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)
    assert mirror.told == []
    assert read_mark(mark_file(runs, run_id, "tensorboard")).reached["steps"] == (61,)


def test_a_full_disk_is_told_once_and_what_was_missed_is_written_later(store: RunStore, runs: Path) -> None:
    run_id = mirrored_run(store)
    store.lifecycle(run_id, "resumed", "by a test")
    with mounted(tensorboard_dir(runs, run_id), "64k") as small:
        with trainer_of(runs, run_id):
            (small / "other").write_bytes(b"x" * 60_000)
            mirror = Beside(runs, run_id)
            store.append(run_id, [step_row(step) for step in range(41, 91)])
            until(lambda: bool(mirror.told))
            time.sleep(0.5)
            assert len(mirror.told) == 1, "and not at every try"
            level, sentence = mirror.told[0]
            assert level == "warning"
            assert "TensorBoard stands still ([Errno 28] No space left on device" in sentence
            (small / "other").unlink()
            until(lambda: len(mirror.told) == 2)
            assert mirror.told[1] == ("info", "the mirror to TensorBoard goes on, with everything up to here")
            store.lifecycle(run_id, "finished", "by a test")
        assert mirror.end() == 0
        assert held("tensorboard", runs, run_id) == expected(runs, run_id)


def test_after_the_end_of_the_run_it_tries_a_few_times_and_says_what_hands_on_the_rest(
    store: RunStore, runs: Path
) -> None:
    run_id = filled_run(store)
    tensorboard_dir(runs, run_id).write_bytes(b"a file where a folder should be")
    mirror = Beside(runs, run_id)
    assert mirror.end() == 1
    assert [level for level, _ in mirror.told] == ["warning", "warning"]
    assert mirror.told[-1][1].startswith("not all of the run is in TensorBoard (")
    assert mirror.told[-1][1].endswith(f"`simclr-tui mirror {run_id} --to tensorboard` hands on the rest")


def test_one_that_is_asked_to_end_stops_after_a_page_and_the_next_goes_on_there(store: RunStore, runs: Path) -> None:
    run_id = mirrored_run(store)
    mirror = Beside(runs, run_id, ends_at_once=True)
    assert mirror.end() == 0
    first = held("tensorboard", runs, run_id)
    assert 0 < len(first) < len(expected(runs, run_id))
    assert Beside(runs, run_id).end() == 0
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)


def test_a_run_that_was_deleted_is_no_trouble(store: RunStore, runs: Path) -> None:
    run_id = filled_run(store)
    store.connection.execute("DELETE FROM runs")
    mirror = Beside(runs, run_id)
    assert mirror.end() == 0
    assert mirror.told == []


def test_what_never_comes_back_is_left_behind() -> None:
    with pytest.raises(TimeoutError, match=r"W&B did not take the rest in 0 s"):
        follow._within(0.05, lambda: time.sleep(5), "W&B")

    def fails() -> None:
        raise OSError("no route to host")

    with pytest.raises(OSError, match="no route"):
        follow._within(5, fails, "W&B")
    follow._within(5, lambda: None, "W&B")
