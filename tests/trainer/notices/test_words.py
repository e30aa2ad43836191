"""What a notice says."""

import shlex
import socket
from pathlib import Path

from tests.trainer.notices.test_happenings import look
from tests.trainer.test_store import make_run
from trainer.notices.happenings import STILL, WAITS, Happening, end_of_lost, recorded_end
from trainer.notices.words import compose, one_line
from trainer.store import RunStore
from trainer.store.records import StepRow
from trainer.supervise import TRACEBACK_NOTE

HERE = socket.gethostname()


def trained(store: RunStore) -> str:
    """A run in the middle of its epochs."""
    run_id = make_run(store, "first")
    store.lifecycle(run_id, "started", "started")
    row = dict.fromkeys(("acc_top1", "acc_top5", "acc_mean_pos", "lr", "grad_norm", "t_data", "t_batch"), 0.5)
    store.append(run_id, [StepRow(step=82680, epoch=212, loss=0.5123, **row)], trained_seconds=34860.0)
    store.put_epoch(run_id, 211, {"knn_top1": 0.7612})
    store.update_run(run_id, total_steps=195000, steps_per_epoch=390)
    return run_id


def test_a_failure_says_why_how_far_where_and_how_to_go_on(store: RunStore, runs: Path) -> None:
    run_id = trained(store)
    store.lifecycle(run_id, "failed", f"RuntimeError: no luck; {TRACEBACK_NOTE}")
    seen = look(store, run_id, "failed")
    end = recorded_end(seen, 0)
    assert end is not None
    message = compose(end, seen, runs, left=5)
    assert (message.kind, message.title) == ("failed", "first has failed")
    assert message.body.split("\n") == [
        "RuntimeError: no luck.",
        f"Epoch 212 of 500 · loss 0.512 · kNN 76.1 % · 9 h 41 min trained · on {HERE}",
        f"simclr-tui --runs-dir {shlex.quote(str(runs))} resume {run_id}",
    ]


def test_a_run_that_has_finished_is_shown_and_one_that_stands_still_has_a_log(store: RunStore, runs: Path) -> None:
    run_id = trained(store)
    store.lifecycle(run_id, "finished", "finished")
    seen = look(store, run_id, "finished")
    end = recorded_end(seen, 0)
    assert end is not None
    lines = compose(end, seen, runs).body.split("\n")
    assert lines[0].startswith("Epoch 212 of 500")
    assert lines[-1].endswith(f"show {run_id}")
    still = Happening(kind="warning", label=STILL, what="makes no progress")
    message = compose(still, seen, runs)
    assert message.title == "first makes no progress"
    assert message.body.endswith(f"log {run_id}")
    waits = compose(Happening(kind="warning", label=WAITS, what="waits"), seen, Path("/proc"))
    assert waits.body.startswith("The disk of /proc has 0 MB left; training goes on once there is space.\n")
    unknown = compose(Happening(kind="warning", label=WAITS, what="waits"), seen, Path("/nowhere"))
    assert unknown.body.startswith("Its log says for what; training goes on by itself then.\n")


def test_a_benchmark_ends_with_its_verdict(store: RunStore, runs: Path) -> None:
    run_id = store.create_run(kind="benchmark", name="bench", config="{}")
    store.lifecycle(run_id, "started", "started")
    store.event(run_id, "verdict", "cache ram is 12 % faster.")
    store.lifecycle(run_id, "finished", "finished")
    seen = look(store, run_id, "finished")
    end = recorded_end(seen, 0)
    assert end is not None
    assert compose(end, seen, runs).body.split("\n")[:2] == ["cache ram is 12 % faster.", f"On {HERE}"]


def test_an_evaluation_ends_with_what_it_found(store: RunStore, runs: Path) -> None:
    run_id = store.create_run(kind="evaluate", name="first-evaluate", config="{}")
    store.lifecycle(run_id, "started", "started")
    figures = {"step": 1, "labels_per_class": 0, "seed": 0, "top5": None, "images": 9, "c": None, "seconds": None}
    for layer, protocol, top1 in (("h", "linear", 0.8131), ("h", "knn", 0.76), ("pixels", "knn", 0.3)):
        row = figures | {"layer": layer, "protocol": protocol, "top1": top1, "job_id": run_id}
        store.put_evaluations(run_id, [row])
    store.put_evaluations(run_id, [figures | {"layer": "z", "protocol": "x", "top1": 0.1, "labels_per_class": 10}])
    store.lifecycle(run_id, "finished", "finished")
    seen = look(store, run_id, "finished")
    end = recorded_end(seen, 0)
    assert end is not None
    message = compose(end, seen, runs, evaluations=store.evaluations(run_id))
    assert message.body.split("\n")[0] == "h knn 76.0 %, h linear 81.3 %"


def test_the_last_one_of_an_hour_says_that_more_are_left_out(store: RunStore, runs: Path) -> None:
    run_id = trained(store)
    seen = look(store, run_id, "interrupted")
    end = end_of_lost(seen, 0)
    assert end is not None
    assert "notices of this hour are left out" in compose(end, seen, runs, left=0).body
    assert "left out" not in compose(end, seen, runs, left=1).body
    unwell = Happening(kind="warning", label="its health (x)", what="is unwell", why="the rank falls.")
    assert "warnings of this hour are left out" in compose(unwell, seen, runs, left=0).body
    assert compose(unwell, seen, runs).body.startswith("The rank falls.\n")


def test_a_message_stays_short_and_in_one_line_where_a_name_or_a_reason_is_not(store: RunStore, runs: Path) -> None:
    run_id = make_run(store, "a" * 100)
    store.lifecycle(run_id, "started", "started")
    store.lifecycle(run_id, "failed", "one\r\nBcc: all@example.org\x1b[31m " + "long " * 300)
    seen = look(store, run_id, "failed")
    end = recorded_end(seen, 0)
    assert end is not None
    message = compose(end, seen, runs)
    assert len(message.title) == 80
    lines = message.body.split("\n")
    assert len(lines) == 3
    assert len(lines[0]) <= 400
    assert message.body.replace("\n", "").isprintable()
    assert one_line("a\u202eb\nc", 9) == "a b c"
