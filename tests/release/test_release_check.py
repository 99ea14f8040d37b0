"""`twinproof release check`: a tag is a release only when commit, files, remote and branch say so too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from toy_repository import BRANCH, VERSION, ToyRepository, toy_repository
from twinproof.errors import Malformed
from twinproof.release.image_tags import image_tags
from twinproof.release.tagged import ReleaseFacts
from twinproof.release.versions import Version, release_of_tag, version_of_tag


@pytest.fixture
def released(tmp_path: Path) -> ToyRepository:
    """v1.1.0 is bumped, tagged and pushed with its branch."""
    repository = toy_repository(tmp_path)
    assert repository.bump("minor")[0] == 0
    repository.git("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
    return repository


def check(repository: ToyRepository, tag: str, *arguments: str) -> tuple[int, str, str]:
    return repository.twinproof("release", "check", tag, *arguments)


def refused(repository: ToyRepository, tag: str, *arguments: str, because: str, code: int = 4) -> None:
    found, out, err = check(repository, tag, *arguments)
    assert (found, out) == (code, "")
    assert because in err
    assert "Traceback" not in err


def test_a_version_on_its_branch_is_a_release_and_its_facts_are_outputs(
    released: ToyRepository, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    outputs.write_text("before=1\n")
    commit = released.git("rev-parse", "HEAD")
    code, out, err = check(released, "v1.1.0", "--commit", commit, "--outputs", str(outputs))
    assert (code, err) == (0, "")
    assert "latest: true" in out
    assert outputs.read_text().splitlines() == [
        "before=1",
        "tag=v1.1.0",
        "version=1.1.0",
        f"commit={commit}",
        f"epoch={released.git('log', '-1', '--format=%ct')}",
        "previous=v1.0.0",
        "prerelease=false",
        "latest=true",
    ]


@pytest.mark.parametrize(
    "tag",
    ["vfoo", "v1", "v1.2", "v1.2.3.4", "1.1.0", "v01.1.0", "v1.1.0+1", "v1.1.0-01", "v1.1.0\n", "v$(id)", "v1.1.0;id"],
)
def test_33_a_tag_that_is_no_version_stops_before_anything_else(released: ToyRepository, tag: str) -> None:
    refused(released, tag, because="not a version's tag", code=2)


@pytest.mark.parametrize("path", [VERSION, "enclave/pyproject.toml"])
def test_34_a_file_that_holds_another_version_than_the_tag_is_named(released: ToyRepository, path: str) -> None:
    released.write(path, (released.top / path).read_text().replace('"1.1.0"', '"1.1.1"'))
    released.commit("fix: a mistake")
    released.git("tag", "v1.2.0")
    released.git("push", "-q", "origin", BRANCH, "v1.2.0")
    refused(released, "v1.2.0", because="holds another version than the tag")
    refused(released, "v1.2.0", because="expected 1.2.0")


def test_34_files_that_hold_no_version_are_no_release(released: ToyRepository) -> None:
    released.write(VERSION, "")
    released.commit("fix: a mistake")
    released.git("tag", "v1.2.0")
    released.git("push", "-q", "origin", BRANCH, "v1.2.0")
    refused(released, "v1.2.0", because=f"{VERSION}: the version has to stand exactly once")


def test_35_a_tag_on_another_branch_is_refused(released: ToyRepository) -> None:
    released.git("switch", "-q", "-c", "other", "HEAD~1")
    for path in (VERSION, "enclave/pyproject.toml"):
        released.write(path, (released.top / path).read_text().replace('"1.0.0"', '"1.2.0"'))
    released.commit("feat: nobody reviewed this")
    released.git("tag", "v1.2.0")
    released.git("push", "-q", "origin", "other", "v1.2.0")
    refused(released, "v1.2.0", because="not on the release branch")


def test_35_a_tag_whose_commit_names_its_own_branch_as_the_release_branch_is_refused(released: ToyRepository) -> None:
    released.git("switch", "-q", "-c", "other", "HEAD~1")
    for path in (VERSION, "enclave/pyproject.toml", "twinproof.toml"):
        text = (released.top / path).read_text().replace('"1.0.0"', '"1.2.0"')
        released.write(path, text.replace(f'release_branch = "{BRANCH}"', 'release_branch = "other"'))
    released.commit("feat: nobody reviewed this")
    released.git("tag", "v1.2.0")
    released.git("push", "-q", "origin", "other", "v1.2.0")
    released.git("switch", "-q", BRANCH)
    refused(released, "v1.2.0", because="names another release branch: got other")


def test_35_a_tag_whose_branch_was_refused_is_refused(tmp_path: Path) -> None:
    """What `git push --tags` leaves on the remote when the branch itself is rejected."""
    repository = toy_repository(tmp_path)
    assert repository.bump("minor")[0] == 0
    repository.git("push", "-q", "origin", "v1.1.0")
    refused(repository, "v1.1.0", because="not on the release branch")


def test_35_without_an_answer_the_branch_is_the_one_that_was_fetched_last(tmp_path: Path) -> None:
    repository = toy_repository(tmp_path)
    assert repository.bump("minor")[0] == 0
    repository.git("remote", "set-url", "origin", "/nonexistent")
    refused(repository, "v1.1.0", because="not on the release branch")
    repository.git("update-ref", f"refs/remotes/origin/{BRANCH}", "HEAD")
    assert check(repository, "v1.1.0")[0] == 0


def test_35_a_branch_that_moved_on_the_remote_has_to_be_fetched(released: ToyRepository, tmp_path: Path) -> None:
    clone = ToyRepository(tmp_path / "clone", released.home)
    released.git("clone", "-q", "-b", BRANCH, str(tmp_path / "remote.git"), str(clone.top))
    released.git("commit", "-q", "--allow-empty", "-m", "feat: more")
    released.git("push", "-q", "origin", BRANCH)
    refused(clone, "v1.1.0", because="the branch has moved on origin", code=2)


def test_31_a_tag_that_moved_since_the_run_began_is_refused(released: ToyRepository) -> None:
    before = released.git("rev-parse", "HEAD")
    released.commit("feat: more")
    released.git("tag", "-f", "v1.1.0")
    released.git("push", "-qf", "origin", BRANCH, "v1.1.0")
    refused(released, "v1.1.0", "--commit", before, because="the tag has moved")


def test_31_a_tag_that_is_elsewhere_on_the_remote_is_refused(released: ToyRepository) -> None:
    released.commit("feat: more")
    released.git("push", "-q", "origin", BRANCH)
    released.git("tag", "-f", "v1.1.0")
    refused(released, "v1.1.0", because="origin has this tag at another commit")


def test_a_tag_that_the_remote_does_not_have_is_refused(released: ToyRepository) -> None:
    assert released.bump("patch")[0] == 0
    released.git("push", "-q", "origin", BRANCH)
    refused(released, "v1.1.1", because="not a tag of origin")


def test_a_branch_of_the_same_name_is_not_taken_for_the_tag(released: ToyRepository) -> None:
    released.git("branch", "v1.2.0")
    refused(released, "v1.2.0", because="no such version", code=2)


def test_a_shallow_clone_is_refused(released: ToyRepository, tmp_path: Path) -> None:
    clone = ToyRepository(tmp_path / "clone", released.home)
    released.git("clone", "-q", "-b", BRANCH, "--depth", "1", f"file://{tmp_path / 'remote.git'}", str(clone.top))
    clone.git("fetch", "-q", "--depth", "1", "origin", "tag", "v1.1.0")
    refused(clone, "v1.1.0", because="shallow clone", code=2)


def test_30_a_pre_release_is_one_and_is_not_the_latest(released: ToyRepository) -> None:
    for path in (VERSION, "enclave/pyproject.toml"):
        released.write(path, (released.top / path).read_text().replace('"1.1.0"', '"1.2.0-rc.1"'))
    released.commit("feat: a candidate")
    released.git("tag", "v1.2.0-rc.1")
    released.git("push", "-q", "origin", BRANCH, "v1.2.0-rc.1")
    code, out, _ = check(released, "v1.2.0-rc.1")
    assert code == 0
    assert {"version: 1.2.0-rc.1", "prerelease: true", "latest: false", "previous: v1.1.0"} <= set(out.splitlines())


def test_30_a_patch_on_an_older_line_is_not_the_latest(released: ToyRepository) -> None:
    released.git("tag", "v1.2.0", "HEAD")
    _, out, _ = check(released, "v1.1.0")
    assert "latest: false" in out


def facts(version: Version) -> ReleaseFacts:
    return ReleaseFacts(version, "0" * 40, BRANCH, 0, latest=True, previous="")


def test_38_three_tags_in_a_row_are_all_deployed_and_an_old_one_never_after_a_newer_one() -> None:
    published: set[str] = set()
    for number in (1, 2, 3):
        version = Version(1, number, 0)
        published.add(version.tag)
        assert facts(version).may_follow(published)
    assert not facts(Version(1, 2, 0)).may_follow(published)
    assert not facts(Version(1, 2, 1)).may_follow(published)


def test_30_a_pre_release_is_not_deployed_by_itself_and_holds_nobody_up() -> None:
    assert not facts(Version(1, 0, 0, "rc.1")).may_follow(())
    assert facts(Version(1, 0, 0)).may_follow({"v1.0.0", "v2.0.0-rc.1", "nightly"})


def test_the_images_tag_is_the_version_and_the_commit_and_never_latest() -> None:
    assert image_tags("a" * 40, Version(1, 2, 3)) == ("a" * 40, "1.2.3")
    assert image_tags("a" * 40, None) == ("a" * 40,)


def test_pre_releases_order_as_semantic_versioning_says() -> None:
    names = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1", ""]
    found = [Version(1, 0, 0, name) for name in names]
    assert sorted(found, reverse=True) == found[::-1]
    assert Version(1, 0, 0, "rc.2") < Version(1, 0, 0, "rc.10") < Version(1, 0, 0) < Version(1, 0, 1, "rc.1")


@given(st.integers(0, 99), st.sampled_from(["a", "b", "rc"]), st.integers(0, 99), st.integers(0, 99))
def test_pre_releases_order_as_packaging_orders_them(patch: int, word: str, one: int, other: int) -> None:
    first, second = Version(1, 0, patch, f"{word}.{one}"), Version(1, 0, patch, f"{word}.{other}")
    assert (first < second) == (Pep440(str(first)) < Pep440(str(second)))
    assert Version.parse_release(str(first), "x") == first == release_of_tag(first.tag)
    assert version_of_tag(first.tag) is None


@pytest.mark.parametrize("text", ["1.0.0-", "1.0.0-rc..1", "1.0.0-rc_1", "1.0.0-01", "1.0.0-rc.1+build", "1.0.0rc1"])
def test_what_is_no_version_of_a_release_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="not a version"):
        Version.parse_release(text, "x")
