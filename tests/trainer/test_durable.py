"""Files that are whole or not there, and files that are read without trust."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.small_disk import files_of_at_most
from trainer.durable import read_plain_file, write_durably


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "name.with.dots.json"
    for data in (b"", b"one", bytes(range(256)) * 1000):
        write_durably(path, data)
        assert read_plain_file(path, largest_bytes=len(data)) == data
    assert list(tmp_path.iterdir()) == [path]


def test_the_order_is_write_sync_rename_sync_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them before the next one: a rename may reach the disk before the bytes that it names."""
    calls: list[tuple[str, str]] = []

    def noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any) -> Any:
            where = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
            calls.append((name, where.name))
            return original(first, *rest)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    write_durably(tmp_path / "a", b"data")
    folder = tmp_path.name
    assert calls == [("write", "a.tmp"), ("fsync", "a.tmp"), ("replace", "a.tmp"), ("fsync", folder)]


def test_a_write_that_takes_only_some_bytes_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: original(descriptor, bytes(data)[:7]))
    write_durably(tmp_path / "a", b"0123456789" * 3)
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 3


def test_the_old_content_stays_where_the_new_one_can_not_be_written(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"old")
    with files_of_at_most(2), pytest.raises(OSError, match="File too large"):
        write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_link_that_somebody_put_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "a.tmp").symlink_to("theirs")
    write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").write_bytes(b"data")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def _too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


NOT_PLAIN: dict[str, Callable[[Any], Any]] = {
    "missing": lambda path: None,
    "a folder": Path.mkdir,
    "a pipe that nobody writes": os.mkfifo,
    "a link": _link,
    "a link to itself": _link_to_itself,
    "a device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "a terabyte": _too_large,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_only_a_plain_file_of_the_right_size_is_read(tmp_path: Path, kind: str) -> None:
    NOT_PLAIN[kind](tmp_path / "a")
    with pytest.raises(OSError, match=r"."):
        read_plain_file(tmp_path / "a", largest_bytes=10)
