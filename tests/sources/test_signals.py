"""A signal is seen whenever it comes, and what it did before comes back."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from twinproof.sources.signals import Signalled, until_a_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_is_remembered(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with until_a_signal() as signalled:
        assert not signalled.is_set()
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        assert signalled.wait(30)
        assert signalled.is_set()
        assert signalled.wait(0)
    assert signal.getsignal(number) is before


def test_without_a_signal_the_wait_ends_by_itself() -> None:
    assert not Signalled().wait(0.01)


def test_a_signal_that_comes_while_it_begins_or_ends_to_wait_is_seen() -> None:
    """With a `threading.Event` in its place the handler waits for the lock that it interrupted, soon and for ever."""
    for _ in range(500):
        with until_a_signal() as signalled:
            sender = threading.Thread(target=_send_soon)
            sender.start()
            end = time.monotonic() + 30
            while not signalled.wait(0) and time.monotonic() < end:
                pass
            sender.join()
        assert signalled.is_set()


def _send_soon() -> None:
    time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGTERM)
