"""The commands: what they print, their exit codes and their sentences.

Most are given in this process, by the function that the program itself calls; those that start a trainer, become
another program or meet a signal, a pipe or a terminal are in one of their own.
"""

import contextlib
import io
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from simclr_tui.commands.starting import demo_command
from tests.exits import code_of
from tests.simclr_tui.learning_store import add_studied_run, put_checkpoint
from tests.simclr_tui.support import Holder, add_run, evaluation_rows
from tests.trainer.test_store import damage
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.options import OptionParser, add_settings, given
from trainer.paths import store_file
from trainer.presets import load_preset
from trainer.process import lock_holder
from trainer.settings import fields_of
from trainer.state import run_state
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.runs import RunStore

COMMAND = [sys.executable, "-m", "simclr_tui"]


def command_line(runs: Path, words: Sequence[str], *, first: bool) -> list[str]:
    """The words with the runs folder before or after the verb."""
    folder = ["--runs-dir", str(runs)]
    return [*folder, *words] if first else [*words, *folder]


def call(runs: Path, *words: str, first: bool = True) -> subprocess.CompletedProcess[str]:
    """A command in this process, with no terminal: its exit code and what it printed."""
    line = command_line(runs, words, first=first)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        Path(os.devnull).open() as nothing,
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "stdin", nothing)
        code = code_of(main, line)
    printed = (stream.buffer.getvalue().decode() for stream in (out, err))
    return subprocess.CompletedProcess(line, code, *printed)


def call_process(runs: Path, *words: str, first: bool = True) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own, which may start a trainer or become another program."""
    line = [*COMMAND, *command_line(runs, words, first=first)]
    return subprocess.run(line, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "words",
    [("show", "done"), ("ls", "--json"), ("show", "nobody"), ("launch", "--epochs", "0"), ("tag", "--help"), ()],
)
def test_a_command_is_the_same_in_a_process_of_its_own(
    runs: Path, some_runs: dict[str, str], words: tuple[str, ...]
) -> None:
    here, there = call(runs, *words), call_process(runs, *words)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert here.stdout + here.stderr


def sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a refusal."""
    assert done.returncode == code, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("simclr-tui: ")
    return done.stderr.removeprefix("simclr-tui: ").rstrip("\n")


def stored(runs: Path, name: str) -> Run:
    reader = StoreReader.open(runs)
    run = reader.find(name)
    reader.close()
    return run


def test_ls_lists_the_newest_run_first(runs: Path, some_runs: dict[str, str]) -> None:
    done = call(runs, "ls")
    assert done.returncode == 0
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["id", "name", "kind", "state", "epoch", "loss", "kNN", "%", "made", "health"]
    assert [row.split()[1] for row in rows] == ["waiting", "broken", "resting", "done"]
    assert rows[3].split()[:5] == [some_runs["done"], "done", "pretrain", "finished", "15/15"]


def test_numbers_that_are_not_finite_are_null_in_json_and_unknown_in_words(
    runs: Path, some_runs: dict[str, str]
) -> None:
    """SQLite keeps an infinity, and JSON has none."""
    run_id = some_runs["resting"]
    store = RunStore.open(runs)
    store.put_epoch(run_id, 3, {"val_loss": float("inf"), "loss": float("nan")})
    store.update_run(run_id, trained_seconds=float("inf"), fingerprint='{"a": NaN}')
    store.close()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    for words in (["show", run_id], ["ls"]):
        assert call(runs, *words).returncode == 0
        json.loads(call(runs, *words, "--json").stdout, parse_constant=refuse)


def test_ls_json_is_a_document_with_states_and_settings(runs: Path, some_runs: dict[str, str]) -> None:
    documents = json.loads(call(runs, "ls", "--json", first=False).stdout)
    by_name = {one["name"]: one for one in documents}
    assert {name: one["id"] for name, one in by_name.items()} == some_runs
    assert by_name["resting"]["state"] == "paused"
    assert by_name["resting"]["config"]["temperature"] == 0.5


def test_an_empty_folder_is_said_and_nothing_is_made(runs: Path) -> None:
    done = call(runs, "ls")
    assert (done.returncode, done.stdout.strip()) == (
        0,
        f"no run in {runs} yet; `simclr-tui demo` or `simclr-tui launch` makes one",
    )
    assert json.loads(call(runs, "ls", "--json").stdout) == []
    assert "there is no run in" in sentence(call(runs, "show", "x"), 2)
    assert not runs.exists()


def test_a_store_that_is_only_being_made_holds_no_run_yet(runs: Path) -> None:
    runs.mkdir()
    store_file(runs).touch()
    done = call(runs, "ls")
    assert (done.returncode, done.stdout.startswith(f"no run in {runs} yet")) == (0, True)
    assert json.loads(call(runs, "ls", "--json").stdout) == []
    assert "there is no run in" in sentence(call(runs, "show", "x"), 2)
    assert store_file(runs).stat().st_size == 0


@pytest.mark.usefixtures("some_runs")
@pytest.mark.parametrize("words", [("ls",), ("show", "done"), ("pause", "done")])
def test_a_damaged_store_is_one_sentence_that_names_the_file_and_a_remedy(runs: Path, words: tuple[str, ...]) -> None:
    damage(runs)
    said = sentence(call(runs, *words), 1)
    assert f"{store_file(runs)} is damaged" in said
    assert ".recover" in said


def test_show_prints_what_differs_progress_figures_and_events(runs: Path, some_runs: dict[str, str]) -> None:
    text = call(runs, "show", "resting").stdout
    for part in (
        f"resting ({some_runs['resting']}) is paused",
        "step       200 of 345 (58 %)",
        "settings that differ from preset demo",
        "temperature  0.5  (usually 0.2)",
        "chance 5.54",
        "paused by a test",
    ):
        assert part in text
    table = call(runs, "show", some_runs["done"][:6]).stdout
    assert "h, the encoder     33.4    35.3" in table
    assert "step 345, 1,500 images" in table


def test_show_says_that_a_process_is_stopped_and_how_it_goes_on(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"]) as holder:
        assert "end        " in call(runs, "show", "resting").stdout
        holder.process.send_signal(signal.SIGSTOP)
        text = call(runs, "show", "resting").stdout
        assert f"its process is stopped: kill -CONT {holder.process.pid} lets it go on" in text
        assert "end        " not in text


def test_ls_and_show_tell_the_verdict_of_the_trainer(runs: Path, some_runs: dict[str, str]) -> None:
    store = RunStore.open(runs)
    store.update_run(some_runs["resting"], health="collapsed: z", health_level="sick", health_rule="collapse-z")
    store.close()
    by_name = {line.split()[1]: line.split()[-2:] for line in call(runs, "ls").stdout.splitlines()}
    assert by_name["resting"] == ["✖", "sick"]
    assert by_name["done"][-1] == "–"
    assert "health     ✖ collapsed: z (collapse-z)" in call(runs, "show", "resting").stdout
    document = json.loads(call(runs, "show", "resting", "--json").stdout)
    told = [document[name] for name in ("health", "health_level", "health_rule")]
    assert told == ["collapsed: z", "sick", "collapse-z"]
    (listed,) = [one for one in json.loads(call(runs, "ls", "--json").stdout) if one["name"] == "resting"]
    assert listed["health_level"] == "sick"


def test_show_prints_everything_that_evaluations_found(runs: Path) -> None:
    run_id = add_studied_run(runs)
    text = call(runs, "show", "studied").stdout
    rows = [" ".join(line.split()) for line in text.splitlines()]
    for row in (
        "accuracy on test, % (step 345, 1,500 images)",
        "features kNN linear train",
        "h, the encoder 76.1 78.9 85.2",
        "accuracy on test on cifar10, % (step 345, 1,500 images)",
        "h, the encoder 71.1 73.9 85.2",
        "features protocol 10 50 500",
        "h, the encoder linear 60.0 ± 5.0 70.0 ± 5.0 80.0",
        "h, the encoder fine-tuned 75.0",
        "augmentation pixels untrained z g1 h",
        "hue 0.80 0.60 0.15 0.40 0.55",
        "66.7 % are of the same class",
    ):
        assert row in rows, text
    for name in ("map.json", "labels.svg"):
        assert str(runs / run_id / "evaluations" / "step-345" / name) in text
    document = json.loads(call(runs, "show", "studied", "--json").stdout)
    assert {one["name"] for one in document["artifacts"]} == {"map.json", "labels.svg"}
    assert {one["dataset"] for one in document["evaluations"]} == {"", "cifar10"}
    assert document["metrics"]["rank_z"] == {"step": 345, "value": 94.0}


def test_evaluate_takes_every_setting_and_says_what_is_wrong(runs: Path, some_runs: dict[str, str]) -> None:
    text = call(runs, "evaluate", "--help", first=False).stdout
    for field in fields_of(EvaluateConfig):
        option = f"--no-{field.option[2:]}" if field.kind is bool else field.option
        assert bool(re.search(rf" {option}[\s,]", text)) is (field.name != "run"), option
    assert "--what: 'everything' is not one of" in sentence(call(runs, "evaluate", "done", "--what", "everything"), 2)
    assert "--dataset: 'mnist' is not known" in sentence(call(runs, "evaluate", "done", "--dataset", "mnist"), 2)


def test_evaluate_starts_a_job_of_its_own_and_prints_it_as_json(runs: Path, some_runs: dict[str, str]) -> None:
    """The real trainer, which finds no file and fails at once with a sentence."""
    store = RunStore.open(runs)
    put_checkpoint(store, some_runs["done"], 345)
    store.close()
    done = call_process(runs, "evaluate", "done", "--what", "map", "--projection", "pca", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    job = stored(runs, json.loads(done.stdout)["id"])
    config = json.loads(job.config)
    assert (job.name, config["what"], config["projection"]) == ("done-map", "map", "pca")
    deadline = time.monotonic() + 90
    while run_state(stored(runs, job.id), runs) in ("starting", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run_state(stored(runs, job.id), runs) == "failed"


def test_preview_is_the_trainers_program_with_the_same_words(runs: Path, some_runs: dict[str, str]) -> None:
    for first in (True, False):
        done = call_process(runs, "preview", "--help", first=first)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--images" in done.stdout
        assert "--temperature" in done.stdout
    assert "'imagenet'" in sentence(call_process(runs, "preview", "--preset", "imagenet"), 2)
    assert "no run has the id or name 'nobody'" in sentence(call_process(runs, "preview", "--run", "nobody"), 2)
    assert "preview" in call(runs, "--help").stdout


def test_show_json_holds_evaluations_and_events(runs: Path, some_runs: dict[str, str]) -> None:
    document = json.loads(call(runs, "show", "done", "--json").stdout)
    assert document["state"] == "finished"
    assert {(e["layer"], e["protocol"], e["top1"]) for e in document["evaluations"]} == {
        (row["layer"], row["protocol"], row["top1"]) for row in evaluation_rows(some_runs["done"], 345)
    }
    assert document["events"][-1]["kind"] == "finished"
    assert document["last_epoch"]["epoch"] == 15
    assert document["changed_settings"] == {}


def test_a_run_is_found_by_id_beginning_of_the_id_and_name(runs: Path, some_runs: dict[str, str]) -> None:
    for text in (some_runs["broken"], some_runs["broken"][:7], "broken"):
        assert f"broken ({some_runs['broken']}) is failed" in call(runs, "show", text).stdout
    assert sentence(call(runs, "show", "nobody"), 2) == "no run has the id or name 'nobody'; `simclr-tui ls` lists them"


def test_pause_waits_until_the_run_has_paused(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"], obeys=True) as holder:
        done = call(runs, "pause", "resting")
        assert (done.returncode, done.stdout) == (0, "resting is paused\n")
        assert holder.process.wait(timeout=5) == 0
    assert lock_holder(runs, some_runs["resting"]) is None
    assert call(runs, "pause", "resting").stdout == "resting is paused\n", "asking again changes nothing"


def test_stop_ends_a_run_for_good(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"], obeys=True):
        document = json.loads(call(runs, "stop", "resting", "--json").stdout)
    assert document["state"] == "stopped"


def test_no_wait_returns_at_once_and_a_timeout_is_try_again(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"]):
        done = call(runs, "pause", "resting", "--no-wait")
        assert (done.returncode, "was asked to pause" in done.stdout) == (0, True)
        assert "resting is still pausing after 0.5 s" in sentence(
            call(runs, "pause", "resting", "--timeout", "0.5"), 75
        )


def test_a_run_that_dies_instead_of_pausing_is_a_failure(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"]) as holder:
        words = [*COMMAND, "--runs-dir", str(runs), "pause", "resting"]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as pausing:
            deadline = time.monotonic() + 10
            while stored(runs, "resting").pending_command is None and time.monotonic() < deadline:
                time.sleep(0.05)
            holder.kill()
            _, err = pausing.communicate(timeout=20)
    assert pausing.returncode == 1
    assert "resting is interrupted instead of paused" in err


@pytest.mark.parametrize(
    ("outcome", "part"),
    [
        ("refused: no checkpoint could be written", "since it refused: no checkpoint could be written"),
        ("outdated", "since a new trainer took it over and dropped what it was asked before; pause it again"),
    ],
)
def test_a_pause_that_comes_to_nothing_says_why(runs: Path, some_runs: dict[str, str], outcome: str, part: str) -> None:
    with Holder(runs, some_runs["resting"]):
        words = [*COMMAND, "--runs-dir", str(runs), "pause", "resting"]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as pausing:
            deadline = time.monotonic() + 10
            while stored(runs, "resting").pending_command is None and time.monotonic() < deadline:
                time.sleep(0.05)
            store = RunStore.open(runs)
            store.take_commands(some_runs["resting"], outcome)
            store.close()
            _, err = pausing.communicate(timeout=20)
    assert pausing.returncode == 1
    assert f"resting goes on, {part}" in err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("pause", "done"), "done is finished, so there is nothing to pause"),
        (("stop", "resting"), "resting is paused, so there is nothing to stop; resume goes on with it"),
        (("resume", "done"), "done is finished, so there is nothing left to resume"),
        (("resume", "resting", "--epochs", "9"), "another value would change its result; leave it out"),
        (("resume", "resting", "--num-workers", "-1"), "--num-workers: -1 is out of bounds"),
        (("evaluate", "done"), "done has no checkpoint; launch a new run"),
        (("launch", "--epochs", "0"), "--epochs: 0 is out of bounds; give 1 to 100000 epochs"),
        (("launch", "--blur-kernel", "4"), "--blur-kernel: 4 is even; give an odd number, or 0"),
        (("launch", "--preset", "imagenet"), "--preset: 'imagenet' is not known; choose"),
        (("launch", "--epoch", "3"), "there is no option --epoch; did you mean --epochs?"),
        (("demo", "--backbone", "vit"), "--backbone: 'vit' is not known; choose resnet18"),
        (("lunch",), "'lunch' is not known; did you mean launch?"),
        (("pause",), "the following arguments are required: RUN"),
        ((), "the dashboard needs a terminal"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: tuple[str, ...], part: str, runs: Path, some_runs: dict[str, str]
) -> None:
    assert part in sentence(call(runs, *words), 2)
    assert len(list(runs.iterdir())) >= 4


@pytest.mark.parametrize("verb", ["metrics", "tag"])
def test_what_may_be_left_out_is_not_called_required(
    verb: str, runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--runs-dir", str(runs), verb])
    assert capsys.readouterr().err == "simclr-tui: the following arguments are required: RUN\n"
    assert main(["--runs-dir", str(runs), verb, "resting"]) == 0


def test_the_help_of_resume_names_only_settings_that_can_not_change_a_result(runs: Path) -> None:
    text = call(runs, "resume", "--help", first=False).stdout
    for field in fields_of(PretrainConfig):
        option = f"--no-{field.option[2:]}" if field.kind is bool else field.option
        assert (f" {option}" in text) is not field.setting.results, option


def test_a_store_that_can_not_be_used_is_one_sentence_and_exit_code_1(runs: Path, some_runs: dict[str, str]) -> None:
    connection = sqlite3.connect(store_file(runs))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    for verb in ("ls", "launch"):
        assert "upgrade simclr-tui" in sentence(call(runs, verb), 1)
    for path in runs.glob("runs.db*"):
        path.unlink()
    store_file(runs).write_bytes(b"not a database" * 1000)
    assert "cannot be used as a run store" in sentence(call(runs, "ls"), 1)


def test_a_folder_that_can_not_be_made_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made" in sentence(call(tmp_path / "file" / "runs", "launch"), 1)


def test_a_reader_that_has_had_enough_causes_no_traceback(runs: Path) -> None:
    store = RunStore.open(runs)
    for number in range(60):
        add_run(store, f"run-{number}")
    store.close()
    line = f"{' '.join(COMMAND)} --runs-dir {runs} ls --json | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_launch_starts_a_run_in_the_background_that_can_be_paused_and_resumed(runs: Path) -> None:
    """The real trainer: launch, pause, resume, kill."""
    small = ("--limit-per-class", "20", "--limit-test-per-class", "10", "--epochs", "2000", "--batch-size", "64")
    done = call_process(runs, "launch", "--preset", "demo", "--name", "real", "--threads", "1", *small, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    run = stored(runs, "real")
    assert (run.id, run.pid) == (document["id"], document["pid"])
    try:
        wait_for_steps(runs, 1)
        assert call(runs, "pause", "real").stdout == "real is paused\n"
        paused_at = stored(runs, "real").step
        assert paused_at is not None
        assert call_process(runs, "resume", "real", "--num-workers", "1").stdout.strip() == run.id
        assert json.loads(stored(runs, "real").config)["num_workers"] == 1
        wait_for_steps(runs, paused_at + 1)
        assert call(runs, "stop", run.id).stdout == "real is stopped\n"
    finally:
        pid = lock_holder(runs, run.id)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def wait_for_steps(runs: Path, steps: int) -> None:
    deadline = time.monotonic() + 90
    while (stored(runs, "real").step or 0) < steps:
        run = stored(runs, "real")
        assert run_state(run, runs) in ("starting", "running"), (runs / run.id / "log.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_demo_without_a_terminal_is_a_trainer_with_the_same_settings(runs: Path) -> None:
    settings = {
        "epochs": 2,
        "seed": 1,
        "drop_last": False,
        "learning_rate": 1 / 3,
        "evaluate_at_end": True,
        "data_dir": "-x y",
    }
    config = load_preset("demo").config(**settings)
    words = demo_command(runs, "a name", config, list(settings))
    assert words[1:4] == ["-m", "trainer.run", "--headless"]
    parser = OptionParser()
    parser.add_argument("--name")
    add_settings(parser, PretrainConfig)
    namespace = parser.parse_args(words[8:])
    assert namespace.name == "a name"
    assert given(namespace, PretrainConfig) == settings
    assert {one.name for one in fields_of(PretrainConfig)} >= set(settings)


def test_the_dashboard_opens_in_a_terminal_and_ctrl_c_closes_it(runs: Path, some_runs: dict[str, str]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [*COMMAND, "--runs-dir", str(runs)])
    shown = b""
    while b"resting" not in shown:
        shown += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:  # how Linux says that the other end is closed
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
