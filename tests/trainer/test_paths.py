"""No name leads out of the runs folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import StoreError, UnknownRunError, UsageError
from trainer.paths import (
    RUNS_DIR_VARIABLE,
    home_or_here,
    make_runs_dir,
    new_run_id,
    run_dir,
    runs_dir,
    typed_path,
    user_dir,
)


@given(st.text())
def test_any_text_is_either_an_id_or_refused(text: str) -> None:
    runs = Path("/somewhere/runs")
    try:
        path = run_dir(runs, text)
    except UnknownRunError:
        return
    assert path.parent == runs


@pytest.mark.parametrize(
    "text", ["../abcdefgh", "..", "", "a/b", "ABCDEFGHIJ", "abcdefghij\n", "abcdefghi\\", "%2e%2e%2fabc"]
)
def test_hostile_names_are_refused(text: str) -> None:
    with pytest.raises(UnknownRunError):
        run_dir(Path("/somewhere/runs"), text)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    run_id = new_run_id()
    (tmp_path / "runs" / run_id).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnknownRunError):
        run_dir(tmp_path / "runs", run_id)


def test_the_runs_folder_is_the_option_then_the_variable_then_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(RUNS_DIR_VARIABLE, raising=False)
    assert runs_dir() == tmp_path / "runs"
    monkeypatch.setenv(RUNS_DIR_VARIABLE, "/elsewhere")
    assert runs_dir() == Path("/elsewhere")
    assert runs_dir("mine") == tmp_path / "mine"


def test_a_folder_on_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        make_runs_dir(tmp_path / "file" / "runs")


def test_a_user_without_a_home_is_told_what_to_set_and_saves_where_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    assert home_or_here() == Path.home()
    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert home_or_here() == Path.cwd()
    with pytest.raises(UsageError, match=r"^XDG_STATE_HOME: this user has no home folder; set it"):
        user_dir("XDG_STATE_HOME", ".local/state", what="what is remembered")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert user_dir("XDG_STATE_HOME", ".local/state", what="it") == Path("/somewhere/simclr-tui")


def test_a_tilde_is_a_home_or_before_the_name_of_nobody_a_letter() -> None:
    assert typed_path("~/a") == Path.home() / "a"
    assert typed_path("~root/a") == Path("/root/a")
    assert typed_path("~nobody-of-that-name/a") == Path("~nobody-of-that-name/a")
    assert typed_path("a/~") == Path("a/~")
