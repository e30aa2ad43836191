"""The pipe to the server of pages."""

import os
import time

from simclr_tui.terminal.browser_driver import PagePipe


def wait_until_free(pipe: PagePipe) -> None:
    begun = time.monotonic()
    while pipe.is_behind:
        assert time.monotonic() - begun < 10
        time.sleep(0.005)


def test_pieces_leave_whole_and_in_order_however_slowly_they_are_taken() -> None:
    reading, writing = os.pipe()
    pipe = PagePipe(writing)
    pieces = [bytes([number]) * 50_000 for number in range(20)]
    for piece in pieces:
        pipe.put(piece)  # a million bytes, of which a pipe holds 65,536, hold up nobody
    assert pipe.is_behind
    taken = b""
    while len(taken) < 1_000_000:
        taken += os.read(reading, 3_000)
    wait_until_free(pipe)
    assert taken == b"".join(pieces)
    pipe.put(b"last words")
    pipe.close()
    assert os.read(reading, 100) == b"last words"
    os.close(reading)
    os.close(writing)


def test_a_server_that_is_gone_takes_nothing_and_holds_up_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pipe = PagePipe(writing)
    pipe.put(b"x" * 100_000)
    pipe.put(b"x")
    wait_until_free(pipe)
    pipe.close()
    os.close(writing)
