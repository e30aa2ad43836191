"""The messenger beside a real process and a real store: what is told, once, and what is not.

Handing over to real servers is tests/trainer/notices/test_delivery.py; here one test does so too, and the others take
what would be handed over.
"""

import dataclasses
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes import end_first_thread, trainer_of, until
from tests.trainer.notices.servers import hook
from tests.trainer.test_store import make_run
from trainer.addresses import Address, Notify
from trainer.notices import messenger, post, send
from trainer.notices.delivery import Message
from trainer.notices.messenger import Errand, Messenger
from trainer.process import identity
from trainer.store import RunStore


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Stands for a trainer."""
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


class Taken:
    """Takes messages in the place of servers."""

    def __init__(self) -> None:
        """Every address takes everything."""
        self.got: list[Message] = []
        self.tries: list[tuple[str, ...]] = []
        """The names of the addresses at each try."""
        self.away: dict[str, list[str]] = {}
        """What addresses answer first, by their names."""

    def __call__(self, message: Message, to: Sequence[Address]) -> dict[str, str]:
        self.tries.append(tuple(address.name for address in to))
        came = {one.name: self.away[one.name].pop(0) if self.away.get(one.name) else "" for one in to}
        if not all(came.values()):
            self.got.append(message)
        return came

    @property
    def titles(self) -> list[str]:
        """Of what was taken."""
        return [message.title for message in self.got]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """What would be handed over."""
    found = Taken()
    monkeypatch.setattr(post, "deliver", found)
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter times."""
    monkeypatch.setattr(messenger, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(messenger, "SETTLE_SECONDS", 0.3)
    monkeypatch.setattr(messenger, "_LOOK_SECONDS", 0.05)


def begun(store: RunStore, process: subprocess.Popen[bytes]) -> Errand:
    """A run that the process trains, and the errand of its messenger."""
    return claimed(store, make_run(store, "first"), process)


def claimed(store: RunStore, run_id: str, process: "subprocess.Popen[Any]") -> Errand:
    """The errand of the messenger of a run that the process trains."""
    who = identity(process.pid)
    store.lifecycle(run_id, "started", "started", **who.columns())
    return Errand(runs=str(store.runs_path), run_id=run_id, pid=who.pid, start_ticks=who.start_ticks, pulse=-1, after=1)


def notify(**changes: Any) -> Notify:
    """What a person wants."""
    return Notify(**{"to": (Address("hook", "json://hush-hush"),), **changes})


def in_background(errand: Errand, wanted: Notify) -> threading.Thread:
    """A messenger at work."""
    thread = threading.Thread(target=Messenger(errand, lambda: wanted).work)
    thread.start()
    return thread


def notices(store: RunStore, run_id: str) -> list[str]:
    """What the store says of them."""
    return [event.message for event in store.events(run_id=run_id) if event.kind == "notice"]


def test_a_trainer_that_is_killed_is_told_of_once_whoever_else_looks(
    store: RunStore, process: subprocess.Popen[bytes]
) -> None:
    errand = begun(store, process)
    with hook() as server:
        wanted = notify(to=(Address("hook", server.url),))
        several = [in_background(errand, wanted) for _ in range(3)]
        time.sleep(0.3)
        assert not server.got
        process.kill()
        process.wait()
        for thread in several:
            thread.join(60)
        assert server.titles == ["first was interrupted"]
    assert notices(store, errand.run_id) == ["notice of its end goes to hook"]


def test_an_end_that_is_recorded_is_told_while_the_process_still_goes(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    thread = in_background(errand, notify())
    store.lifecycle(errand.run_id, "failed", "no luck")
    thread.join(60)
    assert process.poll() is None
    assert (taken.titles, taken.got[0].kind) == (["first has failed"], "failed")
    assert taken.got[0].body.startswith("No luck.\n")


def test_what_nobody_wants_to_hear_of_is_not_told(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    thread = in_background(errand, notify(on=("failed",)))
    store.lifecycle(errand.run_id, "finished", "finished")
    thread.join(60)
    assert (taken.titles, notices(store, errand.run_id)) == ([], [])


def test_a_run_that_its_supervisor_starts_again_did_not_end(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    me = identity()
    supervised = dataclasses.replace(
        errand,
        supervisor=me.pid,
        supervisor_ticks=me.start_ticks,
    )
    thread = in_background(supervised, notify())
    store.lifecycle(errand.run_id, "failed", "it hung")
    time.sleep(0.4)
    process.kill()
    process.wait()
    time.sleep(1.0)
    assert not taken.got  # the supervisor may start it again
    message = "trainer started again, since it hung; restarts left: 4"
    store.lifecycle(errand.run_id, "launched", message, level="warning", **me.columns())
    thread.join(60)
    assert taken.titles == ["first was started again"]
    assert taken.got[0].body.startswith("Since it hung; restarts left: 4.\n")


def test_a_run_that_stands_still_and_then_becomes_unwell_is_told_of_twice_and_its_limit_holds(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "PATIENCE_SECONDS", 0.2)
    errand = begun(store, process)
    store.update_run(errand.run_id, phase="waiting")
    thread = in_background(errand, notify(per_hour=4))
    until(lambda: len(taken.got) == 1)
    for level, rule in (("warning", "collapse"), ("sick", "chance")):
        store.update_run(errand.run_id, health_level=level, health=f"it is {level}", health_rule=rule)
        until(partial(_is_told_of, store, errand.run_id, rule))
    process.kill()
    process.wait()
    thread.join(60)
    assert taken.titles == ["first waits", "first is unwell", "first was interrupted"]
    assert "warnings of this hour are left out" in taken.got[1].body  # half of four are for warnings
    left_out = "notice of its health (chance) is left out, since 2 were sent within the hour"
    assert notices(store, errand.run_id)[2] == left_out


def test_a_server_that_is_away_is_tried_again_and_one_that_stays_away_is_an_event_without_its_address(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "AGAIN_SECONDS", (0.1, 0.1))
    errand = begun(store, process)
    taken.away = {"a": [send.BUSY], "b": [send.REFUSED] * 3, "c": [send.SLOW]}
    wanted = notify(to=tuple(Address(name, "json://hush-hush") for name in "abc"))
    thread = in_background(errand, wanted)
    process.kill()
    process.wait()
    thread.join(60)
    assert taken.tries == [("a", "b", "c"), ("a", "b"), ("b",)]  # who may have taken it is not told twice
    assert taken.titles == ["first was interrupted"]
    told = notices(store, errand.run_id)
    assert told == [
        "notice of its end goes to a, b, c",
        f"c was not told “first was interrupted”: {send.SLOW}",
        f"b was not told “first was interrupted”: {send.REFUSED}",
    ]
    levels = [event.level for event in store.events(run_id=errand.run_id) if event.kind == "notice"]
    assert levels == ["info", "warning", "warning"]


def test_a_store_that_is_lost_with_its_trainer_is_told_too(
    store: RunStore, runs: Path, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    thread = in_background(errand, notify())
    time.sleep(0.5)
    for file in runs.glob("runs.db*"):
        file.unlink()
    (runs / "runs.db").mkdir()
    process.kill()
    process.wait()
    thread.join(60)
    assert taken.titles == ["first was interrupted"]
    assert "can't be read" in taken.got[0].body


def test_a_process_id_that_came_round_again_is_not_the_trainer(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    older = dataclasses.replace(errand, start_ticks=1)
    in_background(older, notify()).join(60)
    assert taken.titles == ["first was interrupted"]


def test_another_trainer_that_has_the_run_is_no_end(
    store: RunStore, runs: Path, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    with trainer_of(runs, errand.run_id):
        thread = in_background(errand, notify())
        process.kill()
        process.wait()
        thread.join(60)
    assert (taken.titles, notices(store, errand.run_id)) == ([], [])


def test_a_machine_that_went_down_is_told_by_the_messenger_of_the_next_trainer(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "_EVENTS", 5)
    errand = begun(store, process)
    for number in range(6):
        store.event(errand.run_id, "health", f"{number}")
    store.connection.execute("UPDATE events SET at = 1")  # long before this machine was started
    after = store.events(run_id=errand.run_id)[-1].id
    store.lifecycle(errand.run_id, "resumed", "resumed", **identity(process.pid).columns())
    threads = [in_background(dataclasses.replace(errand, after=after), notify()) for _ in range(2)]
    until(lambda: bool(taken.got))
    process.kill()
    process.wait()
    for thread in threads:
        thread.join(60)
    assert taken.titles == ["first was interrupted"] * 2  # the one before the boot, and this one
    assert ["went down" in message.body for message in taken.got] == [True, False]
    assert len(notices(store, errand.run_id)) == 2


def test_an_address_that_is_mended_meanwhile_is_the_one_that_is_told(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken
) -> None:
    errand = begun(store, process)
    wanted = [notify()]
    thread = threading.Thread(target=Messenger(errand, lambda: wanted[-1]).work)
    thread.start()
    wanted.append(notify(to=(Address("mended", "json://hush-hush"),)))
    store.lifecycle(errand.run_id, "failed", "no luck")
    thread.join(60)
    assert taken.tries == [("mended",)]


def test_without_the_kernel_s_own_word_the_end_of_a_process_is_seen_all_the_same(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pidfd_open", _refuse)
    thread = in_background(begun(store, process), notify())
    process.kill()
    process.wait()
    thread.join(60)
    assert taken.titles == ["first was interrupted"]


def test_an_end_after_more_events_than_are_read_is_another_one_than_that_before_its_trainer(
    store: RunStore, process: subprocess.Popen[bytes], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messenger, "_EVENTS", 5)
    errand = begun(store, process)
    with subprocess.Popen(["sleep", "60"]) as other:
        who = identity(other.pid)
        thread = in_background(errand, notify())
        process.kill()
        process.wait()
        thread.join(60)
        after = store.events(run_id=errand.run_id)[-1].id
        store.lifecycle(errand.run_id, "resumed", "resumed", **who.columns())
        for number in range(6):
            store.event(errand.run_id, "health", f"{number}")
        its_own = dataclasses.replace(errand, after=after, pid=who.pid, start_ticks=who.start_ticks)
        thread = in_background(its_own, notify())
        other.kill()
        other.wait()
        thread.join(60)
    assert taken.titles == ["first was interrupted"] * 2


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_trainer_that_is_still_dying_when_its_messenger_begins_is_told_of_and_not_taken_for_another(
    store: RunStore, taken: Taken, monkeypatch: pytest.MonkeyPatch, has_pidfd: bool
) -> None:
    if not has_pidfd:
        monkeypatch.setattr(os, "pidfd_open", _refuse)
    run_id = make_run(store, "first")
    with trainer_of(store.runs_path, run_id) as process:
        errand = claimed(store, run_id, process)
        end_first_thread(process)
        thread = in_background(errand, notify())
        time.sleep(0.5)
        assert not taken.got
        process.kill()
        thread.join(60)
    assert taken.titles == ["first was interrupted"]


def test_the_messenger_is_small_until_it_has_something_to_say() -> None:
    heavy = "{'torch', 'numpy', 'apprise', 'rich', 'sqlite_utils'}"
    code = f"import sys, trainer.notices.messenger; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def _refuse(pid: int) -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def _is_told_of(store: RunStore, run_id: str, word: str) -> bool:
    return any(word in message for message in notices(store, run_id))
