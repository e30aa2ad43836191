"""The line for a status bar, and `watch`."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from simclr_tui.commands.watching import look
from tests.simclr_tui.support import Holder
from tests.simclr_tui.test_imports import run_python
from trainer.paths import store_file
from trainer.store.runs import RunStore

HEAVY = ("torch", "numpy", "textual", "rich.table", "argparse", "simclr_tui.commands.parser", "sqlite_utils", "psutil")


def line(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    return said.rstrip("\n")


def test_an_empty_folder_and_an_empty_store_are_said_shortly(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert line(capsys, "--watch", "--runs-dir", str(runs)) == "no run yet"
    RunStore.open(runs).close()
    assert line(capsys, "--runs-dir", str(runs), "--watch") == "no run yet"
    assert line(capsys, f"--runs-dir={runs}", "--watch") == "no run yet"


def test_where_nothing_runs_the_states_are_counted(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = line(capsys, "--watch", "--runs-dir", str(runs))
    assert found == "◌ 1 queued · ‖ 1 paused · ✓ 1 finished · ✗ 1 failed"


def test_a_live_run_is_told_with_its_figures(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Holder(runs, some_runs["resting"]):
        store = RunStore.open(runs)
        store.beat(some_runs["resting"], {"source": "nvml", "gpu_util": 93.0})
        store.close()
        found = line(capsys, "--watch", "--runs-dir", str(runs))
    assert found == "▶ resting 58 % · loss 2.3 · kNN 23 · 22 s left · GPU 93 %"


def test_a_run_that_has_no_figures_yet_has_dashes(runs: Path, some_runs: dict[str, str]) -> None:
    template = "{id} {state} {done} {epoch} {loss} {knn} {left} {util} {health}"
    found = look(runs, "waiting", template)
    assert found.line == f"{some_runs['waiting']} queued – –/– – – – – –".replace("–/–", "–")
    assert found.is_over


def test_several_live_runs_are_counted_behind_the_first(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"]), Holder(runs, some_runs["waiting"]):
        assert look(runs, None, "{name}").line.endswith(" (+1)")
        assert look(runs, "resting", "{name}").line == "resting"


def test_a_store_that_can_not_be_read_is_said_in_a_few_words_with_its_code(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.mkdir()
    store_file(runs).write_bytes(b"not a database" * 1000)
    assert line(capsys, "--watch", "--runs-dir", str(runs), code=1) == "simclr-tui: no store to read"


def test_watch_once_takes_a_run_and_a_format(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("watch", "done", "--once", "--format", "{sign} {name} {knn:>5}", "--runs-dir", str(runs))
    assert line(capsys, *words) == "✓ done    30"


@pytest.mark.parametrize(
    ("template", "reason"), [("{names}", "{names} is nothing"), ("{", "write {{ for a brace"), ("{}", "{} is nothing")]
)
def test_a_format_that_means_nothing_is_refused(
    template: str, reason: str, runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--once", "--format", template, "--runs-dir", str(runs)]) == 2
    assert reason in capsys.readouterr().err


def test_watch_goes_on_until_its_run_has_ended(runs: Path, some_runs: dict[str, str]) -> None:
    words = [sys.executable, "-m", "simclr_tui", "watch", "resting", "--interval", "0.1", "--runs-dir", str(runs)]
    with Holder(runs, some_runs["resting"]) as holder, subprocess.Popen(words, stdout=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("▶ resting".encode())
        holder.kill()
        rest = watch.stdout.read().decode().splitlines()
        assert watch.wait(timeout=20) == 0
    assert rest[-1].startswith("! resting")


def test_the_line_needs_nothing_heavy_and_comes_at_once(runs: Path, some_runs: dict[str, str]) -> None:
    code = (
        "import sys; from simclr_tui.__main__ import main; "
        f"main(['--watch', '--runs-dir', {str(runs)!r}]); print(*(n for n in sys.argv[1:] if n in sys.modules))"
    )
    assert run_python(code, *HEAVY).splitlines()[1:] in ([], [""])
    words = [sys.executable, "-m", "simclr_tui", "--watch", "--runs-dir", str(runs)]
    assert min(cpu_seconds(words) for _ in range(3)) < 0.4


def cpu_seconds(words: list[str]) -> float:
    """What a program takes of the processor, whoever else uses it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
