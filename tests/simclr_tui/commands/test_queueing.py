"""`launch --queue`, `queue` and `resume --all`, their trainers waiting for a device in use."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from tests.simclr_tui.commands.test_commands import call, call_process, sentence
from tests.trainer.test_device_lock import Other, user
from trainer import queue
from trainer.config import PretrainConfig
from trainer.device_lock import user_of
from trainer.devices import device_name, gpus
from trainer.process import identity, lock_holder
from trainer.start import new_pretrain_run
from trainer.state import run_state
from trainer.store import RunStore

TINY = ("--dataset", "shapes", "--device", "cpu", "--epochs", "1", "--threads", "1")
WAIT_SECONDS = 90


@pytest.fixture(autouse=True)
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """Somebody who uses the CPU, whose lock is of this test alone."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    with user("cpu") as other:
        yield other


pytestmark = pytest.mark.usefixtures("no_trainer_is_left")


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def launch(runs: Path, store: RunStore, name: str) -> str:
    """A run that waits in line."""
    done = call_process(runs, "launch", "--queue", "--name", name, *TINY, "--json")
    assert done.returncode == 0, done
    run_id = str(json.loads(done.stdout)["id"])
    until(lambda: store.run(run_id).lifecycle == "queued")
    return run_id


def line(runs: Path, *words: str) -> list[dict[str, Any]]:
    """What `queue` says of the line, after doing something to it."""
    done = call(runs, "queue", *words, "--json")
    assert done.returncode == 0, done
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def names(entries: list[dict[str, Any]]) -> list[str]:
    """The names in a line, in order."""
    return [entry["name"] for entry in entries]


def test_the_line_is_shown_and_changed(runs: Path, store: RunStore, busy: Other) -> None:
    a, b, c = (launch(runs, store, name) for name in "abc")
    entries = line(runs)
    assert [(entry["device"], entry["place"], entry["id"]) for entry in entries] == [
        ("cpu", 1, a),
        ("cpu", 2, b),
        ("cpu", 3, c),
    ]
    assert [(entry["state"], entry["held"]) for entry in entries] == [("queued", False)] * 3
    assert names(line(runs, "up", "c")) == ["a", "c", "b"]
    assert names(line(runs, "down", "a")) == ["c", "a", "b"]
    assert names(line(runs, "first", "b")) == ["b", "c", "a"]
    assert [entry["held"] for entry in line(runs, "hold", "b")] == [True, False, False]
    text = call(runs, "queue").stdout
    assert f"the CPU, used by process {busy.process.pid} of" in text
    assert [row.split()[:4] for row in text.splitlines() if row.split()[:1] in (["1"], ["2"], ["3"])] == [
        ["1", b, "b", "held"],
        ["2", c, "c", "queued"],
        ["3", a, "a", "queued"],
    ]
    assert [entry["held"] for entry in line(runs, "release", "b")] == [False, False, False]
    assert call(runs, "queue", "first", "a").stdout == "a is number 1 in its line\n"
    assert call(runs, "queue", "leave", "a").stdout == f"a leaves the line; `simclr-tui resume {a}` starts it\n"
    until(lambda: run_state(store.run(a), runs) == "paused")
    assert names(line(runs)) == ["b", "c"]
    assert all(store.last_step(run_id) == 0 for run_id in (a, b, c))


def test_a_waiting_run_is_sent_to_another_device_and_trains_there(
    runs: Path, store: RunStore, busy: Other, capsys: pytest.CaptureFixture[str]
) -> None:
    with user(device_name("cuda:0", gpus())):
        done = call_process(runs, "launch", "--queue", "--name", "a", *TINY, "--device", "cuda:0", "--json")
        a = str(json.loads(done.stdout)["id"])
        until(lambda: store.run(a).lifecycle == "queued")
        assert call(runs, "queue", "to", "a", "cpu").stdout == "a waits for the CPU now\n"
        for words, why in {
            ("to", "a", "cpu"): "a waits for the CPU already",
            ("to", "a", "tpu"): "'tpu' is not known; choose auto, next, cpu, cuda or cuda:N",
            ("to", "a"): "takes a device, such as next or cuda:1, and nothing else does",
            ("up", "a", "cpu"): "takes a device, such as next or cuda:1, and nothing else does",
        }.items():
            assert main(["--runs-dir", str(runs), "queue", *words]) == 2
            assert why in capsys.readouterr().err
        assert [(waiter.device, waiter.place) for waiter in queue.line(store, runs)] == [("cpu", 1)]
        busy.process.kill()
        until(lambda: store.run(a).lifecycle == "started")
        assert user_of("cpu") == store.run(a).pid
        assert main(["--runs-dir", str(runs), "queue", "to", "a", "auto"]) == 2
        assert "a is in no line" in capsys.readouterr().err
    assert queue.device_setting(store.run(a)) == "cpu"


def test_a_waiting_run_is_paused_stopped_and_put_in_line_again(runs: Path, store: RunStore) -> None:
    a, b = launch(runs, store, "a"), launch(runs, store, "b")
    assert call(runs, "pause", "a").stdout == "a is paused\n"
    assert names(line(runs)) == ["b"]
    assert call_process(runs, "resume", "a", "--queue").stdout == f"{a}\n"
    until(lambda: names(line(runs)) == ["b", "a"])
    assert call(runs, "stop", "b").stdout == "b is stopped\n"
    until(lambda: names(line(runs)) == ["a"])
    assert lock_holder(runs, b) is None


def test_what_can_not_be_done_is_one_sentence(runs: Path, store: RunStore) -> None:
    a = launch(runs, store, "a")
    store.create_run(kind="evaluate", name="scores", config="{}")
    assert sentence(call(runs, "resume", "a"), 2).startswith(
        f"a waits in line already; `simclr-tui queue first {a}` moves it to the beginning"
    )
    assert "queue up: name a run" in sentence(call(runs, "queue", "up"), 2)
    assert "scores is in no line" in sentence(call(runs, "queue", "hold", "scores"), 2)
    assert "'fist' is not known; did you mean first?" in sentence(call(runs, "queue", "fist", "a"), 2)
    assert "which never waits for a device" in sentence(call(runs, "resume", "scores", "--queue"), 2)
    assert "'many' is no number of restarts; give 0 to 1000" in sentence(call(runs, "launch", "--restart", "many"), 2)
    assert "name a run, or give --all" in sentence(call(runs, "resume"), 2)
    assert "leave the run and every setting out" in sentence(call(runs, "resume", "--all", "--num-workers", "1"), 2)
    assert "leave the run and every setting out" in sentence(call(runs, "resume", "--all", "a"), 2)
    store.create_run(kind="pretrain", name="made", config="{}")
    assert "made is queued, so there is nothing to pause; resume starts it" in sentence(call(runs, "pause", "made"), 2)


def test_an_empty_line_and_a_folder_without_runs_are_said(runs: Path, store: RunStore, tmp_path: Path) -> None:
    assert call(runs, "queue").stdout == f"no run waits in {runs}; `simclr-tui launch --queue` puts one in line\n"
    nowhere = tmp_path / "nowhere"
    assert "no run waits in" in call(nowhere, "queue").stdout
    assert json.loads(call(nowhere, "queue", "--json").stdout) == []
    assert "there is nothing to resume" in call(nowhere, "resume", "--all").stdout
    assert json.loads(call(nowhere, "resume", "--all", "--json").stdout) == []
    assert not nowhere.exists()


def made(store: RunStore, name: str, lifecycle: str, **columns: Any) -> str:
    """A run as a reboot left it."""
    run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes", device="cpu", threads=1), name=name)
    owner = {**identity().columns(), "boot_id": "an-earlier-boot"}
    store.lifecycle(run_id, lifecycle, lifecycle, **{**owner, **columns})
    return run_id


def test_after_a_reboot_all_that_were_interrupted_come_back_those_in_line_in_their_order(
    runs: Path, store: RunStore
) -> None:
    second, first = made(store, "second", "queued"), made(store, "first", "queued")
    lost = made(store, "lost", "queued")
    for run_id in (first, second):
        queue.enqueue(store, run_id, "cpu")
    running = made(store, "running", "resumed")
    ended = [made(store, kind, kind) for kind in ("paused", "stopped", "failed", "finished")]
    assert names(line(runs)) == []
    assert "in line before they were interrupted: first, second; `simclr-tui resume" in call(runs, "queue").stdout
    done = call_process(runs, "resume", "--all", "--json")
    assert done.returncode == 0, done
    assert [(one["id"], one["started"], one["reason"]) for one in json.loads(done.stdout)] == [
        (run_id, True, "") for run_id in (running, first, second, lost)
    ]
    assert store.run(running).lifecycle == "started"
    until(lambda: names(line(runs)) == ["first", "second", "lost"])
    assert [run_state(store.run(run_id), runs) for run_id in ended] == ["paused", "stopped", "failed", "finished"]
    assert call(runs, "resume", "--all").stdout == f"no run in {runs} was interrupted; there is nothing to resume\n"


def test_a_run_of_another_machine_is_not_taken_and_the_code_says_so(runs: Path, store: RunStore) -> None:
    far = made(store, "far", "started", host=f"not-{socket.gethostname()}", alive_at=1.0)
    store.connection.execute("UPDATE runs SET lifecycle_at = 1 WHERE id = ?", (far,))
    done = call(runs, "resume", "--all")
    assert done.returncode == 1
    assert done.stdout == (
        f"far ({far}) was not started: its last trainer ran on not-{socket.gethostname()}; resume it there, or by its "
        "name\n"
    )
