"""Experiments with many small processes: in an interpreter of their own, which forks before it has any thread."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any


def alone(function: Callable[..., Any], *arguments: Any, seconds: float = 110) -> Any:
    """Call a module's function in an interpreter of its own; arguments and result are what JSON can say."""
    line = [sys.executable, "-m", __name__, function.__module__, function.__name__, json.dumps(arguments)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, said = process.communicate(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and with it every child that is left
        process.communicate()
    assert process.returncode == 0, said
    return json.loads(out.splitlines()[-1])


def fork(function: Callable[..., Any], *arguments: Any) -> int:
    """Call a function in a child; the child's process id. An exception is its exit status 1."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        function(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(child: int) -> int:
    """The exit status of a child that ends by itself."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    module, name, given = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(given))))
