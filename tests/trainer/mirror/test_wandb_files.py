"""A log in LevelDB's format is read as a plain writer of that format wrote it, and never beyond what is whole."""

import io
import random
import zlib

from trainer.mirror.wandb_files import records

BLOCK, FRAME = 32 * 1024, 7


def written(contents: list[bytes]) -> bytes:
    """The log of some records, by github.com/google/leveldb/blob/main/doc/log_format.md."""
    log = bytearray(b":W&B\xe1\xbe\x00")
    for content in contents:
        rest, is_first = content, True
        while True:
            room = BLOCK - len(log) % BLOCK
            if room < FRAME:
                log += b"\0" * room
                continue
            part, rest = rest[: room - FRAME], rest[room - FRAME :]
            kind = (1 if is_first else 4) if not rest else (2 if is_first else 3)
            checked = bytes([kind]) + part
            log += zlib.crc32(checked).to_bytes(4, "little") + len(part).to_bytes(2, "little") + checked
            is_first = False
            if not rest:
                break
    return bytes(log)


def test_records_of_every_size_come_back_across_blocks() -> None:
    draw = random.Random(1)
    sizes = [0, 1, BLOCK - 7 - FRAME, 5, 100_000, BLOCK, *(draw.randrange(3000) for _ in range(100))]
    contents = [draw.randbytes(size) for size in sizes]
    assert list(records(io.BytesIO(written(contents)))) == contents


def test_a_log_that_was_cut_short_or_changed_gives_what_is_whole_before_that() -> None:
    draw = random.Random(2)
    contents = [draw.randbytes(300) for _ in range(120)]
    log = written(contents)
    for _ in range(60):
        at = draw.randrange(len(log))
        found = list(records(io.BytesIO(log[:at])))
        assert found == contents[: len(found)]
        assert len(found) >= at // (300 + FRAME) - 2
        changed = log[:at] + bytes([log[at] ^ 1]) + log[at + 1 :]
        found = list(records(io.BytesIO(changed)))
        assert found == contents[: len(found)]
    assert list(records(io.BytesIO(b"another program's"))) == []
