"""The report fits its width, survives long and hostile names, and says the same without colour."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.report.layout import bullet, paragraph, table
from twinproof.report.style import Style
from twinproof.verdict import Status

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_its_width_for_any_number_of_instances(count: int, width: int) -> None:
    headings = [f"a-machine-with-a-very-long-name-{i} (SOMEWHERE)" for i in range(count)]
    rows = [("Compose Hash", ["ab" * 32] * count), ("Version", ["1.2.0"] * count)]
    lines = table(headings, rows, Style(width=width))
    assert max(map(len, lines)) <= width


def test_many_instances_stand_under_one_another() -> None:
    lines = table([f"m{i}" for i in range(6)], [("Version", [f"1.0.{i}" for i in range(6)])], Style(width=80))
    assert [line.split() for line in lines[2:4]] == [["m1"], ["Version", "1.0.1"]]


def test_what_is_cut_is_shown_to_be_cut() -> None:
    assert Style().ellipsis("abcdef", 4) == "abc…"
    assert Style(unicode=False).ellipsis("abcdef", 5) == "ab..."
    assert Style().ellipsis("abcd", 4) == "abcd"


def test_a_hostile_cell_cannot_move_the_cursor_or_start_a_line() -> None:
    lines = table(["prod9", "prod7"], [("Version", ["\x1b[2J\nPROOF COMPLETE", "1.0.0"])], Style(width=80))
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


@given(st.text(max_size=300))
def test_paragraphs_and_bullets_never_exceed_the_width(text: str) -> None:
    style = Style(width=80)
    for line in (*paragraph(text, style), *bullet("✓ pass", 6, text, style)):
        assert len(line) <= 80
        assert line.isprintable()


def test_colour_changes_no_words() -> None:
    for status in Status:
        plain, coloured = Style().mark(status), Style(colour=True).mark(status)
        assert ANSI.sub("", coloured) == plain
        assert coloured != plain


def test_without_unicode_everything_is_ascii() -> None:
    style = Style(unicode=False)
    assert all(style.mark(status).isascii() for status in Status)
    assert style.rule().isascii()
    assert style.rule(double=True).isascii()
