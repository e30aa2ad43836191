"""The commands `log` and `system`: all that their tabs tell."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from simclr_tui.comfort.user_settings import settings_file
from tests.simclr_tui.support import Holder
from trainer.paths import log_file
from trainer.store.runs import RunStore

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def log(runs: Path, some_runs: dict[str, str]) -> Path:
    path = log_file(runs, some_runs["resting"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"line {number}\n" for number in range(100)) + "\x1b[31mError: bad\x1b[0m\n")
    return path


def test_the_last_lines_are_printed_plain_and_searched(runs: Path, log: Path, capsys: Captured) -> None:
    assert main(["log", "resting", "--runs-dir", str(runs), "--lines", "2"]) == 0
    assert capsys.readouterr().out == "line 99\nError: bad\n"
    assert main(["log", "resting", "--runs-dir", str(runs), "--grep", "line 1", "--lines", "3"]) == 0
    assert capsys.readouterr().out == "line 17\nline 18\nline 19\n"
    assert main(["log", "resting", "--runs-dir", str(runs), "--grep", "nowhere"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nowhere is not in it" in captured.err
    assert main(["log", "resting", "--runs-dir", str(runs), "--lines", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == [{"level": "error", "text": "Error: bad"}]


def test_what_can_not_be_printed_is_a_sentence(runs: Path, some_runs: dict[str, str], capsys: Captured) -> None:
    for words, sentence in (
        (["log", "waiting"], "there is no log.txt yet"),
        (["log", "waiting", "--lines", "0"], "--lines: 0 can't be shown; give 1 to 100,000"),
        (["log", "waiting", "--follow", "--json"], "leave one of them out"),
        (["log", "nobody"], "no run has the id or name"),
    ):
        assert main([*words, "--runs-dir", str(runs)]) == 2
        assert sentence in capsys.readouterr().err


def test_a_log_is_followed_as_it_grows_and_is_cut_short(runs: Path, log: Path) -> None:
    words = ["log", "resting", "--follow", "--lines", "1", "--runs-dir", str(runs)]
    with subprocess.Popen([sys.executable, "-m", "simclr_tui", *words], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        try:
            assert one.stdout.readline() == "Error: bad\n"
            with log.open("a") as file:
                file.write("more\nhal")
            assert one.stdout.readline() == "more\n"
            with log.open("a") as file:
                file.write("f\n")
            assert one.stdout.readline() == "half\n", "a line is printed once it has ended"
            log.write_text("new\n")
            assert "cut short" in one.stdout.readline()
            assert one.stdout.readline() == "new\n"
        finally:
            one.kill()


def test_the_system_is_printed_with_a_runs_processes(runs: Path, some_runs: dict[str, str], capsys: Captured) -> None:
    run_id = some_runs["resting"]
    store = RunStore.open(runs)
    store.beat(run_id, {"source": "cpu", "gpu_util": 50.0, "cpu_percent": 50.0, "process_memory_bytes": 1 << 30})
    store.close()
    with Holder(runs, run_id) as holder:
        assert main(["system", "resting", "--runs-dir", str(runs)]) == 0
        text = capsys.readouterr().out
        assert main(["system", "resting", "--json", "--runs-dir", str(runs)]) == 0
        document = json.loads(capsys.readouterr().out)
    for words in ("host", "load", "disk", "trainer's memory", "1 GiB", str(holder.process.pid)):
        assert words in text, words
    assert [one["role"] for one in document["processes"]] == ["trainer"]
    assert document["samples"][0]["cpu_percent"] == 50.0
    assert document["name"] == "resting"


def test_the_system_without_a_run_needs_no_store(tmp_path: Path, capsys: Captured) -> None:
    begun = time.monotonic()
    assert main(["system", "--runs-dir", str(tmp_path / "none")]) == 0
    assert "memory" in capsys.readouterr().out
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("words", [("show", "resting"), ("launch", "--dry-run")])
def test_a_wrong_price_is_told_before_anything_is_printed(
    runs: Path, some_runs: dict[str, str], capsys: Captured, words: tuple[str, ...]
) -> None:
    file = settings_file()
    file.parent.mkdir(parents=True)
    file.write_text('price_per_kwh = "cheap"')
    assert main([*words, "--runs-dir", str(runs)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{file}: price_per_kwh: it has to be a number" in captured.err
