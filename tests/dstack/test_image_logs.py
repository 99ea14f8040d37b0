"""The logs of RTMR1 and RTMR2 that follow from kernel, command line and initrd."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.dstack.image_logs import RTMR1_EVENTS, RTMR2_EVENTS, cmdline_digest, rtmr1_log, rtmr2_log
from twinproof.errors import Malformed


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["tdx-lite-getquote.json", "quote-report.json"])
def test_a_real_guest_logs_the_same_fixed_events_around_its_kernel_and_its_initrd(vectors: Path, name: str) -> None:
    answer = json.loads((vectors / "dstack/verifier" / name).read_text())
    log: EventLog = parse_event_log(answer["event_log"])
    kernel, command_line, initrd = log.of(1)[0], *log.of(2)
    assert rtmr1_log(kernel.digest) == tuple(event.digest for event in log.of(1))
    assert rtmr2_log(command_line.digest, initrd.digest) == tuple(event.digest for event in log.of(2))


def test_every_event_of_a_log_has_a_name() -> None:
    assert len(RTMR1_EVENTS) == len(rtmr1_log(bytes(48)))
    assert len(RTMR2_EVENTS) == len(rtmr2_log(bytes(48), bytes(48)))


def test_the_command_line_is_hashed_as_the_kernel_gets_it() -> None:
    expected = hashlib.sha384(b"a\x00 \x00i\x00n\x00i\x00t\x00r\x00d\x00=\x00i\x00n\x00i\x00t\x00r\x00d\x00\x00\x00")
    assert cmdline_digest("a") == expected.digest()


def test_a_command_line_that_no_kernel_can_get_is_malformed() -> None:
    with pytest.raises(Malformed, match="half a surrogate pair"):
        cmdline_digest("console=\ud800")


@pytest.mark.parametrize("size", [0, 32, 47, 49])
def test_a_digest_of_another_size_is_refused_and_never_padded(size: int) -> None:
    with pytest.raises(Malformed, match="wrong digest length"):
        rtmr1_log(bytes(size))
    with pytest.raises(Malformed, match="cmdline_sha384: wrong digest length"):
        rtmr2_log(bytes(size), bytes(48))
    with pytest.raises(Malformed, match="initrd_sha384: wrong digest length"):
        rtmr2_log(bytes(48), bytes(size))
