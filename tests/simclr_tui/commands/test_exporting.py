"""`simclr-tui export` and `simclr-tui import`: what they say and refuse, an old baseline beside a new run."""

import json
import os
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from simclr_tui.app import DashboardApp
from simclr_tui.verbs import refusal
from tests.simclr_tui.commands.test_commands import call, sentence
from tests.simclr_tui.support import screen_text, toasts, wait_for_text, wait_until
from tests.trainer.export.event_folders import tutorial_points, write
from tests.trainer.export.filled import filled_run
from trainer.store.runs import RunStore


@pytest.fixture
def run_id(store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A paused run, and a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return filled_run(store)


def said(capsys: pytest.CaptureFixture[str], runs: Path, *words: str, code: int = 0) -> str:
    """What a command prints, on either stream."""
    assert main(["--runs-dir", str(runs), *words]) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_each_format_says_where_it_is_and_what_it_has(
    runs: Path, run_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for format_ in ("csv", "jsonl", "parquet", "tensorboard"):
        text = said(capsys, runs, "export", "first", "--to", format_)
        assert text.startswith(f"{tmp_path / f'first-{format_}'} has first: 40 steps, 4 epochs, 8 metrics, ")
        assert (tmp_path / f"first-{format_}" / "run.json").is_file()
    told = json.loads(said(capsys, runs, "export", "first", "--to", "csv", "--out", "deep/er", "--json"))
    assert (told["run_id"], told["out"], told["rows"]["steps"]) == (run_id, str(tmp_path / "deep" / "er"), 40)
    text = said(capsys, runs, "export", run_id[:5], "--to", "archive")
    assert text.startswith(f"{tmp_path / 'first.tar'} (")
    assert text.endswith(" has first with 2 checkpoints\n")


def test_an_archive_is_imported_in_another_folder(
    runs: Path, run_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(said(capsys, runs, "export", "first", "--to", "archive", "--json"))
    assert (told["left_out"], told["files"]) == ([], 6)
    other = tmp_path / "other"
    text = said(capsys, other, "import", "first.tar")
    assert text.startswith(f"first ({run_id}) is imported with 40 steps and 2 checkpoints; `simclr-tui show ")
    assert "is paused" in said(capsys, other, "show", "first")
    assert "2 checkpoints" in said(capsys, other, "checkpoints", "first", "--verify")
    refused = said(capsys, other, "import", "first.tar", code=2)
    assert refused.startswith(f"simclr-tui: the run {run_id} is there already, as first, and is left as it is")


def test_mistakes_are_one_sentence_and_the_documented_code(runs: Path, run_id: str) -> None:
    (runs.parent / "first-csv").mkdir()
    refused = {
        ("export", "nobody", "--to", "csv"): (2, "no run has the id or name 'nobody'"),
        ("export", "first", "--to", "csv"): (2, "is there already; name another one, or write over it with --force"),
        ("export", "first", "--to", "csv", "--force"): (2, "is there and is no export"),
        ("import", "nothing"): (2, "is not there; name an archive, or a folder of event files"),
        ("import", "first-csv"): (2, "has no event files of TensorBoard"),
        ("import", str(runs / "runs.db")): (1, "is damaged (it is no whole tar"),
    }
    for words, (code, text) in refused.items():
        assert text in sentence(call(runs, *words), code), words


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_nobody_may_write_is_a_sentence(runs: Path, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "can't be written" in sentence(call(runs, "export", "first", "--to", "csv", "--out", "closed/x"), 1)


def test_an_old_baseline_stands_beside_a_new_run(
    runs: Path, run_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "baseline", tutorial_points())
    text = said(capsys, runs, "import", "baseline")
    assert "is imported with 156 values: 24 steps, 6 epochs; `simclr-tui compare " in text
    table = said(capsys, runs, "compare", "first", "baseline")
    assert "none that is known: runs that were imported from event files have none" in table
    assert "at epoch 4, the last that all have closed" in table
    found = json.loads(said(capsys, runs, "compare", "first", "baseline", "--json"))
    assert [one["name"] for one in found["runs"]] == ["first", "baseline"]
    assert "is finished" in said(capsys, runs, "show", "baseline")
    assert "steps.loss" in said(capsys, runs, "metrics", "baseline")
    refused = said(capsys, runs, "resume", "baseline", code=2)
    assert refused == (
        "simclr-tui: baseline was imported from event files, which hold no weights to go on from; launch a new run\n"
    )


@pytest.mark.parametrize("verb", ["resume", "fork", "evaluate", "queue"])
def test_nothing_goes_on_from_an_imported_run(verb: str) -> None:
    assert "hold no weights" in str(refusal(verb, "old", "finished", kind="imported"))


def test_resume_is_refused_for_imported_runs_alone() -> None:
    assert "imported" not in str(refusal("resume", "old", "finished", kind="pretrain"))
    assert refusal("resume", "old", "paused", kind="pretrain") is None


async def test_the_dashboard_draws_an_imported_run_and_compares_it(runs: Path, run_id: str, tmp_path: Path) -> None:
    write(tmp_path / "baseline", tutorial_points())
    assert main(["--runs-dir", str(runs), "import", "baseline"]) == 0
    app = DashboardApp(runs)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "baseline", "first")
        await pilot.press("down")
        await wait_for_text(pilot, "imported", "loss", "the event files have no such value")
        assert not {"resume", "fork", "evaluate"} & set(screen_text(app).splitlines()[-1].split())
        await pilot.press("space", "r")
        await wait_until(pilot, lambda: "which hold no weights to go on from" in toasts(app))
        await pilot.press("up", "c")
        await wait_for_text(pilot, "settings that differ", "none that is known")
        assert "baseline" in screen_text(app)


def test_a_tilde_before_the_name_of_nobody_is_no_traceback(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs-dir", str(runs), "import", "~nobody-of-that-name/x"]) == 2
    assert "~nobody-of-that-name/x is not there; name an archive" in capsys.readouterr().err
