"""Whether logging out kills trainers, for each way of being logged in, from files as they lie on such machines."""

import dataclasses
from pathlib import Path

import pytest

from trainer.doctor import logout
from trainer.doctor.logout import LogIn, judge, look

SSH = LogIn(
    user="ada",
    container=False,
    systemd=True,
    cgroup="/user.slice/user-1000.slice/session-3.scope",
    kills=False,
    lingers=False,
)
DESKTOP = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-terminal.scope"


def changed(**changes: object) -> LogIn:
    return dataclasses.replace(SSH, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        (SSH, "ok", "KillUserProcesses=no"),
        (changed(kills=True), "warn", "in tmux too"),
        (changed(kills=True, lingers=True), "warn", "KillUserProcesses=yes"),
        (changed(kills=None, why_unknown="there is no loginctl"), "unknown", "there is no loginctl"),
        (changed(cgroup=DESKTOP), "warn", "killed when the last session ends"),
        (changed(cgroup=DESKTOP, lingers=True), "ok", "ada lingers"),
        (changed(cgroup=DESKTOP, lingers=None, why_unknown="no bus"), "unknown", "no bus"),
        (changed(cgroup="/system.slice/slurmstepd.scope/job_7"), "ok", "no log-in session"),
        (changed(container=True, kills=True), "ok", "container"),
        (changed(systemd=False, kills=None), "ok", "no systemd"),
    ],
    ids=[
        "ssh",
        "killing",
        "killing although lingering",
        "unknown",
        "desktop",
        "desktop lingering",
        "desktop unknown",
        "slurm",
        "container",
        "no systemd",
    ],
)
def test_each_way_of_being_logged_in_has_its_answer(found: LogIn, level: str, words: str) -> None:
    check = judge(found)
    assert check.level == level
    assert words in check.seen
    assert bool(check.remedy) == (level in ("warn", "unknown"))
    if check.remedy:
        assert "loginctl enable-linger ada" in check.remedy


def root(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


LOG_IN = {"proc/self/cgroup": "0::/user.slice/user-0.slice/session-1.scope\n", "run/systemd/system/x": ""}


def test_files_of_logind_are_read_where_it_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(logout, "user_name", lambda _: "ada")
    plain = look(root(tmp_path, **LOG_IN))
    assert (plain.container, plain.systemd, plain.kills, plain.lingers) == (False, True, False, None)
    assert plain.cgroup == "/user.slice/user-0.slice/session-1.scope"
    set_up = {"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n"}
    assert look(root(tmp_path, **set_up)).kills is True
    root(tmp_path, **{"etc/systemd/logind.conf.d/50-mine.conf": "[Login]\nKillExcludeUsers=root ada\n"})
    assert look(tmp_path).kills is False
    root(tmp_path, **{"etc/systemd/logind.conf.d/60-last.conf": "[Login]\nKillExcludeUsers=\nKillOnlyUsers=bob\n"})
    assert look(tmp_path).kills is False
    root(tmp_path, **{"var/lib/systemd/linger/ada": ""})
    assert look(tmp_path).lingers is True


@pytest.mark.parametrize(
    "files",
    [
        {".dockerenv": ""},
        {"run/.containerenv": ""},
        {"proc/1/environ": "PATH=/bin\0container=lxc\0"},
        {"proc/self/cgroup": "3:cpu:/docker/0123\n"},
    ],
)
def test_containers_are_known_by_their_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.delenv("container", raising=False)
    assert not look(tmp_path / "nowhere").container
    assert look(root(tmp_path, **files)).container


def test_the_hierarchy_that_systemd_keeps_is_the_one_that_counts() -> None:
    hybrid = "2:cpu:/elsewhere\n1:name=systemd:/user.slice/user-0.slice/session-2.scope\n0::/other\n"
    assert logout._systemd_cgroup(hybrid).endswith("session-2.scope")
    assert logout._systemd_cgroup("0::/a\n") == "/a"
    assert logout._systemd_cgroup("") == ""


def test_this_machine_has_an_answer() -> None:
    check = logout.logging_out()
    assert check.level in ("ok", "warn", "unknown")
    assert check.seen
