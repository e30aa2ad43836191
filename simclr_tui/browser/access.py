"""Who may come in: the host that was asked for, the page that asks, and the token. Pure.

A page of any site can open ws://127.0.0.1:8000 in the browser of whoever visits it (cross-site WebSocket hijacking,
CWE-1385), and a name of its own can be made to point there (DNS rebinding), so that both headers are held against what
they have to be; RFC 6455, section 10.2, leaves that to the server.
"""

import hashlib
import hmac
import ipaddress
import string
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trainer.errors import UsageError
from trainer.quote import quoted

TOKEN_BYTES = 32
"""Random bytes of a token that is made here."""
SHORTEST_TOKEN = 16
"""Characters of a token of one's own: as many random letters and digits are not found by trying."""

_TOKEN_LETTERS = frozenset(string.ascii_letters + string.digits + "-._~")
_COOKIE = b"simclr-tui serve, cookie 1"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Access:
    """What has to be shown to come in."""

    token: str | None
    """None where nobody is asked for one."""
    is_loopback: bool
    """Whether only this machine can connect, so that the browser must have asked for a name of this machine."""
    public: str | None = None
    """The origin under which a proxy shows the same, such as https://runs.example.org."""

    def knows_host(self, host: str | None) -> bool:
        """Whether a Host header names this server. Elsewhere than on loopback any may, since the token is asked for."""
        name = _host_name(host)
        if name is None:
            return False
        if not self.is_loopback:
            return True
        return is_loopback_name(name) or (self.public is not None and name == urlsplit(self.public).hostname)

    def is_own_page(self, origin: str | None, host: str) -> bool:
        """Whether an Origin header is the one of a page that this server has sent; every browser sends it."""
        if origin is None:
            return False
        own = {f"http://{host}".lower()} | ({self.public} if self.public else set())
        return origin.lower() in own

    def is_token(self, given: str) -> bool:
        """Whether a token is the right one; takes as long for every wrong one."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self) -> str:
        """What a browser keeps in the place of the token, which can't be found from it."""
        return hmac.new((self.token or "").encode(), _COOKIE, hashlib.sha256).hexdigest()

    def lets_in(self, cookie: str | None) -> bool:
        """Whether a browser has shown the token before, or need not."""
        if self.token is None:
            return True
        return cookie is not None and hmac.compare_digest(cookie.encode(), self.cookie().encode())

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers come by HTTPS alone, so that they may keep the cookie for that."""
        return self.public is not None and self.public.startswith("https:")


def cookie_name(host: str) -> str:
    """By the port that the browser sees: cookies know hosts alone, and two forwarded servers are one host."""
    return f"simclr-tui-{urlsplit(f'//{host}').port or 80}"


def is_loopback_name(name: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _host_name(host: str | None) -> str | None:
    """The name in a Host header, in small letters; None where it is no such header."""
    if not host or any(letter in host for letter in "/\\@?# \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def checked_token(token: str, source: str) -> str:
    """A token of one's own.

    Raises:
        UsageError: it is too short, or has to be escaped in an address; names the source.
    """
    if len(token) < SHORTEST_TOKEN or not _TOKEN_LETTERS.issuperset(token):
        raise UsageError(
            f"{source}: a token has at least {SHORTEST_TOKEN} letters, digits, '-', '.', '_' or '~'; make one with "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe())'`"
        )
    return token


def checked_public(url: str) -> str:
    """The origin of an address at which a proxy shows this, as browsers spell it.

    Raises:
        UsageError: it is none.
    """
    wrong = UsageError(f"--public-url: {quoted(url)} is no address such as https://runs.example.org; leave out paths")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PORTS or not parts.hostname or not _is_bare(parts):
        raise wrong
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" + (f":{port}" if port and port != _PORTS[parts.scheme] else "")


def _is_bare(parts: SplitResult) -> bool:
    return parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
