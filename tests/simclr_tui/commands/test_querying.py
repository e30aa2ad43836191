"""`simclr-tui query`: answers as tables, CSV and JSON, and everything that would not only read refused."""

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.simclr_tui.commands.test_commands import call
from trainer.paths import store_file
from trainer.store.runs import RunStore


def asked(capsys: pytest.CaptureFixture[str], runs: Path, *words: str) -> str:
    assert main(["--runs-dir", str(runs), "query", *words]) == 0
    return capsys.readouterr().out


def test_an_answer_is_a_table_csv_or_json(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    statement = "SELECT name, step, NULL AS absent FROM runs WHERE step IS NOT NULL ORDER BY name"
    with closing(RunStore.open(runs)) as store:
        wanted = sorted((run.name, run.step) for run in store.runs() if run.step is not None)
    table = asked(capsys, runs, statement).splitlines()
    assert table[0].split() == ["name", "step", "absent"]
    assert [tuple(line.split()) for line in table[1:]] == [(name, str(step)) for name, step in wanted]
    assert list(csv.reader(io.StringIO(asked(capsys, runs, "--csv", statement)))) == [
        ["name", "step", "absent"],
        *([name, str(step), ""] for name, step in wanted),
    ]
    assert json.loads(asked(capsys, runs, "--json", statement)) == [
        {"name": name, "step": step, "absent": None} for name, step in wanted
    ]


def test_without_a_statement_the_tables_are_listed(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = {one["table"]: one["columns"].split() for one in json.loads(asked(capsys, runs, "--json"))}
    assert {"runs", "steps", "epochs", "events"} <= set(found)
    assert found["metrics"] == ["run_id", "name", "step", "value"]
    assert not any("sqlite" in name for name in found)


def test_a_statement_may_come_from_stdin(
    runs: Path,
    some_runs: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT count(*) AS runs\nFROM runs;\n"))
    assert asked(capsys, runs, "-").split() == ["runs", "4"]


def test_a_value_never_writes_to_the_terminal_itself(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b" not in asked(capsys, runs, "SELECT char(27) || '[2J' AS bad, x'00ff' AS bytes")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["DELETE FROM runs"], "a query only reads"),
        (["SELECT 1; DELETE FROM runs"], "one statement"),
        (["SELECT nope FROM runs"], "no such column: nope"),
        ([""], "the query is empty"),
        (["--json", "SELECT 1 AS a, 2 AS a"], "two columns are called a"),
        (["--json", "--csv", "SELECT 1"], "give either it or --csv"),
        (["--seconds", "0", "SELECT 1"], "--seconds: 0 is no time"),
    ],
)
def test_a_mistake_is_one_sentence(runs: Path, some_runs: dict[str, str], words: list[str], says: str) -> None:
    before = store_file(runs).read_bytes()
    done = call(runs, "query", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout
    assert store_file(runs).read_bytes() == before
