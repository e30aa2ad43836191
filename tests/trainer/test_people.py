"""Whose run it is."""

import os
from typing import Any

import pytest

from trainer import people
from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.sharing import user_name
from trainer.start import new_pretrain_run, rename_run
from trainer.store import RunStore
from trainer.store.records import Run

ANNAS = {"owner": "anna", "owner_uid": 70001}


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run of this user."""
    return new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="first")


def changed(store: RunStore, run_id: str, **columns: Any) -> Run:
    """The run with other people noted on it."""
    store.update_run(run_id, **columns)
    return store.run(run_id)


def test_a_run_is_its_makers_by_name_and_number(store: RunStore, run_id: str) -> None:
    run = store.run(run_id)
    assert run.owner_uid == os.geteuid()
    assert (run.runner, run.runner_uid) == (None, None)
    assert not people.is_anothers(run)
    assert people.was_run_by_me(run)
    people.refuse_anothers(run, None)
    people.refuse_anothers(run, run.owner)


def test_another_persons_run_is_refused_until_the_person_is_named(store: RunStore, run_id: str) -> None:
    run = changed(store, run_id, **ANNAS)
    with pytest.raises(UsageError, match=r"^first is anna's run, not yours; add `--owner anna` if you mean it$"):
        people.refuse_anothers(run, None)
    with pytest.raises(UsageError, match=r"^--owner: first is anna's run; give that name, or leave --owner out"):
        people.refuse_anothers(run, "lars")
    people.refuse_anothers(run, "anna")
    people.refuse_anothers(run, "70001")
    assert people.named_with_owner(run) == "anna's run first"
    assert not people.was_run_by_me(run)


def test_who_runs_another_persons_run_may_end_it_and_not_delete_it(store: RunStore, run_id: str) -> None:
    run = changed(store, run_id, **ANNAS, runner="me", runner_uid=os.geteuid())
    people.refuse_anothers(run, None, or_runner=True)
    with pytest.raises(UsageError):
        people.refuse_anothers(run, None)
    assert people.people_words(run) == "anna, run by me"
    assert people.was_run_by_me(run)


def test_ones_own_run_that_another_runs_is_ones_own_and_resumed_by_the_other(store: RunStore, run_id: str) -> None:
    run = changed(store, run_id, runner="anna", runner_uid=70001)
    people.refuse_anothers(run, None)
    assert not people.was_run_by_me(run)


def test_a_run_of_which_nobody_noted_who_made_it_is_anybodys(store: RunStore, run_id: str) -> None:
    """As in a store of an older version."""
    run = changed(store, run_id, owner=None, owner_uid=None)
    people.refuse_anothers(run, None)
    assert people.people_words(run) == ""
    assert people.was_run_by_me(run)
    with pytest.raises(UsageError, match="nobody noted"):
        people.refuse_anothers(run, "anna")


def test_what_becomes_of_another_persons_run_is_told_with_a_name(store: RunStore, run_id: str) -> None:
    run = changed(store, run_id, **ANNAS)
    me = user_name(os.geteuid())
    rename_run(store, run, "second")
    store.request(run_id, "pause")
    messages = [event.message for event in store.events(run_id=run_id)]
    assert f"was called first, and is second from now on by {me}" in messages
    assert f"{me} asked it to pause" in messages


def test_what_becomes_of_ones_own_run_is_told_without(store: RunStore, run_id: str) -> None:
    rename_run(store, store.run(run_id), "second")
    store.request(run_id, "pause")
    messages = [event.message for event in store.events(run_id=run_id)]
    assert "was called first, and is second from now on" in messages
    assert not [message for message in messages if "asked" in message]
