"""Whether a store lies on a network file system, where SQLite's write-ahead log must not be used.

The log needs memory that all its processes share, and on a network file system the processes may be on different
machines (sqlite.org/wal.html, "All processes using a database must be on the same host computer"). A store there
keeps SQLite's rollback journal, which needs nothing but locks.
"""

import re
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "orangefs",
    "pvfs2", "ocfs2", "gfs2", "panfs", "ncpfs", "coda", "davfs", "vboxsf",
})  # fmt: skip
"""Types whose files several machines may have open at once."""

_NETWORK_FUSE = frozenset({
    "sshfs", "rclone", "s3fs", "gcsfuse", "glusterfs", "ceph", "davfs2", "juicefs", "moosefs", "mfs", "beegfs",
    "grpcfuse",
})  # fmt: skip
_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def file_system_type(path: Path, mountinfo: str | None = None) -> str:
    """The type of the file system that a path lies on, such as `ext4` or `nfs4`; empty where it can't be told.

    Args:
        path: need not exist; symbolic links are followed.
        mountinfo: the text of /proc/self/mountinfo (proc_pid_mountinfo(5)), by default this process's.
    """
    if mountinfo is None:
        try:
            mountinfo = _MOUNTINFO.read_text(errors="surrogateescape")
        except OSError:
            return ""
    place = path.resolve()
    deepest, found = -1, ""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5 or not after:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # The later of two mounts on one place covers the earlier.
        if len(point.parts) >= deepest and place.is_relative_to(point):
            deepest, found = len(point.parts), after.split(" ")[0]
    return found


def is_network(kind: str) -> bool:
    """Whether files of that type of file system may be open on several machines at once."""
    family, _, name = kind.partition(".")
    return family in NETWORK_FILE_SYSTEMS or (family == "fuse" and name in _NETWORK_FUSE)


def journal_mode_on(kind: str) -> str:
    """SQLite's journal mode for a store on that type of file system: DELETE on a network, else WAL."""
    return "DELETE" if is_network(kind) else "WAL"


def network_warning(path: Path, kind: str) -> str | None:
    """A sentence on what a network file system costs a store, or None on any other."""
    if not is_network(kind):
        return None
    return (
        f"{path} lies on a network file system ({kind}): the store does without its write-ahead log there, so that "
        "readers and the trainer wait for each other; name a --runs-dir on a local disk if you can"
    )
