"""The file that has a trainer's exit code."""

from pathlib import Path

import pytest

from trainer.errors import ExitCode, UsageError
from trainer.exit_file import ExitFile
from trainer.run import main


def test_it_is_there_with_the_code_once_it_is_over_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.write_text("0\n")
    file = ExitFile(str(path))
    assert not path.exists(), "what an earlier trainer left says nothing of this one"
    file.write(ExitCode.TRY_AGAIN)
    assert path.read_text() == "75\n"
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_name_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ExitFile(None).write(0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nowhere/code", "folder"])
def test_what_could_not_be_written_is_refused_before_anything_begins(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"--exit-file: .* name another one"):
        ExitFile(str(tmp_path / name))


def test_a_trainer_writes_the_code_that_it_ends_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "code"
    words = ["--runs-dir", str(tmp_path / "runs"), "--run", "nobody", "--exit-file", str(path)]
    assert main(words) == ExitCode.USAGE
    assert path.read_text() == "2\n"
    assert main([*words, "--restart", "2"]) == ExitCode.USAGE
    assert "--exit-file: a trainer that is started again" in capsys.readouterr().err
