"""Places of exports: what is there stays, whatever happens in between."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from trainer.errors import TrainerError, UsageError
from trainer.export.target import new_file, new_folder, plain_name


def test_a_file_that_somebody_makes_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out.tar"

    def write() -> None:
        with new_file(out, force=False) as made:
            made.write_text("ours")
            out.write_text("theirs")

    with pytest.raises(UsageError, match="is there already"):
        write()
    assert out.read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["out.tar"]


def test_a_file_is_written_over_when_that_is_asked_for_and_no_link_is_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out.tar", tmp_path / "elsewhere"
    out.write_text("older")
    with new_file(out, force=True) as made:
        made.write_text("newer")
    assert out.read_text() == "newer"
    out.unlink()
    out.symlink_to(elsewhere)
    with pytest.raises(UsageError, match="is no plain file"), new_file(out, force=True):
        pass
    assert not elsewhere.exists()


def test_an_error_in_between_leaves_nothing(tmp_path: Path) -> None:
    def fail(place: Callable[..., AbstractContextManager[Path]]) -> None:
        with place(tmp_path / "deep" / "out", force=False) as made:
            assert made.parent == tmp_path / "deep"
            raise RuntimeError

    for place in (new_file, new_folder):
        with pytest.raises(RuntimeError):
            fail(place)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_place_below_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="can't be written"), new_folder(tmp_path / "file" / "out", force=False):
        pass


@pytest.mark.parametrize(
    ("name", "plain"), [("first", "first"), ("a b/c", "a-b-c"), ("../x", "-x"), ("...", "run"), ("あ" * 99, "あ" * 40)]
)
def test_a_name_becomes_one_that_every_folder_takes(name: str, plain: str) -> None:
    assert plain_name(name) == plain
