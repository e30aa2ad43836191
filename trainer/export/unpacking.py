"""An archive unpacked without trust: every member named, sized and hashed as its list says, and nothing else written.

`tarfile` only finds the members; where each is written follows from a name that was judged, never from the archive.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trainer.durable import flush, open_plain_file, sync
from trainer.errors import TrainerError, UsageError
from trainer.export.archive_form import (
    CONTENTS,
    FILES,
    LARGEST_CONTENTS,
    BadArchiveError,
    Contents,
    Member,
    read_contents,
)
from trainer.sharing import create, make_folder

_AT_ONCE = 1 << 20


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """An archive, to be read.

    Raises:
        UsageError: it is not there, or can't be read.
        TrainerError: it is damaged; nothing that the block did is undone by this.
    """
    try:
        file = open_plain_file(archive)
    except OSError as error:
        raise UsageError(
            f"{archive} can't be read ({error.strerror or 'it is no plain file'}); name an archive"
        ) from error
    try:
        with file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield tar
    except BadArchiveError as error:
        raise damaged(archive, str(error)) from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise damaged(archive, f"it is no whole tar, {error}") from error


def damaged(archive: Path, reason: str) -> TrainerError:
    """The sentence on an archive that is not as it was written."""
    return TrainerError(f"{archive} is damaged ({reason}), so nothing was imported; copy it again, or export it again")


def contents_of(tar: tarfile.TarFile, archive: Path) -> Contents:
    """What the first member says of the run and of the others.

    Raises:
        BadArchiveError: it is not as it was written.
        UsageError: it is no archive of a run.
        StoreVersionError: a newer version made it.
    """
    first = tar.next()
    if first is None or first.name != CONTENTS or not _is_plain(first) or first.size > LARGEST_CONTENTS:
        raise TrainerError(
            f"{archive} is no archive of simclr-tui; name one that `simclr-tui export --to archive` made"
        )
    file = tar.extractfile(first)
    assert file is not None  # plain
    return read_contents(file.read(LARGEST_CONTENTS), archive)


def unpack(tar: tarfile.TarFile, contents: Contents, folder: Path, run_id: str) -> None:
    """Write the members behind the first one into a folder: rows as `rows/…`, files as `<run's id>/…`. Syncs them.

    Raises:
        BadArchiveError: a member is missing, is there twice, is not as it was written, or is none of the run's.
        OSError: the disk refused.
    """
    missing = dict(contents.members)
    for info in tar:
        if info.name == CONTENTS and info.offset == 0:
            continue
        member = missing.pop(info.name, None)
        if member is None or not _is_plain(info):
            raise BadArchiveError(f"it has a member {info.name[:80]!r} that its list does not name as a file")
        if info.size != member.bytes:
            raise BadArchiveError(f"{member.name} has {info.size:,} bytes instead of {member.bytes:,}")
        file = tar.extractfile(info)
        assert file is not None  # plain
        _write(file, member, folder / _place(member.name, run_id))
    if missing:
        raise BadArchiveError(f"{min(missing)} is missing")
    for path in folder.rglob("*"):
        if path.is_dir():
            sync(path)
    sync(folder)


def _is_plain(info: tarfile.TarInfo) -> bool:
    return info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()


def _place(name: str, run_id: str) -> str:
    return f"{run_id}/{name.removeprefix(FILES)}" if name.startswith(FILES) else name


def _write(file: IO[bytes], member: Member, path: Path) -> None:
    make_folder(path.parent, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(create(path), "wb") as written:
        while data := file.read(_AT_ONCE):
            digest.update(data)
            size += len(data)
            written.write(data)
        written.flush()
        flush(written.fileno())
    if size != member.bytes or digest.hexdigest() != member.sha256:
        raise BadArchiveError(f"{member.name}: its bytes are not those that were written")
