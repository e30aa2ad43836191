"""Who may come in."""

import pytest

from simclr_tui.browser.access import Access, checked_public, checked_token, cookie_name
from trainer.errors import UsageError

TOKEN = "a-token-of-my-own"
HERE = Access(TOKEN, is_loopback=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:9000", "LOCALHOST", "[::1]:8000", "127.0.0.2", "127.0.0.1"]
)
def test_names_of_this_machine_are_known_on_loopback_under_any_port(host: str) -> None:
    assert HERE.knows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5", "0.0.0.0"),
        *("evil@localhost", "localhost/", "localhost#evil", "evil\\@localhost", "localhost:99999", "localhost:x"),
        *("[::1", "localhost."),
    ],
)
def test_a_name_that_was_made_to_point_here_is_not_known(host: str | None) -> None:
    assert not HERE.knows_host(host)


def test_elsewhere_any_name_may_be_the_servers_and_the_token_decides() -> None:
    elsewhere = Access(TOKEN, is_loopback=False)
    assert elsewhere.knows_host("gpu-box:8000")
    assert not elsewhere.knows_host("gpu-box/x")
    assert not elsewhere.lets_in(None)


def test_only_the_page_of_the_very_host_and_port_is_our_own() -> None:
    assert HERE.is_own_page("http://localhost:8000", "localhost:8000")
    assert HERE.is_own_page("http://Localhost:8000", "localhost:8000")
    for origin in (
        None,
        "null",
        "http://localhost:8001",
        "http://127.0.0.1:8000",
        "https://localhost:8000",
        "",
        "http:",
    ):
        assert not HERE.is_own_page(origin, "localhost:8000"), origin


def test_behind_a_proxy_its_address_is_known_whether_it_hands_the_name_on_or_not() -> None:
    behind = Access(TOKEN, is_loopback=True, public="https://runs.example.org")
    assert behind.knows_host("runs.example.org")
    assert behind.is_own_page("https://runs.example.org", "runs.example.org")
    assert behind.is_own_page("https://runs.example.org", "127.0.0.1:8000")
    assert not behind.is_own_page("https://evil.example", "runs.example.org")
    assert not behind.knows_host("evil.example")
    assert behind.is_encrypted
    assert not HERE.is_encrypted


def test_only_the_token_is_the_token_and_only_its_cookie_lets_in() -> None:
    assert HERE.is_token(TOKEN)
    assert not any(HERE.is_token(wrong) for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü"))
    assert HERE.lets_in(HERE.cookie())
    assert not any(
        HERE.lets_in(wrong) for wrong in (None, "", TOKEN, "ü", Access(TOKEN[::-1], is_loopback=True).cookie())
    )
    assert TOKEN not in HERE.cookie()


def test_where_nobody_is_asked_no_token_is_right_and_everybody_is_let_in() -> None:
    open_ = Access(None, is_loopback=True)
    assert open_.lets_in(None)
    assert not open_.is_token("")


def test_servers_on_two_ports_keep_two_cookies() -> None:
    assert cookie_name("localhost:8000") != cookie_name("localhost:8001")
    assert cookie_name("localhost") == "simclr-tui-80"


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "with a space in it.", "ümlauts-are-not-it", "&" * 20])
def test_a_token_that_can_be_guessed_or_must_be_escaped_is_refused_by_its_source(token: str) -> None:
    with pytest.raises(UsageError, match="the file: a token has at least 16"):
        checked_token(token, "the file")


def test_a_token_of_ones_own_is_taken() -> None:
    assert checked_token(TOKEN, "the file") == TOKEN


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://runs.example.org/", "https://runs.example.org"),
        ("https://Runs.Example.org:443", "https://runs.example.org"),
        ("http://[::1]:81", "http://[::1]:81"),
    ],
)
def test_a_public_address_is_spelled_as_browsers_spell_it(url: str, origin: str) -> None:
    assert checked_public(url) == origin


@pytest.mark.parametrize(
    "url",
    ["", "runs.example.org", "ftp://x", "https://", "https://x/runs", "https://x?y", "https://a:b@x", "http://x:y"],
)
def test_what_is_no_public_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--public-url"):
        checked_public(url)
