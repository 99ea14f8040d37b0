"""The journal on disk: its owner's, one process's, of one deployment; whatever else stands in its place is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinproof.deployments.journal import Journal, SignedTransaction
from twinproof.errors import UsageError
from twinproof.sources.deploy_journal import journal_file

FRESH = Journal("toy-example", bytes([1]) * 32, 8453)
KEPT = FRESH.with_app(bytes([2]) * 20).with_transaction("contract", SignedTransaction(b"\x02\xf8", bytes(20), 1, 2))


def read(path: Path, fresh: Journal = FRESH) -> Journal:
    with journal_file(path, fresh) as journal:
        return journal.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal that holds something."""
    path = tmp_path / "state" / "deploy.json"
    with journal_file(path, FRESH) as journal:
        journal.change(lambda _: KEPT)
    return path


def test_what_was_kept_is_read_again_and_belongs_to_its_owner_alone(path: Path) -> None:
    assert read(path) == KEPT
    assert [item.stat().st_mode & 0o077 for item in (path.parent, path, Path(f"{path}.lock"))] == [0, 0, 0]


def test_a_link_in_the_place_of_the_lock_empties_no_file(tmp_path: Path) -> None:
    """In a folder that others can write, such as /tmp."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "j.json.lock").symlink_to(victim)
    with pytest.raises(UsageError, match="cannot use the journal"):
        read(tmp_path / "j.json")
    assert victim.read_text() == "precious"


def test_a_lock_that_was_there_is_taken_and_not_emptied(tmp_path: Path) -> None:
    lock = tmp_path / "j.json.lock"
    lock.write_text("x")
    lock.chmod(0o600)
    assert read(tmp_path / "j.json") == FRESH
    assert lock.read_text() == "x"


def test_a_link_in_the_place_of_the_journal_is_not_followed(path: Path) -> None:
    other = path.with_name("other.json")
    other.symlink_to(path)
    with pytest.raises(UsageError, match="cannot read the journal"):
        read(other)


def test_a_pipe_in_the_place_of_the_journal_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "j.json", 0o600)
    with pytest.raises(UsageError, match="others may write this file, or it is none"):
        read(tmp_path / "j.json")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_journal_that_others_may_write_is_not_sent(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(UsageError, match="others may write"):
        read(path)


@pytest.mark.parametrize(
    "fresh",
    [
        Journal("another-app", FRESH.compose_hash, FRESH.chain_id),
        Journal(FRESH.name, bytes(32), FRESH.chain_id),
        Journal(FRESH.name, FRESH.compose_hash, 1),
    ],
    ids=["app", "compose hash", "chain"],
)
def test_a_journal_of_another_deployment_is_refused(path: Path, fresh: Journal) -> None:
    with pytest.raises(UsageError, match="the journal of another deployment"):
        read(path, fresh)


def test_a_half_written_journal_is_refused_at_every_length_and_kept(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole.rstrip()), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError) as caught:
            read(path)
        assert "it may hold a contract that nobody else knows" in caught.value.hint
        assert path.read_bytes() == whole[:length]


def test_a_second_process_does_not_get_the_journal(path: Path) -> None:
    with journal_file(path, FRESH), pytest.raises(UsageError, match="another deployment uses this journal"):
        read(path)
