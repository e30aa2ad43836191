"""When bits are promised, since when not, and why, in words."""

from pathlib import Path

import pytest

from trainer.exactness import Change, Exactness, differences

FACTS = {
    "torch": "2.14.1",
    "device": "H100",
    "threads": 2,
    "deterministic": True,
    "cpu_extensions": ["avx2", "avx512f"],
}


def test_a_run_that_has_not_changed_is_promised() -> None:
    begun = Exactness(FACTS)
    assert begun.verdict() == "promised"
    assert begun.resumed(FACTS, after=10, stored_to=47) == begun
    assert begun.doubt(11, resumed_after=10) == ""


def test_it_comes_back_from_the_store_as_it_was() -> None:
    changed = Exactness(FACTS).resumed(FACTS | {"threads": 1}, after=10, stored_to=47)
    assert Exactness.from_json(changed.to_json()) == changed
    assert Exactness.from_json('{"torch": "2.14.1"}') == Exactness({"torch": "2.14.1"})


def test_what_changed_is_said_with_the_step_from_which_on_it_holds() -> None:
    once = Exactness(FACTS).resumed(FACTS | {"threads": 1}, after=10, stored_to=47)
    assert once.verdict() == "not promised: from step 11 on threads 2 → 1"
    twice = once.resumed(FACTS | {"threads": 1, "device": "A100"}, after=90, stored_to=90)
    assert twice.verdict() == "not promised: from step 11 on threads 2 → 1; from step 91 on device H100 → A100"
    assert twice.facts["device"] == "A100"


def test_a_run_that_wanders_between_machines_is_told_of_in_a_line() -> None:
    wandering = Exactness(FACTS)
    for place in range(1, 101):
        wandering = wandering.resumed(FACTS | {"threads": 2 + place % 2}, after=10 * place, stored_to=10 * place)
    assert wandering.verdict() == (
        "not promised: from step 11 on threads 2 → 3; 98 more changes; from step 1,001 on threads 3 → 2"
    )


def test_a_run_without_deterministic_kernels_is_not_promised_from_its_beginning() -> None:
    begun = Exactness(FACTS | {"deterministic": False})
    assert begun.verdict() == "not promised: --deterministic no"
    assert begun.doubt(11, resumed_after=10) == "--deterministic no"


def test_rows_from_before_a_change_are_doubted_however_often_the_run_is_resumed_after_it() -> None:
    changed = Exactness(FACTS).resumed(FACTS | {"threads": 1}, after=10, stored_to=47)
    for checkpoint in (10, 30):
        assert changed.doubt(47, resumed_after=checkpoint) == "threads 2 → 1"
    assert changed.doubt(48, resumed_after=30) == ""


def test_a_fall_back_to_before_a_change_is_a_change_too() -> None:
    """What was run between it and the change is now run under other facts, so that all that came later differs."""
    changed = Exactness(FACTS).resumed(FACTS | {"threads": 1}, after=10, stored_to=47)
    fallen = changed.resumed(FACTS | {"threads": 1}, after=5, stored_to=90)
    assert fallen.changes[-1] == Change(5, 90, ("a checkpoint from before the last change was used",))
    assert "from before the last change" in fallen.doubt(60, resumed_after=30)
    assert fallen.doubt(91, resumed_after=90) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"torch": "2.15.0"}, "torch 2.14.1 → 2.15.0"),
        ({"deterministic": False}, "deterministic kernels yes → no"),
        ({"device": None}, "device H100 → none"),
        ({"cpu_extensions": ["amx", "avx2"]}, "instruction set of the CPU without avx512f, with amx"),
    ],
)
def test_differences_are_words(change: dict[str, object], words: str) -> None:
    assert differences(FACTS, FACTS | change) == [words]


def test_a_fact_that_an_older_version_did_not_record_says_nothing() -> None:
    assert differences({"torch": "2.14.1", "gone": 1}, FACTS) == []


def test_exactness_needs_no_torch() -> None:
    source = Path("trainer/exactness.py").read_text() + Path("trainer/replay_check.py").read_text()
    assert "import torch" not in source
    assert "import numpy" not in source
