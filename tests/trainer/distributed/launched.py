"""Runs that torchrun starts, for tests on a CPU."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.trainer.ranks import free_port

WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Node:
    """One of several machines, which are agents of torchrun on this one."""

    number: int
    count: int
    port: int

    def words(self) -> list[str]:
        """For torchrun."""
        return [
            f"--nnodes={self.count}",
            f"--node-rank={self.number}",
            "--master-addr=127.0.0.1",
            f"--master-port={self.port}",
        ]


class Launched:
    """torchrun with so many ranks of a run; ends with everything it has started."""

    def __init__(
        self,
        runs: Path,
        world: int,
        words: Sequence[str],
        *,
        restarts: int = 0,
        node: Node | None = None,
        folder: Path | None = None,
        module: str = "trainer.run",
    ) -> None:
        """Args: the runs folder, how many ranks, the trainer's words, how often torchrun may start them again, which of
        several machines it stands for, the folder that it is started in, and the program of each rank."""
        torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={world}", f"--max-restarts={restarts}"]
        torchrun += [f"--master-port={free_port()}"] if node is None else node.words()
        command = [sys.executable, *torchrun, "-m", module, "--headless", "--runs-dir", str(runs), *words]
        place = runs.parent if folder is None else folder.parent  # its own machine's folder is looked at
        self._log = place / f"torchrun-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
            )

    @property
    def said(self) -> str:
        """Everything that its processes printed."""
        return self._log.read_text(errors="replace")

    def wait(self) -> int:
        """Wait for its end; torchrun's exit code, 0 where every rank ended with 0."""
        try:
            return self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.close()
            raise AssertionError(self.said) from None

    def kill(self, rank: int) -> None:
        """Kill one rank."""
        for process in self._of(rank):
            process.send_signal(signal.SIGKILL)

    def _of(self, rank: int) -> list[psutil.Process]:
        return [
            process
            for process in psutil.Process(self._process.pid).children(recursive=True)
            if process.environ().get("RANK") == str(rank) and "trainer.watchdog" not in process.cmdline()
        ]

    @property
    def is_there(self) -> bool:
        """Whether torchrun has not ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """What a cluster sends before it takes the machine back."""
        self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End all of it at once; each rank has a session of its own."""
        if self._process.poll() is None:
            launcher = psutil.Process(self._process.pid)
            for process in (*launcher.children(recursive=True), launcher):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()


def until(condition: Callable[[], object], launched: Launched) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, launched.said
        time.sleep(0.05)
