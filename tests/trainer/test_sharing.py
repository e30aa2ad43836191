"""Files whose group and permissions follow their folder."""

import itertools
import os
import stat
from pathlib import Path

import pytest

from tests.people import shared_box, shared_folder
from trainer import sharing
from trainer.errors import BusyError
from trainer.sharing import (
    append_to,
    create,
    create_anew,
    give_to_group_of,
    lock_alone,
    make_folder,
    open_in_place,
    open_lock,
    owner_of,
    shared_mode,
    user_name,
    whose,
)

CREATES_A_FILE = """
import os, sys
from pathlib import Path
from trainer.sharing import create, make_folder
runs = Path(sys.argv[1])
make_folder(runs / "folder" / "below")
os.close(create(runs / "folder" / "file"))
"""


def mode_of(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def reference_mode(mode: int, folder: int, *, is_folder: bool) -> int:
    """The same, bit by bit: the group may what it may in the folder, others at most that, sticky folders count as one's
    own."""
    bits = {bit: bool(mode & bit) for bit in (0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001)}
    is_sticky = bool(folder & 0o1000)
    group_may, all_may = bool(folder & 0o020) and not is_sticky, bool(folder & 0o002) and not is_sticky
    bits[0o020] = bits[0o020] and group_may
    bits[0o002] = bits[0o002] and all_may
    if group_may:
        bits[0o040] = bits[0o020] = True
        bits[0o010] = bits[0o010] or is_folder
    found = sum(bit for bit, is_set in bits.items() if is_set)
    sticks = group_may and is_folder and folder & 0o2000
    return found | (mode & 0o7000) | (0o2000 if sticks else 0)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_group_may_write_what_lies_where_it_may_write_and_nobody_else_may(is_folder: bool) -> None:
    folders = (0o700, 0o755, 0o775, 0o2770, 0o2775, 0o777, 0o1777, 0o3770, 0o750)
    for umask, folder in itertools.product(range(0o100), folders):
        mode = (0o777 if is_folder else 0o666) & ~umask
        found = shared_mode(mode, folder, is_folder=is_folder)
        assert found == reference_mode(mode, folder, is_folder=is_folder), (oct(umask), oct(folder))


def test_a_file_is_the_groups_whatever_the_umask_where_the_folder_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a" / "b")
        os.close(create(tmp_path / "a" / "b" / "file"))
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / "a"), mode_of(tmp_path / "a" / "b")] == [0o770, 0o770]
    assert mode_of(tmp_path / "a" / "b" / "file") == 0o660


def test_a_file_is_ones_own_where_the_folder_is(tmp_path: Path) -> None:
    """The control: with the same call and the loosest umask."""
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        os.close(create(tmp_path / "file"))
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == 0o644


def test_no_link_is_followed_and_nothing_behind_one_changed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("theirs")
    (tmp_path / "nowhere").symlink_to("missing")
    for name in ("link", "nowhere"):
        for attempt in (
            lambda path: create(path),
            lambda path: append_to(path),
            lambda path: open_lock(path),
            lambda path: open_in_place(path, os.O_RDWR),
        ):
            with pytest.raises(OSError):  # noqa: PT011 - ELOOP or EEXIST
                attempt(tmp_path / name)
    assert not (tmp_path / "missing").exists()
    os.close(create_anew(tmp_path / "link"))
    assert (tmp_path / "link").read_bytes() == b""
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_what_is_appended_comes_behind_what_was_there(tmp_path: Path) -> None:
    for word in (b"one ", b"two"):
        with append_to(tmp_path / "log") as log:
            log.write(word)
    assert (tmp_path / "log").read_bytes() == b"one two"


def test_a_folder_that_is_there_is_refused_unless_it_may_be(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a", exist_ok=True)
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")


def test_a_lock_that_somebody_keeps_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LOCK_SECONDS", 0.05)
    with open_lock(tmp_path / "lock") as kept, open_lock(tmp_path / "lock") as wanted:
        lock_alone(kept, tmp_path / "lock")
        with pytest.raises(BusyError, match=r"lock has been locked by another process for 0 s; `lslocks` names it"):
            lock_alone(wanted, tmp_path / "lock")
        kept.close()
        lock_alone(wanted, tmp_path / "lock")


def test_names_are_those_of_the_machine_and_numbers_where_it_knows_none(tmp_path: Path) -> None:
    assert user_name(0) == "root"
    assert user_name(4_000_000_001) == "4000000001"
    assert owner_of(tmp_path) == user_name(os.geteuid())
    assert owner_of(tmp_path / "missing") == ""
    assert whose(tmp_path) == ""


def test_what_root_makes_in_a_persons_folder_is_the_persons() -> None:
    with shared_box() as (_, anna, _lars):
        runs = anna.home / "runs"
        make_folder(runs / "below")
        os.close(create(runs / "below" / "file"))
        paths = (runs, runs / "below", runs / "below" / "file")
        assert {owner_of(path) for path in paths} == {anna.name}
        assert {path.stat().st_gid for path in paths} == {anna.gid}
        assert whose(runs) == f", which is {anna.name}'s,"


def test_a_file_that_root_would_give_away_is_never_one_that_was_there() -> None:
    """Who owns a folder could else have root hand over any file by a link."""
    with shared_box() as (box, anna, _):
        (box / "roots").write_bytes(b"roots")
        (anna.home / "runs.lock").symlink_to(box / "roots")
        (anna.home / "hard.lock").hardlink_to(box / "roots")
        with pytest.raises(OSError, match="symbolic links"):
            open_lock(anna.home / "runs.lock")
        open_lock(anna.home / "hard.lock").close()
        assert owner_of(box / "roots") == "root"


def test_without_the_setgid_bit_files_are_of_the_folders_group_all_the_same() -> None:
    with shared_box(umasks=(0o077, 0o022)) as (box, anna, lars):
        runs = shared_folder(box, mode=0o770)
        group = runs.stat().st_gid
        anna.python(CREATES_A_FILE, str(runs))
        for path in (runs / "folder", runs / "folder" / "below", runs / "folder" / "file"):
            assert (path.stat().st_uid, path.stat().st_gid) == (anna.uid, group)
        lars.python("import sys; open(sys.argv[1], 'r+b').close()", str(runs / "folder" / "file"))


def test_a_file_beside_a_store_is_given_to_the_stores_group() -> None:
    with shared_box() as (box, anna, lars):
        runs = shared_folder(box, mode=0o770)
        (runs / "runs.db").touch()
        os.chown(runs / "runs.db", anna.uid, runs.stat().st_gid)
        give = "import sys; from pathlib import Path; from trainer.sharing import give_to_group_of as give\n"
        give += "a, b = map(Path, sys.argv[1:]); b.touch(); give(a, b)"
        lars.python(give, str(runs / "runs.db"), str(runs / "runs.db-shm"))
        made = (runs / "runs.db-shm").stat()
        assert (made.st_uid, made.st_gid) == (lars.uid, runs.stat().st_gid)
        give_to_group_of(runs / "runs.db", runs / "missing")
