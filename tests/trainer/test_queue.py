"""The order of a line against a list of Python, with the locks of waiting trainers held by another process."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer import queue
from trainer.errors import UsageError
from trainer.process import identity
from trainer.store import RunStore, StoreReader
from trainer.store.queue import queue_rows, reorder

_HOLD = """
import sys
from pathlib import Path
from trainer.process import RunLock
locks = {run_id: RunLock(Path(sys.argv[1]), run_id) for run_id in sys.argv[2:]}
print("held", flush=True)
for line in sys.stdin:
    locks[line.strip()].release()
    print("released", flush=True)
"""


class Waiters:
    """Runs in a line, whose locks one process holds as if each had its trainer."""

    def __init__(self, store: RunStore, number: int, devices: tuple[str, ...] = ("cpu",)) -> None:
        """Make and enqueue so many runs, on the devices in turn."""
        self.ids = [store.create_run(kind="pretrain", name=f"run-{n}", config="{}") for n in range(number)]
        words = [sys.executable, "-c", _HOLD, str(store.runs_path), *self.ids]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"
        for n, run_id in enumerate(self.ids):
            store.lifecycle(run_id, "queued", "waits", **identity(self.process.pid).columns())
            queue.enqueue(store, run_id, devices[n % len(devices)])

    def die(self, run_id: str) -> None:
        """End one of them as kill -9 does: without a word, its lock free."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(run_id + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "released\n"

    def close(self) -> None:
        """End all."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def five(store: RunStore) -> Iterator[Waiters]:
    """Five runs in the line of the CPU."""
    waiters = Waiters(store, 5)
    yield waiters
    waiters.close()


def order(store: RunStore, device: str = "cpu") -> list[str]:
    """Who waits for a device, in order."""
    return [waiter.run.id for waiter in queue.line(store, store.runs_path) if waiter.device == device]


def test_any_moves_leave_the_order_that_a_list_would_have(store: RunStore, five: Waiters) -> None:
    draw = random.Random(8)
    expected = list(five.ids)
    assert order(store) == expected
    for _ in range(200):
        run_id, where = draw.choice(five.ids), draw.choice(queue.MOVES)
        before = expected.index(run_id)
        after = {"up": max(before - 1, 0), "down": min(before + 1, 4), "first": 0}[where]
        expected.insert(after, expected.pop(before))
        assert queue.move(store, run_id, where) == after + 1
        assert order(store) == expected
    assert [waiter.place for waiter in queue.line(store, store.runs_path)] == [1, 2, 3, 4, 5]


def test_each_device_has_a_line_of_its_own(store: RunStore) -> None:
    waiters = Waiters(store, 4, devices=("cpu", "GPU-1"))
    a, b, c, d = waiters.ids
    assert (order(store), order(store, "GPU-1")) == ([a, c], [b, d])
    assert queue.move(store, c, "up") == 1
    assert queue.move(store, d, "up") == 1
    assert (order(store), order(store, "GPU-1")) == ([c, a], [d, b])
    assert queue.ahead(store, a)[1][0].run_id in (c, d)
    waiters.close()


def test_the_dead_are_skipped_at_once_and_their_rows_go(store: RunStore, five: Waiters) -> None:
    a, b, c, d, e = five.ids
    five.die(b)
    assert order(store) == [a, c, d, e]
    assert queue.move(store, c, "up") == 1
    five.die(c)
    mine, before = queue.ahead(store, d)
    assert mine is not None
    assert [row.run_id for row in before] == [a]
    assert sorted(row.run_id for row in queue_rows(store)) == sorted([a, d, e])


def test_held_ones_keep_their_place_and_let_others_pass(store: RunStore, five: Waiters) -> None:
    a, b, *_ = five.ids
    queue.hold(store, a)
    assert order(store)[0] == a
    assert queue.line(store, store.runs_path)[0].is_held
    assert queue.ahead(store, b)[1] == []
    queue.release(store, a)
    assert [row.run_id for row in queue.ahead(store, b)[1]] == [a]


def test_enqueueing_again_keeps_the_place_unless_the_device_is_another_one(store: RunStore, five: Waiters) -> None:
    a, *others = five.ids
    queue.enqueue(store, a, "cpu")
    assert order(store) == [a, *others]
    queue.enqueue(store, a, "GPU-1")
    assert (order(store), order(store, "GPU-1")) == (others, [a])
    queue.enqueue(store, a, "cpu")
    assert order(store) == [*others, a]


def test_a_run_that_had_its_turn_comes_back_to_the_beginning(store: RunStore, five: Waiters) -> None:
    last = five.ids[-1]
    queue.leave(store, last)
    queue.enqueue(store, last, "cpu", is_first=True)
    assert order(store) == [last, *five.ids[:-1]]


def test_a_reboot_keeps_the_places_of_runs_that_nobody_has_started_yet(store: RunStore, five: Waiters) -> None:
    a, b, c, d, e = five.ids
    for run_id in (c, a):
        five.die(run_id)
        store.update_run(run_id, boot_id="an-earlier-boot")
    store.lifecycle(b, "interrupted", "ended by SIGTERM")
    five.die(b)
    assert order(store) == [d, e]
    assert [row.run_id for row in queue.ahead(store, e)[1]] == [d]
    assert [run.id for run in queue.set_aside(store, store.runs_path)] == [a, b, c]
    assert len(queue_rows(store)) == 5


def test_another_machine_has_a_line_of_its_own(store: RunStore, five: Waiters) -> None:
    a, b, *others = five.ids
    store.update_run(a, host=f"not-{socket.gethostname()}")
    assert order(store) == [b, *others]
    assert queue.ahead(store, b)[1] == []
    assert len(queue_rows(store)) == 5


def test_leaving_ends_the_waiting_trainer(store: RunStore, five: Waiters) -> None:
    a, *others = five.ids
    queue.leave(store, a)
    assert [command.command for command in store.pending_commands(a)] == ["pause"]
    assert order(store) == others


def test_a_run_in_no_line_is_told_so(store: RunStore, five: Waiters) -> None:
    run_id = store.create_run(kind="pretrain", name="lonely", config="{}")
    for act in (queue.hold, queue.release, queue.leave):
        with pytest.raises(UsageError, match=r"lonely is in no line; `simclr-tui resume \w+ --queue` puts it in one"):
            act(store, run_id)
    with pytest.raises(UsageError, match="lonely is in no line"):
        queue.move(store, run_id, "up")
    five.die(five.ids[0])
    with pytest.raises(UsageError, match="run-0 is in no line"):
        queue.move(store, five.ids[0], "first")


def test_moves_of_several_processes_at_once_lose_nobody(store: RunStore, five: Waiters) -> None:
    """Each move is one transaction."""
    code = """
import random, sys
from pathlib import Path
from trainer import queue
from trainer.store import RunStore
store = RunStore.open(Path(sys.argv[1]))
draw = random.Random(sys.argv[2])
for _ in range(40):
    queue.move(store, draw.choice(sys.argv[3:]), draw.choice(("up", "down")))
"""
    words = [sys.executable, "-c", code, str(store.runs_path)]
    movers = [subprocess.Popen([*words, str(n), *five.ids]) for n in range(3)]
    assert [mover.wait() for mover in movers] == [0, 0, 0]
    assert sorted(order(store)) == sorted(five.ids)
    assert len({row.place for row in queue_rows(store)}) == 5


def test_a_move_that_reads_before_its_transaction_would_give_one_place_to_two(store: RunStore, five: Waiters) -> None:
    """The negative control: a move up of the second, planned by what was read before the third was moved up."""
    first, second, third, *_ = queue_rows(store)
    queue.move(store, third.run_id, "up")
    reorder(store, lambda _: {second.run_id: first.place, first.run_id: second.place})
    assert len({row.place for row in queue_rows(store)}) == 4


def test_a_reader_of_an_older_store_sees_no_line(store: RunStore, runs: Path) -> None:
    store.connection.execute("PRAGMA user_version = 2")
    reader = StoreReader.open(runs)
    assert queue.line(reader, runs) == []
    reader.close()
