"""Twenty writers on one bare repository lose nothing; a refusal is told at once; the user's clone stays as it is."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployment_records import AT, failed, record
from twinproof.deployments.documents import NAMES, documents
from twinproof.deployments.record import Record
from twinproof.deployments.table import render
from twinproof.errors import Malformed, Refused, Unavailable, UsageError
from twinproof.sources.deployment_records import FOLDER, Recorded, bundle_path, read_records, write_records
from twinproof.sources.git import Git
from twinproof.sources.record_push import Change, push_records

BRANCH = "feat/toy-example-app"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Remote:
    path: Path

    def clone(self, name: str) -> Git:
        top = self.path.with_name(name)
        git("clone", "--quiet", "--branch", BRANCH, str(self.path), str(top))
        for key, value in (("user.name", "Test"), ("user.email", "test@localhost")):
            git("-C", str(top), "config", key, value)
        return Git(top)

    def files(self) -> dict[str, str]:
        names = git("--git-dir", str(self.path), "ls-tree", "-r", "--name-only", BRANCH).split()
        return {name: git("--git-dir", str(self.path), "show", f"{BRANCH}:{name}") for name in names}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    bare = Remote(tmp_path / "remote.git")
    git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare.path))
    first = tmp_path / "first"
    git("init", "--quiet", f"--initial-branch={BRANCH}", str(first))
    (first / "README.md").write_text("# App\n")
    (first / "code").mkdir()
    (first / "code" / "app.py").write_text("print()\n")
    git("-C", str(first), "add", ".")
    git("-C", str(first), "-c", "user.name=Test", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "first")
    git("-C", str(first), "push", "--quiet", str(bare.path), BRANCH)
    return bare


def push(clone: Git, *items: Recorded) -> str:
    change = Change(items, NAMES, documents, "chore(deploy): record")
    return push_records(clone, change, remote="origin", branch=BRANCH)


def read_back(remote: Remote, name: str) -> tuple[Record, ...]:
    return read_records(remote.clone(name).top / FOLDER).whole()


def test_a_pushed_record_brings_its_row_and_its_bundle(remote: Remote) -> None:
    clone = remote.clone("clone")
    push(clone, Recorded(record(), b"{}"), Recorded(failed()))
    files = remote.files()
    assert files[f"{FOLDER}/1.2.0-prod9-100-1.json"] == record().to_json()
    assert files[f"{FOLDER}/evidence/1.2.0-prod9-100-1.json"] == "{}"
    assert files["DEPLOYMENTS.md"] == render([record(), failed()])
    assert files["code/app.py"] == "print()\n"


def test_twenty_writers_at_once_lose_nothing(remote: Remote) -> None:
    items = [Recorded(record("1.2.0", "prod9", f"{number}-1", at=AT + number), b"{}") for number in range(20)]
    clones = [remote.clone(f"clone{number}") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(push, clones, items))
    records = read_back(remote, "after")
    assert {item.name for item in records} == {item.record.name for item in items}
    assert remote.files()["DEPLOYMENTS.md"] == render(records)
    assert sum(name.startswith(f"{FOLDER}/evidence/") for name in remote.files()) == 20


def test_the_same_record_again_changes_nothing(remote: Remote) -> None:
    clone = remote.clone("clone")
    first = push(clone, Recorded(record()))
    assert push(clone, Recorded(record())) == first


def test_another_record_under_a_taken_name_is_refused(remote: Remote) -> None:
    clone = remote.clone("clone")
    push(clone, Recorded(record()))
    with pytest.raises(Refused, match="another record of this name exists"):
        push(clone, Recorded(record(at=AT + 1)))
    assert read_back(remote, "after") == (record(),)


def test_the_clone_that_pushes_stays_as_it_is(remote: Remote) -> None:
    clone = remote.clone("clone")
    (clone.top / "code" / "app.py").write_text("half an edit\n")
    (clone.top / "new").write_text("untracked\n")
    before = (clone.output("status", "--porcelain=v2", "--branch"), clone.output("for-each-ref", "refs/heads"))
    push(clone, Recorded(record(), b"{}"))
    after = (clone.output("status", "--porcelain=v2", "--branch"), clone.output("for-each-ref", "refs/heads"))
    assert after[1] == before[1]
    assert [line for line in after[0].split("\n") if not line.startswith("# branch.ab")] == [
        line for line in before[0].split("\n") if not line.startswith("# branch.ab")
    ]
    assert clone.output("for-each-ref", "refs/twinproof") == ""


def test_it_pushes_from_the_tag_that_was_deployed(remote: Remote) -> None:
    clone = remote.clone("clone")
    clone.run("checkout", "--quiet", "--detach", "HEAD")
    other = remote.clone("other")
    push(other, Recorded(record("1.0.0")))
    push(clone, Recorded(record("1.1.0")))
    assert {str(item.version) for item in read_back(remote, "after")} == {"1.0.0", "1.1.0"}


def test_a_protected_branch_is_told_at_once_in_the_remotes_words(remote: Remote) -> None:
    hook = remote.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho GH006: Protected branch update failed >&2\necho x >> tries\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Unavailable, match="GH006") as caught:
        push(remote.clone("clone"), Recorded(record()))
    assert "protected" in caught.value.hint
    assert (remote.path / "tries").read_text() == "x\n"


def test_a_remote_that_is_gone_is_unavailable(remote: Remote) -> None:
    clone = remote.clone("clone")
    remote.path.rename(remote.path.with_name("gone.git"))
    with pytest.raises(Unavailable, match="git refused"):
        push(clone, Recorded(record()))


def commit_link(remote: Remote, name: str, target: Path) -> None:
    """What somebody may have pushed: a link in the place of a file or a folder of ours."""
    clone = remote.clone(f"link of {name}")
    (clone.top / name).unlink(missing_ok=True)
    (clone.top / name).symlink_to(target)
    clone.run("add", name)
    clone.run("commit", "--quiet", "-m", "chore: a link")
    clone.run("push", "--quiet", "origin", BRANCH)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_place_of_a_document_does_not_choose_the_file_that_is_written(
    remote: Remote, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / ".profile"
    victim.write_text("<!-- versions:begin -->\n<!-- versions:end -->\n")
    commit_link(remote, name, victim)
    with pytest.raises(Refused, match="a link in the place of a document"):
        push(remote.clone("clone"), Recorded(record(), b"{}"))
    assert victim.read_text() == "<!-- versions:begin -->\n<!-- versions:end -->\n"


def test_a_link_in_the_place_of_the_folder_is_not_followed(remote: Remote, tmp_path: Path) -> None:
    """Neither on the branch, where the folder takes its place, nor where records are kept that were not pushed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    commit_link(remote, FOLDER, elsewhere)
    clone = remote.clone("clone")
    push(clone, Recorded(record(), b"{}"))
    assert f"{FOLDER}/1.2.0-prod9-100-1.json" in remote.files()
    with pytest.raises(UsageError, match="a link in the place of a folder"):
        write_records(clone.top / FOLDER, [Recorded(record(), b"{}")])
    assert list(elsewhere.iterdir()) == []


def test_a_clone_with_other_line_ends_has_the_bytes_that_were_recorded(remote: Remote, tmp_path: Path) -> None:
    """A digest is over these bytes, and git on Windows changes the line ends of what it takes for text."""
    clone = remote.clone("first clone")
    (clone.top / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    clone.run("add", ".gitattributes")
    clone.run("commit", "--quiet", "-m", "chore: attributes")
    clone.run("push", "--quiet", "origin", BRANCH)
    push(remote.clone("clone"), Recorded(record(), b'{\n "a": 1\n}\n'))
    windows = tmp_path / "windows"
    git("clone", "--quiet", "--config", "core.autocrlf=true", str(remote.path), str(windows))
    assert bundle_path(windows / FOLDER, record()).read_bytes() == b'{\n "a": 1\n}\n'
    assert b"\r\n" in (windows / "DEPLOYMENTS.md").read_bytes()


def test_a_readme_in_another_encoding_is_told_and_nothing_is_pushed(remote: Remote) -> None:
    clone = remote.clone("first clone")
    (clone.top / "README.md").write_bytes("café\n".encode("latin-1"))
    clone.run("commit", "--quiet", "-am", "docs: another encoding")
    clone.run("push", "--quiet", "origin", BRANCH)
    with pytest.raises(Malformed, match="not UTF-8 text"):
        push(clone, Recorded(record()))
    assert clone.output("rev-parse", "HEAD") == git("--git-dir", str(remote.path), "rev-parse", BRANCH).strip()


def test_a_token_in_the_remotes_address_is_in_no_message(remote: Remote) -> None:
    address = "http://someone:ghs_a-token-that-nobody-sees@127.0.0.1:1/repository.git"
    change = Change((Recorded(record()),), NAMES, documents, "x")
    with pytest.raises(Unavailable) as caught:
        push_records(remote.clone("clone"), change, remote=address, branch=BRANCH)
    assert "127.0.0.1" in str(caught.value)
    assert "ghs_" not in str(caught.value)


def test_a_half_written_record_on_the_branch_is_named_and_nothing_is_pushed(remote: Remote) -> None:
    clone = remote.clone("clone")
    (clone.top / FOLDER).mkdir()
    (clone.top / FOLDER / "1.0.0-prod9-1-1.json").write_text(record("1.0.0", run="1-1").to_json()[:200])
    clone.run("add", FOLDER)
    clone.run("commit", "--quiet", "-m", "half a file")
    clone.run("push", "--quiet", "origin", BRANCH)
    before = remote.files()
    with pytest.raises(Malformed, match=r"1\.0\.0-prod9-1-1\.json"):
        push(clone, Recorded(record()))
    assert remote.files() == before
