"""`notify`: where trainers tell what becomes of runs, and whether a notice arrives. No address is ever printed."""

import argparse
import os
import socket
from pathlib import Path

from simclr_tui.commands.output import columns, say, say_json
from trainer.addresses import TEMPLATE, Notify, lacking, notify_file, read_notify
from trainer.errors import ExitCode, TrainerError, UsageError


def notify(options: argparse.Namespace, _runs: Path) -> int:
    """Print what is set up, write a first file, or send a notice to every address."""
    file = notify_file()
    if options.init:
        _write_first(file)
        say(f"{file} is written, for you alone; put an address in, then `simclr-tui notify --test`")
        return ExitCode.FINISHED
    found = read_notify()
    if options.test:
        return _test(found, as_json=options.json)
    wrong = lacking(found)
    if options.json:
        to = {address.name: address.service for address in found.to}
        say_json({"from": found.source, "to": to, "on": found.on, "per_hour": found.per_hour, "trouble": wrong})
        return ExitCode.FINISHED
    if not found.to:
        say(f"no address is set up{f' in {found.source}' if found.source else ''}; {_how(found, file)}")
        return ExitCode.FINISHED
    say(found.source)
    say("")
    say(columns(["name", "service"], [[address.name, address.service] for address in found.to]))
    say(f"\ntells of runs that are {', '.join(found.on)}; at most {found.per_hour} notices an hour")
    if wrong:
        say(f"\nnothing can be sent: {wrong}")
    return ExitCode.FINISHED


def _how(found: Notify, file: Path) -> str:
    if found.source.startswith("$"):
        return f"unset that for {file}, or give addresses in it"
    if found.source:
        return 'add one there, below the line [to], such as phone = "ntfys://ntfy.sh/topic"'
    return f"`simclr-tui notify --init` writes {file} with examples"


def _test(found: Notify, *, as_json: bool) -> int:
    if not found.to:
        raise UsageError(f"notify --test: no address is set up; {_how(found, notify_file())}")
    wrong = lacking(found)
    if wrong:
        raise TrainerError(f"notify --test: {wrong}")
    from trainer.notices.delivery import Message, deliver

    body = f"A test from {socket.gethostname()}. Runs that end, stand still or become unwell are told like this."
    came = deliver(Message(kind="test", title="simclr-tui notify --test", body=body), found.to)
    if as_json:
        say_json({name: {"arrived": not why, "reason": why or None} for name, why in came.items()})
    else:
        services = {address.name: address.service for address in found.to}
        rows = [[name, services[name], why or "was taken by its server"] for name, why in came.items()]
        say(columns(["name", "service", "what came of it"], rows))
    return ExitCode.FAILED if any(came.values()) else ExitCode.FINISHED


def _write_first(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{file} is there already; edit it, or move it away first") from None
    except OSError as error:
        raise TrainerError(f"{error.filename or file}: {error.strerror}; the file can't be written there") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(TEMPLATE)
