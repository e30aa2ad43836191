"""`simclr-tui ls` with a filter, an order, columns and groups."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.exits import code_of
from trainer.store.labels import write_labels
from trainer.store.records import Labels
from trainer.store.runs import RunStore


@pytest.fixture
def labelled(runs: Path, some_runs: dict[str, str]) -> dict[str, str]:
    with closing(RunStore.open(runs)) as store:
        write_labels(store, some_runs["resting"], Labels(tags=("baseline", "wide"), note="as it was", is_pinned=True))
        write_labels(store, some_runs["done"], Labels(is_archived=True))
        write_labels(store, some_runs["broken"], Labels(trashed_at=1.0))
    return some_runs


def listed(capsys: pytest.CaptureFixture[str], runs: Path, *words: str) -> list[str]:
    """The lines that `ls` prints."""
    assert main(["--runs-dir", str(runs), "ls", *words]) == 0
    return capsys.readouterr().out.splitlines()


def names(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines[1:]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["waiting", "broken", "resting", "done"]),
        (["--filter", "state:paused,failed"], ["broken", "resting"]),
        (["--filter", "temperature>0.2 or loss<1.8"], ["resting", "done"]),
        (["--filter=-state:queued", "--limit", "2"], ["broken", "resting"]),
        (["--sort", "knn"], ["done", "resting", "waiting", "broken"]),
        (["--sort", "knn", "--reverse"], ["resting", "done", "waiting", "broken"]),
        (["--sort", "smoothed", "--limit", "1"], ["done"]),
        (["--sort", "age", "--reverse"], ["done", "resting", "broken", "waiting"]),
    ],
)
def test_runs_are_filtered_and_sorted_as_in_the_dashboard(
    words: list[str], found: list[str], runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(listed(capsys, runs, *words)) == found


def test_columns_are_those_that_are_asked_for(
    runs: Path, labelled: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = listed(capsys, runs, "--columns", "name,temperature,tags,note,best_knn", "--filter", "tag:wide")
    assert [part.strip() for part in lines[0].split("  ") if part.strip()] == [
        "name",
        "temperature",
        "tags",
        "note",
        "best kNN %",
    ]
    assert [part.strip() for part in lines[1].split("  ") if part.strip()] == [
        "resting",
        "0.5",
        "baseline, wide",
        "as it was",
        "23.0",
    ]


def test_groups_have_a_heading_between_the_lines(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = listed(capsys, runs, "--group", "temperature", "--columns", "id,name")
    assert [line.split()[-1] if " · " not in line else line for line in lines if line] == [
        "name",
        "temperature 0.2 · 3 runs · best kNN 30.0%",
        "waiting",
        "broken",
        "done",
        "temperature 0.5 · 1 run · best kNN 23.0%",
        "resting",
    ]


def test_what_was_put_away_is_left_out_unless_it_is_asked_for(
    runs: Path, labelled: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(listed(capsys, runs)) == ["resting", "waiting"], "the pinned one first"
    assert names(listed(capsys, runs, "--filter", "is:archived")) == ["done"]
    assert sorted(names(listed(capsys, runs, "--all"))) == ["broken", "done", "resting", "waiting"]
    assert names(listed(capsys, runs, "--all", "--filter", "state:failed")) == ["broken"]
    (said,) = listed(capsys, runs, "--filter", "state:failed")
    assert said == "no run matches; --all lists archived runs and those in the trash too"
    assert listed(capsys, runs, "--filter", "name:nobody", "--all") == ["no run matches"]


def test_json_has_the_labels_beside_everything_else(
    runs: Path, labelled: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    documents = json.loads("\n".join(listed(capsys, runs, "--json", "--all", "--sort", "name")))
    told = {one["name"]: [one[key] for key in ("tags", "note", "pinned", "archived", "trashed")] for one in documents}
    assert list(told) == ["resting", "broken", "done", "waiting"]
    assert told["resting"] == [["baseline", "wide"], "as it was", True, False, False]
    assert told["done"] == [[], "", False, True, False]
    assert told["broken"] == [[], "", False, False, True]
    assert {"id", "state", "config", "fingerprint", "loss"} <= set(documents[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--filter", "stat:paused"], "did you mean state?"),
        (["--filter", "lr>fast"], "lr is compared with a number"),
        (["--sort", "knm"], "there is no column 'knm'; did you mean knn?"),
        (["--columns", "id,zzzz"], "there is no column 'zzzz'"),
        (["--group", "zzzz"], "there is no column 'zzzz'"),
        (["--limit", "none"], "'none' is no number of runs"),
    ],
)
def test_a_mistake_is_a_sentence_and_the_code_of_wrong_usage(
    words: list[str], sentence: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where there is no run to list."""
    code = code_of(main, ["--runs-dir", str(runs), "ls", *words])
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_note_of_several_lines_leaves_a_line_for_each_run(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(RunStore.open(runs)) as store:
        write_labels(store, some_runs["waiting"], Labels(note="first line\nsecond\nthird"))
    lines = listed(capsys, runs, "--columns", "id,name,note")
    assert names(lines) == ["waiting", "broken", "resting", "done"]
    assert lines[1].endswith("first line second third")
