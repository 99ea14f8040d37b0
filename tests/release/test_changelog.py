"""The changelog of awkward messages: every commit is listed once or counted, breaking changes first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = (
    ("feat!: drop the old endpoint", "- Drop the old endpoint (", "Breaking changes"),
    ("fix(core)!: another key", "- **core:** Another key (", "Breaking changes"),
    ("chore!: no more Python 3.10", "- No more Python 3.10 (", "Breaking changes"),
    (
        "feat: with a footer\n\nBREAKING CHANGE: clients must ask again",
        "- With a footer: clients must ask",
        "Breaking changes",
    ),
    ("feat(x): hyphen\n\nBREAKING-CHANGE: so does this", "- **x:** Hyphen: so does this (", "Breaking changes"),
    ("feat: lower case\n\nbreaking change: is none", "- Lower case (", "Added"),
    ("FEAT: upper case", "- Upper case (", "Added"),
    ("feat(scope with space): spaced", "- **scope with space:** Spaced (", "Added"),
    ("feat: squashed (#12)\n\n* feat: bullet one\n* fix: bullet two", "- Squashed (#12) (", "Added"),
    ("perf: faster", "- Faster (", "Changed"),
    ('Revert "feat: something"', '- Revert "feat: something" (', "Changed"),
    ("fix: over\ntwo lines", "- Fix: over (", "Fixed"),
    ("fix: a | b <b> `c` d_e @name [l](u)", "- A \\| b &lt;b> \\`c\\` d\\_e @&#8203;name \\[l\\](u) (", "Fixed"),
    ("fix: żółć 漢字", "- Żółć 漢字 (", "Fixed"),
    ("feat : a space", "- Feat : a space (", "Added"),
    ("🎉 feat: emoji first", "- 🎉 feat: emoji first (", "Other"),
    ("free text", "- Free text (", "Other"),
)
COUNTED = ("docs: words", "test: a test", "build(deps): newer", "chore: tidy")


class Repository:
    def __init__(self, top: Path) -> None:
        self.top, self.clock = top, 1_700_000_000
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(top.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        top.mkdir()
        self.git("init", "-q", "-b", "main")
        (top / "cliff.toml").write_bytes((ROOT / "cliff.toml").read_bytes())
        self.git("add", "cliff.toml")

    def git(self, *arguments: str) -> str:
        date = {"GIT_AUTHOR_DATE": f"{self.clock} +0000", "GIT_COMMITTER_DATE": f"{self.clock} +0000"}
        command = ["git", "-C", str(self.top), "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60, env={**self.environment, **date}
        )
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.clock += 60
        self.git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)

    def changelog(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "twinproof", "changelog", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.top,
            env={**self.environment, "PYTHONIOENCODING": "utf-8"},
        )
        return done.returncode, done.stdout, done.stderr

    def text(self, *arguments: str) -> str:
        code, out, err = self.changelog(*arguments)
        assert (code, err) == (0, "")
        return out


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("changelog") / "r")
    for message, _, _ in MESSAGES:
        repository.commit(message)
    for message in COUNTED:
        repository.commit(message)
    repository.commit("chore(release): v1.0.0")
    repository.git("tag", "v1.0.0")
    return repository


@pytest.mark.parametrize(
    ("_message", "line", "group"), MESSAGES, ids=[message.split("\n")[0] for message, _, _ in MESSAGES]
)
def test_every_message_is_listed_once_under_its_group(
    awkward: Repository, _message: str, line: str, group: str
) -> None:
    text = awkward.text()
    assert text.count(f"\n{line}") == 1
    before = text[: text.index(f"\n{line}")]
    assert before[before.rindex("\n### ") :].startswith(f"\n### {group}\n")


def test_breaking_changes_come_first(awkward: Repository) -> None:
    headings = [line for line in awkward.text().splitlines() if line.startswith("#")]
    assert headings[:3] == ["# Changelog", "## [1.0.0] - 2023-11-14", "### Breaking changes"]


def test_what_is_left_out_is_counted(awkward: Repository) -> None:
    text = awkward.text()
    assert f"Left out: {len(COUNTED)} " in text
    assert sum(line.startswith("- ") for line in text.splitlines()) == len(MESSAGES)
    assert "bullet one" not in text


def test_made_twice_it_is_the_same_bytes(awkward: Repository) -> None:
    assert awkward.text() == awkward.text()


def test_check_tells_whether_the_file_is_what_the_commits_say(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit("feat: a")
    assert repository.changelog("--check")[0] == 4
    (repository.top / "CHANGELOG.md").write_text(repository.text(), encoding="utf-8")
    assert repository.changelog("--check")[0] == 0
    repository.commit("feat: b")
    assert repository.changelog("--check")[0] == 4


def test_an_old_commit_of_a_side_branch_belongs_to_the_version_it_was_merged_for(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit("feat: one")
    repository.git("tag", "v1.0.0")
    repository.git("switch", "-q", "-c", "side")
    repository.commit("fix: from the side")
    repository.git("switch", "-q", "main")
    repository.commit("feat: two")
    repository.git("tag", "v1.1.0")
    repository.clock += 60
    repository.git("merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side")
    repository.commit("feat: three")
    repository.git("tag", "v1.2.0")
    newest, older = repository.text().split("## [1.1.0]")
    assert "From the side" in newest
    assert "From the side" not in older
    assert "Left out: 1 " in newest


def test_a_version_without_notable_changes_says_so(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit("feat: one")
    repository.git("tag", "v1.0.0")
    repository.commit("chore: tidy")
    repository.git("tag", "v1.0.1")
    assert "No notable changes.\n\nLeft out: 1 " in repository.text("--from", "v1.0.0")


def test_two_tags_narrow_it_and_tags_elsewhere_are_ignored(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    for name in ("one", "two", "three"):
        repository.commit(f"feat: {name}")
        repository.git("tag", f"v1.{len(name)}.{'one two three'.index(name)}")
    repository.git("switch", "-q", "-c", "other")
    repository.commit("feat: elsewhere")
    repository.git("tag", "v9.0.0")
    repository.git("switch", "-q", "main")
    tags = repository.git("tag", "--sort=creatordate").split()
    narrowed = repository.text("--from", tags[0], "--to", tags[1])
    assert ("Two" in narrowed, "One" in narrowed, "Three" in narrowed) == (True, False, False)
    assert "9.0.0" not in repository.text()


def test_20_a_commit_and_its_revert_in_one_version_are_both_shown(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit("feat: a mistake")
    repository.commit('Revert "feat: a mistake"')
    text = repository.text()
    assert "### Added\n\n- A mistake (" in text
    assert '### Changed\n\n- Revert "feat: a mistake" (' in text


def test_23_a_long_subject_stays_whole_and_on_its_line(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    subject = "words " * 100 + "end"
    repository.commit(f"fix: {subject}")
    assert f"- W{subject[1:]} (" in repository.text()


def test_25_the_first_version_ever_holds_the_whole_history(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    for name in ("one", "two"):
        repository.commit(f"feat: {name}")
    repository.git("tag", "v1.0.0")
    text = repository.text()
    assert text.count("## [") == 1
    assert "- One (" in text
    assert "- Two (" in text


def test_25_up_to_the_first_version_is_everything_before_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    for name in ("one", "two"):
        repository.commit(f"feat: {name}")
    repository.git("tag", "v1.0.0")
    repository.commit("feat: three")
    text = repository.text("--to", "v1.0.0")
    assert text.startswith("## [1.0.0] - 2023-11-14\n\n### Added\n\n- One (")
    assert ("- Two (" in text, "- Three (" in text) == (True, False)


def test_the_title_and_the_first_version_are_one_empty_line_apart(awkward: Repository) -> None:
    assert "\n\n\n" not in awkward.text()


def test_a_pre_release_has_no_section_its_changes_are_the_versions(tmp_path: Path) -> None:
    """Whoever goes from 1.0.0 to 1.1.0 reads everything under 1.1.0, whichever candidates there were."""
    repository = Repository(tmp_path / "r")
    repository.commit("feat: one")
    repository.git("tag", "v1.0.0")
    repository.commit("feat: two")
    repository.git("tag", "v1.1.0-rc.1")
    repository.commit("fix: three")
    assert "rc.1" not in repository.text()
    repository.git("tag", "v1.1.0")
    newest = repository.text().partition("## [1.0.0]")[0]
    assert ("## [1.1.0]" in newest, "- Two (" in newest, "- Three (" in newest, "rc.1" in newest) == (
        True,
        True,
        True,
        False,
    )
    candidate = repository.text("--from", "v1.0.0", "--to", "v1.1.0-rc.1")
    assert ("- Two (" in candidate, "- Three (" in candidate) == (True, False)


def test_a_shallow_clone_is_refused(awkward: Repository, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    command = ["git", "clone", "-q", "--depth", "1", f"file://{awkward.top}", str(shallow)]
    subprocess.run(command, check=True, timeout=60, env=awkward.environment)
    done = subprocess.run(
        [sys.executable, "-m", "twinproof", "changelog"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=shallow,
        env=awkward.environment,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "shallow clone" in done.stderr


def test_an_unknown_tag_is_refused(awkward: Repository) -> None:
    code, out, err = awkward.changelog("--from", "v9.9.9")
    assert (code, out) == (2, "")
    assert "no such version" in err
