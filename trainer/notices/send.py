"""`python -m trainer.notices.send`: hand one notice to Apprise, and end.

The only process that has Apprise in it. Addresses come through standard input, since a command line can be read by
everybody, and what came of each goes to standard output in words of our own: what libraries say may hold a secret.
"""

import contextlib
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from trainer.proc import die_with_parent

MISSING = "apprise is not installed here; `pip install 'simclr-tui[notify]'`"
UNKNOWN = "apprise knows no such address; https://appriseit.com/services/ has the forms"
SLOW = "there was no answer in time"
NO_HOST = "the name of its server is not known here"
REFUSED = "its server takes no connection"
UNREACHABLE = "its server can't be reached"
DENIED = "it does not take the user name, password or token"
CERTIFICATE = "the certificate of its server is not trusted"
BUSY = "its server is busy or out of order"
OTHER = "it was not taken; `apprise -vv` with the same address says more"

_SIGNS = (
    (r"error=(?:401|403)\b|SMTPAuthenticationError|\(535\b|authentication", DENIED),
    (r"error=(?:429|5\d\d)\b", BUSY),
    (r"certificate|CERTIFICATE_VERIFY", CERTIFICATE),
    (r"NameResolution|getaddrinfo|Name or service not known|name resolution|nodename nor servname", NO_HOST),
    (r"refused", REFUSED),
    (r"unreachable|No route to host", UNREACHABLE),
    (r"timed out|timeout", SLOW),
)

PASSING = frozenset({NO_HOST, REFUSED, UNREACHABLE, BUSY})
"""Reasons for which another try later may go better, and cannot be a second copy."""


def reason(said: str) -> str:
    """Why an address did not take a notice, by what Apprise logged: one of the sentences above, without a secret."""
    for signs, sentence in _SIGNS:
        if re.search(signs, said, re.IGNORECASE):
            return sentence
    status = re.search(r"error=(\d{3})\b", said)
    return f"its server answered with the code {status[1]}" if status else OTHER


def _send(url: str, wish: dict[str, Any]) -> str:
    """What came of one address: "" where it took the notice."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="simclr-tui", app_desc="SimCLR runs", app_url="", async_mode=False, storage_mode="memory"
    )
    client = apprise.Apprise(asset=asset)
    if not client.add(url):
        return UNKNOWN
    said: list[str] = []
    with _heard(said):
        arrived = client.notify(
            title=wish["title"], body=wish["body"], notify_type=wish["type"], body_format=apprise.NotifyFormat.TEXT
        )
    return "" if arrived else reason("\n".join(said))


@contextlib.contextmanager
def _heard(said: list[str]) -> Iterator[None]:
    """Keeps what Apprise logs meanwhile in memory, and from everywhere else."""
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _load() -> None:
    """Apprise with all of its services, once for all addresses."""
    import apprise

    apprise.Apprise().add("json://localhost")


def _try(name: str, url: str, wish: dict[str, Any], answers: int) -> None:
    try:
        came = _send(url, wish)
    except ImportError:
        came = MISSING
    except Exception:
        came = OTHER
    _answer(name, came, answers)


def _answer(name: str, came: str, answers: int) -> None:
    os.write(answers, json.dumps({"name": name, "reason": came}).encode() + b"\n")  # short, hence whole in a pipe


def main() -> None:
    """Send what standard input says, to all addresses at the same time, and never take longer than it may."""
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # a plugin may print; a traceback may hold an address
        os.dup2(nowhere, descriptor)
    wish = json.load(sys.stdin)
    with contextlib.suppress(Exception):  # each says what is wrong with it
        _load()
    deadline = time.monotonic() + wish["seconds"]
    # A process for each: what is logged is that address's own, and one that hangs in a library can be ended.
    left: dict[int, str] = {}
    for name, url in wish["to"].items():
        pid = os.fork()
        if not pid:
            die_with_parent()
            _try(name, url, wish, answers)
            os._exit(0)
        left[pid] = name
    while left and time.monotonic() < deadline:
        for pid in [pid for pid in left if os.waitpid(pid, os.WNOHANG)[0]]:
            del left[pid]
        time.sleep(0.02)
    for pid, name in left.items():
        os.kill(pid, signal.SIGKILL)
        _answer(name, SLOW, answers)


if __name__ == "__main__":
    main()
