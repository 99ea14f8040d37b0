"""Versions and their table: arithmetic as semver says, rows that nothing in a commit can break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from twinproof.errors import Malformed
from twinproof.release.changes import notable_changes
from twinproof.release.version_files import VersionFile, agreed_version, read_version_files
from twinproof.release.version_table import BEGIN, END, Row, with_row
from twinproof.release.versions import PARTS, Part, Version, version_of_tag

numbers = st.integers(0, 10_000)
versions = st.builds(Version, numbers, numbers, numbers)
TABLE = f"# Title\n\n{BEGIN}\n{END}\nrest\n"


@pytest.mark.parametrize(
    ("old", "part", "new"),
    [
        ("1.0.0", "minor", "1.1.0"),
        ("1.9.9", "minor", "1.10.0"),
        ("0.9.9", "major", "1.0.0"),
        ("1.10.0", "patch", "1.10.1"),
    ],
)
def test_raising_a_part_resets_the_parts_below(old: str, part: Part, new: str) -> None:
    assert str(Version.parse(old, "x").raised(part)) == new


@given(versions, versions, st.sampled_from(PARTS))
def test_versions_order_as_packaging_orders_them(one: Version, other: Version, part: Part) -> None:
    assert (one < other) == (Pep440(str(one)) < Pep440(str(other)))
    assert one.raised(part) > one
    assert Version.parse(str(one), "x") == one == version_of_tag(one.tag)


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "v1.2.3", "01.2.3", "1.2.3-rc.1", "1.2.3.4", "1.2.x", "1.2.3\n", "\u0661.2.3"]
)
def test_what_is_no_plain_version_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="not a plain version"):
        Version.parse(text, "x")
    assert version_of_tag(f"v{text}") is None


def test_a_row_is_put_on_top_once() -> None:
    first = with_row(TABLE, Row(Version(1, 0, 0), "2026-11-23", ("a",)))
    second = with_row(first, Row(Version(1, 1, 0), "2026-11-24", ("b", "c")))
    assert with_row(second, Row(Version(1, 1, 0), "2026-11-25", ("d",))) == second
    rows = [line for line in second.split("\n") if line.startswith("| 1.")]
    assert rows == ["| 1.1.0 | 2026-11-24 | - | - | b; c |", "| 1.0.0 | 2026-11-23 | - | - | a |"]


def test_a_row_keeps_the_rest_byte_for_byte() -> None:
    windows = TABLE.replace("\n", "\r\n")
    changed = with_row(windows, Row(Version(1, 0, 0), "2026-11-23", ()))
    assert changed.replace("\r\n", "").count("\n") == 0
    assert changed.startswith(f"# Title\r\n\r\n{BEGIN}\r\n")
    assert changed.endswith(f"{END}\r\nrest\r\n")


def test_nothing_in_a_subject_breaks_a_row_or_mentions_a_person() -> None:
    line = Row(Version(1, 0, 0), "2026-11-23", ("a | b <img> `x` @name [l](u) \x1b[31m\n", "z" * 500)).line
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.count(" | ") == 4
    assert "<img" not in line
    assert "@name" not in line


@pytest.mark.parametrize(
    "readme", ["no table", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", TABLE + TABLE, f"{BEGIN}\nwords\n{END}\n"]
)
def test_a_readme_without_one_table_is_refused(readme: str) -> None:
    with pytest.raises(Malformed):
        with_row(readme, Row(Version(1, 0, 0), "2026-11-23", ()))


def test_what_users_notice_is_told_with_breaking_changes_first() -> None:
    subjects = ["feat: a", "docs: b", "FIX(x): c", "chore!: d", "free text", "feat : e", "perf: f"]
    assert notable_changes(subjects) == ("breaking: d", "a", "c", "f")


FILE = VersionFile("version.py", '^__version__ = "{current_version}"')


def test_only_the_anchored_line_counts() -> None:
    text = '"""1.0.0"""\nneeds = "a==1.0.0"\n__version__ = "1.0.0"\n'
    assert FILE.version_in(text) == Version(1, 0, 0)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "exactly once"),
        ('__version__ = "1.0.0"\n__version__ = "1.0.0"\n', "exactly once"),
        ('__version__ = "1.0.0-rc.1"\n', "not a plain version"),
    ],
)
def test_a_file_without_exactly_one_plain_version_is_refused(text: str, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        FILE.version_in(text)


def test_sources_that_disagree_are_all_named() -> None:
    with pytest.raises(Malformed, match=r"a says 1\.0\.0, b says 0\.9\.9"):
        agreed_version([("a", Version(1, 0, 0)), ("b", Version(0, 9, 9))])


GOOD = """[tool.bumpversion]
commit = false
tag = false
allow_dirty = false
[[tool.bumpversion.files]]
filename = "a"
regex = true
search = '^v = "{current_version}"'
"""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (GOOD.replace("commit = false", "commit = true"), "has to be false"),
        (GOOD.replace("regex = true", "regex = false"), "could find other lines"),
        (GOOD.replace("'^v", "'v"), "could find other lines"),
        (GOOD.replace("{current_version}", "1.0.0"), "could find other lines"),
        (GOOD.split("[[", maxsplit=1)[0] + "files = []\n", "no file holds the version"),
        ("[", "not a TOML file"),
    ],
)
def test_a_configuration_that_could_change_other_lines_is_refused(text: str, what: str) -> None:
    assert [file.path for file in read_version_files(GOOD)] == ["a"]
    with pytest.raises(Malformed, match=what):
        read_version_files(text)
