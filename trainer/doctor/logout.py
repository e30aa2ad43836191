"""Whether logging out would kill trainers that run in the background.

A trainer has a session of its own, so the end of a terminal or of an SSH connection does not reach it. systemd ends
processes by their control group instead (logind.conf(5), user@.service(5)):

- in a session's scope, all of them where KillUserProcesses=yes, tmux and screen included;
- under the user's own manager, all of them once the user's last session ends, unless the user lingers.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.doctor.check import Check
from trainer.sharing import user_name

_TIMEOUT_SECONDS = 5.0
_CONTAINER = re.compile(r"docker|kubepods|containerd|lxc|libpod|podman")
_UNIT = "start runs by the unit that `simclr-tui service` prints"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogIn:
    """What is known of how this process was logged in."""

    user: str
    container: bool
    systemd: bool
    cgroup: str
    """Path of this process's control group, as systemd made it."""
    kills: bool | None
    """Whether a session's processes are killed with it; None where that could not be found out."""
    lingers: bool | None
    """Whether the user's own manager outlives the last session."""
    why_unknown: str = ""


def logging_out() -> Check:
    """What logging out would do to trainers started from here."""
    return judge(look())


def judge(found: LogIn) -> Check:
    """What follows from how this process was logged in."""
    name = "logging out"
    if found.container:
        return Check(name, "ok", "this is a container: no session ends here, and runs end with the container")
    if not found.systemd:
        return Check(name, "ok", "no systemd ends sessions here, and trainers have sessions of their own")
    linger = f"`loginctl enable-linger {found.user}`"
    if re.search(r"/user@\d+\.service(/|$)", found.cgroup):
        return _of_the_users_manager(found, name, linger)
    if not re.search(r"/session-[^/]+\.scope(/|$)", found.cgroup):
        return Check(name, "ok", f"this is no log-in session ({found.cgroup or '/'}), so none ends with its runs")
    if found.kills is None:
        return Check(name, "unknown", f"whether logging out kills trainers can't be told: {found.why_unknown}", linger)
    if not found.kills:
        return Check(name, "ok", "trainers outlive the session (KillUserProcesses=no)")
    words = "logging out kills every trainer started in this session (KillUserProcesses=yes), in tmux too"
    return Check(name, "warn", words, f"{linger}, then {_UNIT}, or launch by `systemd-run --user --scope simclr-tui …`")


def _of_the_users_manager(found: LogIn, name: str, linger: str) -> Check:
    if found.lingers is None:
        words = f"whether the user's manager outlives the last session can't be told: {found.why_unknown}"
        return Check(name, "unknown", words, linger)
    if found.lingers:
        return Check(name, "ok", f"trainers outlive the session: {found.user} lingers")
    words = "trainers started here are killed when the last session ends, since they are under the user's manager"
    return Check(name, "warn", words, f"{linger}; {_UNIT} if they should also come back after a reboot")


def look(root: Path = Path("/")) -> LogIn:
    """Find out. Asks logind, or reads what it reads where it can't be asked.

    Args:
        root: of the file system.
    """
    user = user_name(os.getuid())
    manager, why = _ask("show-user", "KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")
    if "KillUserProcesses" not in manager:
        manager = _configured(root)
    own, why_not = _ask("show-user", "Linger", who=user)
    lingers = own.get("Linger") == "yes" if "Linger" in own else None
    if lingers is None and (root / "var/lib/systemd").is_dir():
        lingers = (root / "var/lib/systemd/linger" / user).exists()
    return LogIn(
        user=user,
        container=_in_container(root),
        systemd=(root / "run/systemd/system").is_dir(),
        cgroup=_systemd_cgroup(_text(root / "proc/self/cgroup")),
        kills=_kills(manager, user),
        lingers=lingers,
        why_unknown=why or why_not,
    )


def _ask(verb: str, *properties: str, who: str = "") -> tuple[dict[str, str], str]:
    """Properties by loginctl, or an empty dictionary and why."""
    program = shutil.which("loginctl")
    if program is None:
        return {}, "there is no loginctl"
    command = [program, verb, *([who] if who else []), *(f"--property={name}" for name in properties)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return {}, f"loginctl does not answer ({type(error).__name__})"
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {}, f"loginctl says: {said[0] if said else f'exit code {done.returncode}'}"
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line), ""


def _configured(root: Path) -> dict[str, str]:
    """What logind's files set, later ones over earlier ones (systemd's drop-in order)."""
    if not (root / "run/systemd/system").is_dir():
        return {}
    files = [root / "usr/lib/systemd/logind.conf", root / "etc/systemd/logind.conf"]
    drop_ins: dict[str, Path] = {}
    for place in ("usr/lib", "run", "etc"):
        drop_ins |= {path.name: path for path in (root / place / "systemd/logind.conf.d").glob("*.conf")}
    found = {"KillUserProcesses": "no"}
    for path in (*files, *(drop_ins[name] for name in sorted(drop_ins))):
        found |= dict(re.findall(r"^[ \t]*(Kill\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", _text(path), re.MULTILINE))
    return found


def _kills(manager: Mapping[str, str], user: str) -> bool | None:
    if "KillUserProcesses" not in manager:
        return None
    if manager["KillUserProcesses"].lower() not in ("yes", "true", "1", "on"):
        return False
    only, exclude = manager.get("KillOnlyUsers", "").split(), manager.get("KillExcludeUsers", "root").split()
    return user not in exclude and (not only or user in only)


def _in_container(root: Path) -> bool:
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    of_first = _text(root / "proc/1/environ").split("\0")
    named = any(word.startswith("container=") for word in of_first) or "container" in os.environ
    return named or bool(_CONTAINER.search(_text(root / "proc/self/cgroup")))


def _systemd_cgroup(text: str) -> str:
    """The path in the hierarchy that systemd keeps: that of version 2, or the named one of version 1."""
    paths = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths["named" if controllers == "name=systemd" else number] = path
    return paths.get("named") or paths.get("0") or ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
