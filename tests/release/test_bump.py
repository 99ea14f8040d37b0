"""`bump-version.sh` on temporary repositories with a bare remote: one tagged commit, or nothing at all."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from toy_repository import BRANCH, ROOT, VERSION, toy_repository
from toy_repository import ToyRepository as Repository
from waiting import until

EXPECTED = f"""Bumped version: 1.0.0 -> 1.1.0
Updated: enclave/pyproject.toml
Updated: {VERSION}
Created tag: v1.1.0

Next steps:
  git push origin {BRANCH} --tags
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return toy_repository(tmp_path)


def refused(repository: Repository, *arguments: str, because: str) -> None:
    """Nothing is touched, the reason is on stderr alone, and it is no traceback."""
    before = repository.state()
    code, out, err = repository.bump(*(arguments or ("minor",)))
    assert code == 2
    assert out == ""
    assert because in err
    assert "Traceback" not in err
    assert repository.state() == before


def test_a_bump_prints_exactly_the_block_and_makes_one_tagged_commit(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    assert repository.bump("minor") == (0, EXPECTED, "")
    assert repository.git("rev-parse", "HEAD~1") == before
    assert repository.git("rev-parse", "v1.1.0^{commit}") == repository.git("rev-parse", "HEAD")
    assert repository.git("cat-file", "-t", "v1.1.0") == "tag"
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("diff", "--name-only", "HEAD~1").split() == [
        "CHANGELOG.md",
        "README.md",
        "enclave/pyproject.toml",
        VERSION,
    ]
    assert '"x==1.0.0"' in repository.git("show", "HEAD:enclave/pyproject.toml")
    changelog = repository.git("show", "HEAD:CHANGELOG.md")
    assert re.search(
        r"## \[1\.1\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- A counter per instance \([0-9a-f]{7}\)", changelog
    )
    assert "| 1.1.0 | " in repository.git("show", "HEAD:README.md")


def test_the_script_is_the_command(repository: Repository) -> None:
    script = repository.top / "scripts" / "bump-version.sh"
    repository.write("scripts/bump-version.sh", (ROOT / "scripts" / "bump-version.sh").read_text())
    script.chmod(0o755)
    repository.commit("build: the script")
    done = subprocess.run(
        [script, "minor"], check=False, capture_output=True, text=True, timeout=60, cwd="/", env=repository.environment
    )
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr


def test_a_dry_run_shows_everything_and_changes_nothing(repository: Repository) -> None:
    before = repository.state()
    code, out, _ = repository.bump("minor", "--dry-run")
    assert (code, repository.state()) == (0, before)
    for text in (
        "Would bump version: 1.0.0 -> 1.1.0",
        "Would create tag: v1.1.0",
        "| 1.1.0 | ",
        "A counter per instance",
    ):
        assert text in out


@pytest.mark.parametrize("arguments", [["huge"], ["minor", "major"], ["--part"]])
def test_1_a_wrong_argument_is_usage(repository: Repository, arguments: list[str]) -> None:
    refused(repository, *arguments, because="hint")


def test_1_no_argument_is_usage(repository: Repository) -> None:
    assert repository.bump()[0] == 2


@pytest.mark.parametrize("kind", ["modified", "staged", "untracked"])
def test_2_a_tree_that_is_not_clean_is_refused_with_its_paths(repository: Repository, kind: str) -> None:
    name = "new.txt" if kind == "untracked" else VERSION
    repository.write(name, '__version__ = "1.0.0"\n# changed\n')
    if kind == "staged":
        repository.git("add", name)
    refused(repository, because=name)


@pytest.mark.parametrize("branch", ["main", "other"])
def test_3_another_branch_is_refused_main_above_all(repository: Repository, branch: str) -> None:
    repository.git("switch", "-q", "-c", branch)
    refused(repository, because=f"expected {BRANCH}")


def test_3_a_detached_head_is_refused(repository: Repository) -> None:
    repository.git("switch", "-q", "--detach")
    refused(repository, because="HEAD is detached")


def test_3_a_merge_under_way_is_refused(repository: Repository) -> None:
    (repository.top / ".git" / "MERGE_HEAD").write_text(repository.git("rev-parse", "HEAD") + "\n")
    refused(repository, because="a merge is under way")


def test_4_sources_that_disagree_are_refused_with_file_and_value(repository: Repository) -> None:
    repository.write(VERSION, '__version__ = "0.9.9"\n')
    repository.commit("fix: a mistake")
    refused(repository, because=f"{VERSION} says 0.9.9")


@pytest.mark.parametrize("text", ["", '__version__ = "1.0.0"\n__version__ = "1.0.0"\n', None])
def test_5_a_version_that_does_not_stand_exactly_once_is_refused(repository: Repository, text: str | None) -> None:
    if text is None:
        (repository.top / VERSION).unlink()
    else:
        repository.write(VERSION, text)
    repository.commit("fix: a mistake")
    refused(repository, because=VERSION)


def test_6_only_the_anchored_line_changes_where_the_version_stands_elsewhere_too(repository: Repository) -> None:
    text = '# 1.0.0\n__version__ = "1.0.0"\nHOST = "1.0.0.1"\nNEEDS = ["x==1.0.0"]\n  __version__ = "1.0.0"\n'
    repository.write(VERSION, text)
    repository.commit("fix: an address")
    assert repository.bump("minor")[0] == 0
    changed = text.replace('\n__version__ = "1.0.0"', '\n__version__ = "1.1.0"')
    assert (repository.top / VERSION).read_text() == changed


@pytest.mark.parametrize("kind", ["annotated", "lightweight", "elsewhere"])
def test_7_a_tag_that_exists_here_is_refused(repository: Repository, kind: str) -> None:
    where = ["HEAD~1"] if kind == "elsewhere" else []
    repository.git("tag", *(["-a", "-m", "x"] if kind == "annotated" else []), "v1.1.0", *where)
    refused(repository, because="this version's tag exists: got v1.1.0")


def test_7_a_tag_that_exists_only_on_the_remote_is_refused(repository: Repository) -> None:
    repository.git("tag", "v1.1.0", "HEAD~1")
    repository.git("push", "-q", "origin", "v1.1.0")
    repository.git("tag", "-d", "v1.1.0")
    refused(repository, because="exists on origin")


def test_7_a_version_below_another_tag_is_refused(repository: Repository) -> None:
    repository.git("tag", "v1.10.0", "HEAD~1")
    refused(repository, because="above 1.10.0")


def test_8_a_clone_behind_its_remote_is_refused_with_the_pull_command(repository: Repository) -> None:
    repository.git("push", "-q", "origin", f"HEAD:{BRANCH}")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    refused(repository, because=f"git pull --ff-only origin {BRANCH}")


def test_8_without_a_remote_nothing_is_missing(repository: Repository) -> None:
    repository.git("remote", "remove", "origin")
    assert repository.bump("minor") == (0, EXPECTED, "")


def test_8_a_remote_that_does_not_answer_is_a_warning(repository: Repository) -> None:
    repository.git("remote", "set-url", "origin", "/nonexistent")
    code, out, err = repository.bump("minor")
    assert (code, out) == (0, EXPECTED)
    assert "did not answer" in err


def test_10_a_pre_release_is_refused(repository: Repository) -> None:
    for path in (VERSION, "enclave/pyproject.toml"):
        repository.write(path, (repository.top / path).read_text().replace('"1.0.0"', '"1.1.0-rc.1"'))
    repository.commit("fix: a candidate")
    refused(repository, because="not a plain version")


@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg"])
def test_11_a_failing_hook_leaves_everything_as_before(repository: Repository, hook: str) -> None:
    repository.hook(hook, "echo no way >&2; exit 1")
    refused(repository, because="no way")


def test_11_a_hook_that_changes_files_leaves_everything_as_before(repository: Repository) -> None:
    repository.hook("post-commit", f"echo '# late' >> {VERSION}")
    refused(repository, because="left the work tree changed")


def test_11_a_changelog_that_cannot_be_made_leaves_everything_as_before(repository: Repository) -> None:
    repository.write("cliff.toml", "[changelog\n")
    repository.commit("build: a mistake")
    refused(repository, because="git-cliff")


@pytest.mark.parametrize("where", ["subdirectory", "worktree"])
def test_12_it_is_the_same_from_a_subdirectory_and_in_a_linked_work_tree(repository: Repository, where: str) -> None:
    directory = repository.top / "enclave"
    if where == "worktree":
        repository.git("switch", "-q", "--detach")
        directory = repository.top.parent / "linked tree"
        repository.git("worktree", "add", "-q", str(directory), BRANCH)
    assert repository.bump("minor", directory=directory) == (0, EXPECTED, "")


def test_13_bytes_outside_the_version_are_kept(repository: Repository) -> None:
    odd = '\ufeff# first\r\n__version__ = "1.0.0"\r\n# no end'
    repository.write(VERSION, odd)
    (repository.top / VERSION).chmod(0o755)
    repository.commit("style: odd")
    assert repository.bump("minor")[0] == 0
    assert (repository.top / VERSION).read_bytes() == odd.replace("1.0.0", "1.1.0").encode()
    assert repository.git("ls-files", "--stage", VERSION).startswith("100755")


def test_14_the_second_run_makes_the_next_version(repository: Repository) -> None:
    assert repository.bump("minor")[0] == 0
    code, out, _ = repository.bump("patch")
    assert (code, out.split("\n")[0]) == (0, "Bumped version: 1.1.0 -> 1.1.1")
    assert "No notable changes." in repository.git("show", "HEAD:CHANGELOG.md")


def test_14_of_two_at_once_one_wins_and_one_refuses(repository: Repository) -> None:
    repository.hook("pre-commit", "sleep 2")
    with repository.start("minor") as one, repository.start("minor") as other:
        results = [process.communicate(timeout=60) for process in (one, other)]
    assert sorted((one.returncode, other.returncode)) == [0, 2]
    assert sorted(out for out, _ in results) == ["", EXPECTED]
    assert any("another release is being made" in err for _, err in results)
    assert repository.git("tag", "--list").split() == ["v1.0.0", "v1.1.0"]
    assert repository.git("status", "--porcelain") == ""


def test_14_of_two_clones_that_release_the_same_version_one_pushes_and_the_other_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "another clone", repository.home)
    repository.git("push", "-q", "origin", BRANCH)
    repository.git("clone", "-q", "-b", BRANCH, str(tmp_path / "remote.git"), str(other.top))
    for name, value in (("user.name", "B"), ("user.email", "b@example.org")):
        other.git("config", name, value)
    push = ("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
    other.commit("fix: something else")
    assert repository.bump("minor")[0] == other.bump("minor")[0] == 0
    repository.git(*push)
    other.git(*push, check=False)
    remote = repository.git("ls-remote", "origin", BRANCH, "v1.1.0^{}").split()[::2]
    assert remote == [repository.git("rev-parse", "HEAD")] * 2
    refused(other, "patch", because=f"origin has commits of {BRANCH}")


@pytest.mark.parametrize("setting", ["tag.gpgSign", "commit.gpgSign"])
def test_15_signing_without_a_key_leaves_everything_as_before(repository: Repository, setting: str) -> None:
    repository.git("config", "gpg.program", "/nonexistent")
    repository.git("config", setting, "true")
    refused(repository, because="git refused")


def test_15_git_that_does_not_know_who_commits_is_refused(repository: Repository) -> None:
    repository.git("config", "--unset", "user.name")
    repository.git("config", "--unset", "user.email")
    repository.git("config", "user.useConfigOnly", "true")
    refused(repository, because="who commits")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_16_an_interrupted_bump_leaves_nothing_behind(repository: Repository, number: signal.Signals) -> None:
    reached = repository.top.parent / "reached"
    repository.hook("pre-commit", f"touch '{reached}'; exec sleep 20")
    before = repository.state()
    with repository.start("minor") as process:
        until(reached.exists)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert repository.state() == before
    repository.hook("pre-commit", "exit 0")
    assert repository.bump("minor") == (0, EXPECTED, "")


@pytest.mark.parametrize("readme", ["# Toy\n", "<!-- versions:begin -->\n<!-- versions:end -->\n" * 2])
def test_28_a_readme_without_exactly_one_table_is_refused(repository: Repository, readme: str) -> None:
    repository.write("README.md", readme)
    repository.commit("docs: a mistake")
    refused(repository, because="the table's markers")


def test_28_rows_are_added_newest_first_and_none_twice(repository: Repository) -> None:
    for part in ("minor", "patch", "major"):
        repository.commit("feat: more")
        assert repository.bump(part)[0] == 0
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \|", (repository.top / "README.md").read_text(), re.MULTILINE)
    assert rows == ["2.0.0", "1.1.1", "1.1.0"]


def test_a_shallow_clone_is_refused(repository: Repository) -> None:
    shallow = Repository(repository.top.parent / "shallow", repository.home)
    source = f"file://{repository.top}"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", source, str(shallow.top)],
        check=True,
        timeout=30,
        env=shallow.environment,
    )
    shallow.git("config", "user.name", "A")
    shallow.git("config", "user.email", "a@example.org")
    refused(shallow, because="shallow clone")
