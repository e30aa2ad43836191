"""Sockets and addresses."""

import socket

import pytest

from simclr_tui.browser.listening import NotListeningError, Place, find_place, listen, shown_host
from trainer.errors import UsageError


def test_loopback_is_told_from_addresses_that_others_reach() -> None:
    assert find_place("127.0.0.1", 0).is_loopback
    assert find_place("localhost", 0).is_loopback
    for host in ("0.0.0.0", "::", ""):
        assert not find_place(host, 0).is_loopback, host
    assert not Place(("127.0.0.1", "10.0.0.1"), 0).is_loopback


def test_all_addresses_of_a_name_get_the_same_free_port() -> None:
    opened = listen(Place(("127.0.0.1", "127.0.0.2"), 0))
    assert len({one.getsockname()[1] for one in opened}) == 1
    for one in opened:
        one.close()


def test_a_port_that_is_taken_is_a_sentence_and_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotListeningError, match=f"port {port} of 127.0.0.2 is taken by another program; choose"):
            listen(Place(("127.0.0.1", "127.0.0.2"), port))
        socket.create_server(("127.0.0.1", port)).close()


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(NotListeningError, match=r"192\.0\.2\.1 can't be listened on .* name an address of"):
        listen(Place(("192.0.2.1",), 0))


def test_a_name_that_nobody_has_is_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"--host: 'no\.such\.invalid'"):
        find_place("no.such.invalid", 0)


def test_a_browser_is_told_a_name_that_it_can_open() -> None:
    assert shown_host("0.0.0.0") == shown_host("::") == socket.gethostname()
    assert (shown_host("127.0.0.1"), shown_host("::1")) == ("127.0.0.1", "[::1]")
