"""Where notices go: a person's addresses, in a file that only they may read or in the environment.

Addresses are URLs of Apprise, and most hold a password or a token. They are read by the process that sends and by the
command that tests them, and written nowhere: not into the store, a run's settings, a command line, a log or an error.
"""

import importlib.util
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.paths import config_dir
from trainer.quote import quoted

NOTIFY_VARIABLE = "SIMCLR_TUI_NOTIFY"

KINDS = ("finished", "failed", "interrupted", "paused", "warning")
"""What can be told, by the dashboard and by the trainer."""

USUAL_KINDS = tuple(kind for kind in KINDS if kind != "paused")
"""What is told where nothing else is said: whoever pauses a run knows of it."""

PER_HOUR = 20
MOST_PER_HOUR = 1000

UNTOLD = "nobody will be told what becomes of this run"
"""Begins what is said where a person has set up addresses and they can't be used."""

_OFF = frozenset({"off", "no", "none", "0", "false"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://\S+")
_NAME = re.compile(r"[\w.+@-]{1,40}")

TEMPLATE = f"""\
# Where the trainers of simclr-tui tell what becomes of runs; docs/notices.md says more.
# `simclr-tui notify --test` tries every address. Only you may read this file: chmod 600.

# on = {list(USUAL_KINDS)!r}  # also: "paused"
# per_hour = {PER_HOUR}  # notices of all runs of a folder, at most

[to]  # a name of your own = an address, see https://appriseit.com/services/
# phone = "ntfys://ntfy.sh/a-topic-that-nobody-guesses"
# team = "slack://TokenA/TokenB/TokenC/#channel"
# mail = "mailtos://me:app-password@example.org"
# hook = "jsons://example.org/hook"
"""
"""A first file."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address. Its text never shows the URL."""

    name: str
    """What a person calls it."""
    url: str = field(repr=False)

    @property
    def service(self) -> str:
        """The part before `://`, which is no secret."""
        return self.url.partition("://")[0].lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Notify:
    """What a person wants to be told of, and where."""

    to: tuple[Address, ...] = ()
    on: tuple[str, ...] = USUAL_KINDS
    per_hour: int = PER_HOUR
    source: str = ""
    """The file or the variable that it was read from, "" where there is none."""


class NotifyError(UsageError):
    """The addresses can't be used; the sentence has the file or the variable, the reason and the remedy."""

    def __init__(self, source: object, setting: str, reason: str) -> None:
        """Args: the file or variable, the setting ("" for the whole), and the reason with the remedy."""
        super().__init__(": ".join(part for part in (str(source), setting, reason) if part))


def notify_file() -> Path:
    """Where the file is looked for, unless the environment says otherwise."""
    return config_dir() / "notify.toml"


def read_notify(environment: Mapping[str, str] = os.environ) -> Notify:
    """What a person has set up; no addresses where there is nothing.

    $SIMCLR_TUI_NOTIFY comes before the file: the path of another file, addresses with blanks between them, or `off`.

    Raises:
        NotifyError: it can't be used, or others may read the file.
    """
    said = environment.get(NOTIFY_VARIABLE, "").strip()
    if said.lower() in _OFF:
        return Notify(source=f"${NOTIFY_VARIABLE}")
    if said.startswith(("/", "~", "./", "../")):
        try:
            return _from_file(Path(said).expanduser(), must_exist=True)
        except RuntimeError as error:  # ~name of nobody
            raise NotifyError(f"${NOTIFY_VARIABLE}", "", f"{error} give a path that begins with /") from None
    if said:
        return Notify(to=_named(said.split()), source=f"${NOTIFY_VARIABLE}")
    try:
        file = notify_file()
    except UsageError:  # a user without a home, as some containers have
        return Notify()
    return _from_file(file, must_exist=False)


def trouble() -> str:
    """Why nobody will be told anything although a person has set that up, with the remedy; "" where all is well."""
    try:
        return lacking(read_notify())
    except NotifyError as error:
        return str(error)


def lacking(notify: Notify) -> str:
    """What is missing on this machine to send to the addresses, with the remedy; "" where nothing is."""
    if notify.to and importlib.util.find_spec("apprise") is None:
        return f"{notify.source}: its addresses need a package more; `pip install 'simclr-tui[notify]'`"
    return ""


def _named(urls: list[str]) -> tuple[Address, ...]:
    """Addresses of the environment, called by their services: ntfys, mailtos, json, json-2."""
    found: list[Address] = []
    for number, url in enumerate(urls, start=1):
        if not _SCHEME.fullmatch(url):
            reason = "it is no address; give URLs such as ntfys://…, the path of a file, or off"
            raise NotifyError(f"${NOTIFY_VARIABLE}", f"word {number}", reason)
        service = Address("", url).service
        same = sum(one.service == service for one in found)
        found.append(Address(f"{service}-{same + 1}" if same else service, url))
    return tuple(found)


def _from_file(file: Path, *, must_exist: bool) -> Notify:
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            raw = stream.read()
    except FileNotFoundError:
        if must_exist:
            raise NotifyError(file, "", f"${NOTIFY_VARIABLE} names it and it is not there; write it") from None
        return Notify()
    except OSError as error:
        raise NotifyError(file, "", f"{error.strerror}; mend that, or move the file away") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise NotifyError(file, "", f"others may read or write it, and addresses hold secrets; `chmod 600 {file}`")
    if status.st_uid not in (0, os.geteuid()):
        raise NotifyError(file, "", "it belongs to somebody else; write one of your own")
    import tomllib  # only where there is a file: the dashboard's first frame is waited for

    try:
        values = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise NotifyError(file, "", f"{where}; it has to be TOML (toml.io)") from None
    return _judged(file, values)


def _judged(file: Path, values: Mapping[str, Any]) -> Notify:
    for name in values:
        if name not in ("to", "on", "per_hour"):
            raise NotifyError(file, quoted(name), "there is no such setting (there are to, on, per_hour)")
    to = values.get("to", {})
    if not isinstance(to, dict):
        raise NotifyError(file, "to", "it has to be a table of names and addresses, begun by a line [to]")
    on = values.get("on", list(USUAL_KINDS))
    if not isinstance(on, list) or not all(kind in KINDS for kind in on):
        raise NotifyError(file, "on", f"it has to be a list of some of {', '.join(KINDS)}")
    per_hour = values.get("per_hour", PER_HOUR)
    if type(per_hour) is not int or not 1 <= per_hour <= MOST_PER_HOUR:
        raise NotifyError(file, "per_hour", f"it has to be a whole number from 1 to {MOST_PER_HOUR}")
    addresses = tuple(_address(file, name, url) for name, url in to.items())
    return Notify(to=addresses, on=tuple(on), per_hour=per_hour, source=str(file))


def _address(file: Path, name: str, url: object) -> Address:
    if not _NAME.fullmatch(name):
        raise NotifyError(file, "to", "a name there is no word of at most 40 letters, digits and . + @ - _; change it")
    if not isinstance(url, str) or not _SCHEME.fullmatch(url.strip()):
        raise NotifyError(file, f"to.{name}", 'it has to be an address in quotes, such as "ntfys://ntfy.sh/topic"')
    return Address(name, url.strip())
