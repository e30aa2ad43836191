"""The sockets that the server listens on, and the address that a person opens."""

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from trainer.errors import TrainerError, UsageError
from trainer.quote import quoted

_BACKLOG = 128


class NotListeningError(TrainerError):
    """The port can't be had."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: addresses of this machine and a port, 0 for a free one."""

    addresses: tuple[str, ...]
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can connect."""
        return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in self.addresses)


def find_place(host: str, port: int) -> Place:
    """The addresses of a host's name; it is asked for once, so that what was judged is what is listened on.

    Raises:
        UsageError: there is no such name.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no name of a machine"
        raise UsageError(f"--host: {quoted(host)}: {reason}; leave it out for 127.0.0.1") from None
    return Place(tuple(dict.fromkeys(str(address[0]) for *_, address in found)), port)


def listen(place: Place) -> list[socket.socket]:
    """Listening sockets, one for each address and all on one port.

    Raises:
        NotListeningError: the port is taken, or not for this user.
    """
    opened: list[socket.socket] = []
    port = place.port
    for address in place.addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            opened.append(socket.create_server((address, port), family=family, backlog=_BACKLOG))
        except OSError as error:
            for one in opened:
                one.close()
            raise NotListeningError(_sentence(error, address, port)) from None
        port = opened[0].getsockname()[1]
    return opened


def _sentence(error: OSError, address: str, port: int) -> str:
    free = "choose another with --port, or a free one with --port 0"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {address} is taken by another program; {free}"
    if error.errno == errno.EACCES:
        return f"port {port} is not for this user (ports below 1024 are the system's); {free}"
    return (
        f"{address} can't be listened on ({os.strerror(error.errno or 0)}); name an address of this machine with --host"
    )


def shown_host(address: str) -> str:
    """What a browser is told to open: this machine's name where it is every address of it."""
    plain = ipaddress.ip_address(address.partition("%")[0])
    if plain.is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if plain.version == 6 else address
