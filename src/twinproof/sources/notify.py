"""Tell somebody, once: a webhook or a command, tried again a few times with growing pauses."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.http import HttpClient
from twinproof.urls import masked
from twinproof.wire import shown

__all__ = ["PAUSES", "Notice", "by_command", "by_webhook", "notify"]

Notice = Callable[[bytes], None]
PAUSES = (1.0, 4.0, 16.0)
"""Seconds before the second, third and last try."""
_COMMAND_SECONDS = 60
_MOST_BYTES = 64 * 1024
_SUCCESS = range(200, 300)


def by_webhook(url: str, client: HttpClient) -> Notice:
    """Posts the JSON. Any status of 200 to 299 is success."""

    def post(message: bytes) -> None:
        answer = client.post(url, message, max_bytes=_MOST_BYTES)
        if answer.status not in _SUCCESS:
            raise Unavailable("the webhook refused", where=masked(url), got=f"HTTP {answer.status}")

    return post


def by_command(text: str) -> Notice:
    """Runs the words of the text as a program, without a shell, the JSON on its input. Raises UsageError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"not a command: {error}", where="--command", got=shown(text)) from error
    if not words:
        raise UsageError("an empty command", where="--command")

    def call(message: bytes) -> None:
        try:
            done = subprocess.run(words, input=message, check=False, timeout=_COMMAND_SECONDS)  # noqa: S603  (the user's)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable("the command could not be run", where=shown(words[0]), got=shown(str(error))) from error
        if done.returncode != 0:
            raise Unavailable("the command failed", where=shown(words[0]), got=f"exit code {done.returncode}")

    return call


def notify(notice: Notice, message: bytes, *, pause: Callable[[float], bool]) -> Unavailable | None:
    """Deliver once; the last error when it could not be. `pause(seconds)` is True when there is no more time."""
    for seconds in (*PAUSES, None):
        try:
            notice(message)
        except Unavailable as error:
            if seconds is None or pause(seconds):
                return error
        else:
            return None
    return None
