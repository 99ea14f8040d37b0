"""The progress bar: what it says, how often, and on which streams it says nothing."""

from __future__ import annotations

import io

import pytest

from twinproof.cli.progress import Progress, State, progress_line
from twinproof.report.style import Style


class Screen(io.StringIO):
    """A stream that says it is a terminal, in ASCII."""

    encoding = "ascii"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(50, 0, 2.0, total=100), "  [############............]  50%  50/100  25/s"),
        (State(50, 3, 2.0, fraction=0.25), "  [######..................]  25%  50  25/s  3 failed"),
        (State(7, 0, 0.0), "  7  7000/s"),
        (State(100, 0, 1.0, total=100), "  [########################]  100%  100/100  100/s"),
    ],
)
def test_it_says_what_is_known(state: State, text: str) -> None:
    assert progress_line(state, Style(unicode=False)) == text


def test_on_a_narrow_terminal_the_numbers_remain() -> None:
    assert progress_line(State(1, 0, 1.0, total=2), Style(width=40)) == "  50%  1/2  1/s"


def test_it_is_redrawn_ten_times_a_second_and_never_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    screen, now = Screen(), [100.0]
    progress = Progress(1000, lambda: None, stream=screen, clock=lambda: now[0])
    for done in range(1, 1001):
        now[0] += 0.001
        progress.show(done, done)
    assert 8 <= screen.getvalue().count("\r\x1b[K") <= 12
    assert "\x1b[3" not in screen.getvalue()
    progress.hide()
    progress.hide()
    assert screen.getvalue().endswith("failed\r\x1b[K")


def test_what_was_hidden_comes_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    progress = Progress(None, lambda: None, stream=screen, clock=lambda: 1.0)
    progress.show(1, 0)
    progress.hide()
    progress.show(2, 0)
    assert screen.getvalue().count("\x1b[K  1  ") == 2


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Screen(), "dumb")])
def test_elsewhere_it_says_nothing(stream: io.StringIO, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    progress = Progress(10, lambda: None, stream=stream)
    progress.show(1, 0)
    progress.hide()
    assert stream.getvalue() == ""
