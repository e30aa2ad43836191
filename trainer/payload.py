"""What a checkpoint's bytes hold: unpacked without running anything, and seen to be what training stores.

A right digest says that the bytes are those that somebody wrote, not that a trainer did. So the archive must be one
that `torch.save` makes, its pickle may name nothing but tensors and containers (`weights_only`), and every part must be
of the kind, and every tensor of the shape, that it is put into.
"""

import io
import math
import pickletools
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.clock import RunClock
from trainer.errors import DataError

Shapes = dict[str, tuple[int, ...]]

_MAKERS = re.compile(
    r"torch [A-Z][A-Za-z0-9]*Storage|torch\._utils _rebuild_(tensor_v2|parameter)|collections OrderedDict"
)
_NAMING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"})
"""Instructions of a pickle by which a function or a class comes in; torch.save uses the first one only."""

_PARTS = {
    "model": dict,
    "optimizer": dict,
    "step": int,
    "closed_epochs": int,
    "classes": int,
    "clock": dict,
    "data": str,
}


class PayloadError(ValueError):
    """The bytes are not a checkpoint's; the message says why."""


def unpack(data: bytes) -> dict[str, Any]:
    """The content of a checkpoint's file, its tensors on the CPU.

    Raises:
        PayloadError: it is no archive that torch.save makes, or holds something that a checkpoint does not.
    """
    _check_archive(data)
    try:
        payload = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything on a file that was made to harm
        raise PayloadError(f"it cannot be loaded ({type(error).__name__})") from error
    _check_parts(payload)
    assert isinstance(payload, dict)
    return payload


def _check_archive(data: bytes) -> None:
    """See that unpacking takes no more memory than the file has bytes, and calls nothing but what makes tensors."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries, len(data))
            (program,) = (entry for entry in entries if entry.filename.endswith("/data.pkl"))
            with archive.open(program) as file:
                _check_program(file.read())
    except PayloadError:
        raise
    except Exception as error:  # zipfile and pickletools raise several kinds on a file that was made to harm
        raise PayloadError("it cannot be loaded (it is no archive of torch.save)") from error


def _check_entries(entries: list[zipfile.ZipInfo], size_bytes: int) -> None:
    """torch.save stores and never compresses, all below one folder, and each name once."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise PayloadError("it cannot be loaded (its archive is compressed, which torch.save never does)")
    if sum(entry.file_size for entry in entries) > size_bytes:
        raise PayloadError("it cannot be loaded (its archive unpacks to more than the file holds)")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or len({name.partition("/")[0] for name in names}) > 1:
        raise PayloadError("it cannot be loaded (its archive is not laid out as torch.save does)")


def _check_program(program: bytes) -> None:
    """See that a pickle names only what a checkpoint is made of. It is read as text and never run.

    `weights_only` has a longer list, with functions that take a length from the file and fill the memory.
    """
    for code, argument, _ in pickletools.genops(program):
        if code.name in _NAMING and (code.name != "GLOBAL" or not _MAKERS.fullmatch(str(argument))):
            named = str(argument).replace(" ", ".") if argument else code.name
            raise PayloadError(f"it cannot be loaded (it names {named[:60]!r}, of which no checkpoint is made)")


def _check_parts(payload: object) -> None:
    if not isinstance(payload, dict) or not all(type(name) is str for name in payload):
        raise PayloadError("it holds no parts with names")
    for name, kind in _PARTS.items():
        if name not in payload:
            raise PayloadError(f"it has no {name}")
        if not isinstance(payload[name], kind) or type(payload[name]) is bool:
            raise PayloadError(f"its {name} is no {kind.__name__}")
    for name in ("model", "ema"):
        if name in payload:
            _check_tensors(name, payload[name])
    for name in ("step", "closed_epochs", "classes"):
        if payload[name] < 0:
            raise PayloadError(f"its {name} is below 0")
    _check_clock(payload["clock"])


def _check_clock(clock: dict[Any, Any]) -> None:
    own = RunClock().to_state()
    parts = clock.get("parts", own["parts"])  # older versions have stored none
    if (clock | {"parts": parts}).keys() != own.keys() or not isinstance(parts, dict):
        raise PayloadError("its clock is none")
    if not parts.keys() <= own["parts"].keys():
        raise PayloadError("its clock has other parts of an epoch")
    times = [*(seconds for name, seconds in clock.items() if name != "parts"), *parts.values()]
    if not all(type(seconds) in (int, float) and math.isfinite(seconds) for seconds in times):
        raise PayloadError("its clock has times that are not numbers")


def _check_tensors(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise PayloadError(f"its {name} is no dict")
    for key, tensor in value.items():
        if type(key) is not str or not isinstance(tensor, Tensor):
            raise PayloadError(f"its {name} holds something that is no tensor")
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise PayloadError(f"its {name} holds a tensor without values")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise PayloadError(f"its {name} claims more values than it holds")


def check_fit(
    payload: Mapping[str, Any], parts: Mapping[str, torch.nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """See that everything in a checkpoint has a place to go to, before anything is changed.

    Args:
        payload: of a checkpoint.
        parts: the modules that are restored, by the name of their part.
        optimizer: that is restored.

    Raises:
        DataError: a part is missing, or tensors are of other names or shapes.
    """
    for name in (*_PARTS, *parts):
        if name not in payload:
            raise DataError(f"the checkpoint has no {name}; restore the run's checkpoints from a copy")
    for name, module in parts.items():
        wrong = misfits(module, payload[name])
        if wrong:
            raise DataError(
                f"the checkpoint is of another architecture than the run's settings say ({len(wrong)} tensors differ, "
                f"such as {min(wrong)}); restore the run's checkpoints from a copy"
            )
    if not _fits_optimizer(payload["optimizer"], optimizer):
        raise DataError(
            "the checkpoint's optimiser state is not of this run's weights; restore the run's checkpoints from a copy"
        )


def misfits(module: torch.nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that a module or a state_dict has alone, or in another shape than the other."""
    own, stored = shapes(module.state_dict()), shapes(state)
    return [name for name in own.keys() | stored.keys() if own.get(name) != stored.get(name)]


def shapes(state: Mapping[str, Tensor]) -> Shapes:
    """The shape of each tensor of a state_dict."""
    return {name: tuple(value.shape) for name, value in state.items()}


def _fits_optimizer(stored: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> bool:
    """Whether groups have as many parameters as the optimiser's, and every state tensor the shape of its parameter."""
    groups, state = stored.get("param_groups"), stored.get("state")
    if not isinstance(groups, list) or not isinstance(state, dict) or len(groups) != len(optimizer.param_groups):
        return False
    places: dict[Any, Tensor] = {}
    for theirs, ours in zip(groups, optimizer.param_groups, strict=True):
        names = theirs.get("params") if isinstance(theirs, dict) else None
        if not isinstance(names, list) or len(names) != len(ours["params"]):
            return False
        places |= zip(names, ours["params"], strict=True)
    return all(
        key in places and isinstance(values, dict) and all(_fits(value, places[key]) for value in values.values())
        for key, values in state.items()
    )


def _fits(value: Any, parameter: Tensor) -> bool:
    """Whether a value may stand in the state of a parameter: a tensor of its shape, one number, or no tensor."""
    return not isinstance(value, Tensor) or value.shape == parameter.shape or value.numel() == 1
