"""Checkpoint files that were made to harm: each would run code, or take memory, if it were loaded without care.

Each maker is given a canary, the path of a file that the code would make, and returns the bytes of a file. None of them
is ever run here; `tests/test_safety.py` sees that nothing in the tree could.
"""

import builtins
import collections
import io
import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.trainer.test_checkpoint import content

STEP = 2
"""Of the payloads that are right but for what they hide."""


class Calling:
    """What calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Args: the function and what it is called with."""
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        """The call."""
        return self._call


def _shell(canary: Path) -> Calling:
    return Calling(os.system, f"touch {canary}")


def saved(value: object, **options: Any) -> bytes:
    """The bytes that torch.save makes of a value."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def archive(program: bytes, **more: bytes) -> bytes:
    """A pickle in an archive as torch.save lays it out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, data in {"data.pkl": program, "byteorder": b"little", "version": b"3\n", **more}.items():
            file.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def rewritten(
    data: bytes, change: Callable[[str, bytes], bytes | None], *, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """An archive with its entries changed; None leaves one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed is not None:
                new.writestr(name, changed)
    return buffer.getvalue()


def _hidden(canary: Path) -> bytes:
    """A whole checkpoint with one call among its weights."""
    payload = content(STEP)
    payload["model"]["layer4.bias"] = _shell(canary)
    return saved(payload)


def _in_optimizer_keys(canary: Path) -> bytes:
    payload = content(STEP)
    payload["optimizer"]["state"] = {0: collections.OrderedDict(momentum=[[_shell(canary)]])}
    return saved(payload)


def _global(canary: Path) -> bytes:
    """The oldest protocol names the function in plain text."""
    return b"cposix\nsystem\n(S'touch " + os.fsencode(canary) + b"'\ntR."


def _stack_global(canary: Path) -> bytes:
    """The newest protocol takes the name from the stack, where a search for GLOBAL does not see it."""
    command = b"touch " + os.fsencode(canary)
    return b"\x80\x04\x8c\x05posix\x8c\x06system\x93X" + struct.pack("<I", len(command)) + command + b"\x85R."


def _inst(canary: Path) -> bytes:
    return b"(S'touch " + os.fsencode(canary) + b"'\niposix\nsystem\n."


def _persistent_id(canary: Path) -> bytes:
    """A storage whose class is a function."""
    command = f"touch {canary}".encode()
    storage = b"(X\x07\x00\x00\x00storagecposix\nsystem\nX" + struct.pack("<I", len(command)) + command
    return archive(b"\x80\x02" + storage + b"X\x03\x00\x00\x00cpuK\x01tQ.")


def _persistent_text(canary: Path) -> bytes:
    return archive(b"\x80\x00Ptouch " + os.fsencode(canary) + b"\n.")


def _build_state(canary: Path) -> bytes:
    """A harmless class whose state is set by a call."""
    ordered = b"\x80\x02ccollections\nOrderedDict\n)R"
    return archive(ordered + _global(canary)[:-1] + b"b.")


def _wrong_storage_size(canary: Path) -> bytes:
    return rewritten(saved(content(STEP)), lambda name, data: data[:-8] if "/data/" in name else data)


def _no_storage(canary: Path) -> bytes:
    return rewritten(saved(content(STEP)), lambda name, data: None if "/data/" in name else data)


def _huge_length(canary: Path) -> bytes:
    """A text of 2^62 bytes."""
    return archive(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"a.")


def _bytearray_of_a_terabyte(canary: Path) -> bytes:
    """A function that weights_only allows, and that fills the memory."""
    return saved(content(STEP) | {"data": Calling(bytearray, 10**12)})


def _more_values_than_bytes(canary: Path) -> bytes:
    """A tensor of 10^12 values that are all the same four bytes."""
    return saved(content(STEP) | {"model": {"w": torch.ones(1).expand(10**12)}})


def _bomb(canary: Path) -> bytes:
    """A gigabyte of zeros in a megabyte."""
    small = saved(content(STEP) | {"model": {"w": torch.zeros(1 << 20)}})
    return rewritten(small, lambda _, data: data, compression=zipfile.ZIP_DEFLATED)


def _two_programs(canary: Path) -> bytes:
    """Two entries of one name, of which one reader sees the harmless and another the harmful."""
    buffer = io.BytesIO(saved(content(STEP)))
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("archive/copy/../data.pkl", _global(canary))
    return buffer.getvalue()


def _objects(canary: Path) -> bytes:
    return saved(np.array([_shell(canary)], dtype=object))


MAKERS: dict[str, Callable[[Path], bytes]] = {
    "os.system, a bare pickle": lambda canary: pickle.dumps(_shell(canary)),
    "os.system, an archive": lambda canary: saved(_shell(canary)),
    "os.system, torch's old format": lambda canary: saved(_shell(canary), _use_new_zipfile_serialization=False),
    "builtins.eval": lambda canary: saved(Calling(builtins.eval, f"open({str(canary)!r}, 'w')")),
    "builtins.exec": lambda canary: saved(Calling(builtins.exec, f"open({str(canary)!r}, 'w')")),
    "subprocess": lambda canary: saved(Calling(subprocess.check_call, ["touch", str(canary)])),
    "getattr": lambda canary: saved(Calling(getattr, Calling(__import__, "os"), "system")),
    "torch's own loader": lambda canary: saved(Calling(torch.hub.load, str(canary.parent), "model")),
    "in a list": lambda canary: saved([1, [2, [_shell(canary)]]]),
    "in a dict": lambda canary: saved({"model": {"w": _shell(canary)}}),
    "in an OrderedDict": lambda canary: saved(collections.OrderedDict(model=_shell(canary))),
    "in a tuple of keys": lambda canary: saved({(1, (2, 3)): _shell(canary)}),
    "among the weights": _hidden,
    "in the optimiser": _in_optimizer_keys,
    "GLOBAL, a bare pickle": _global,
    "GLOBAL, an archive": lambda canary: archive(_global(canary)),
    "STACK_GLOBAL": lambda canary: archive(_stack_global(canary)),
    "INST": lambda canary: archive(_inst(canary)),
    "a storage that is a function": _persistent_id,
    "a persistent id of text": _persistent_text,
    "BUILD": _build_state,
    "an array of objects": _objects,
    "a storage that is too short": _wrong_storage_size,
    "a storage that is missing": _no_storage,
    "a length of 2^62": _huge_length,
    "a bytearray of a terabyte": _bytearray_of_a_terabyte,
    "more values than bytes": _more_values_than_bytes,
    "a bomb": _bomb,
    "two programs": _two_programs,
    "nothing": lambda canary: b"",
    "no archive": lambda canary: b"PK\x03\x04" + bytes(1000),
}
"""What is made to harm, by what it tries."""
