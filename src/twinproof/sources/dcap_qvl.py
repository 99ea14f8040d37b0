"""dcap-qvl as a second opinion: Phala's verifier in Rust, an optional package, in a process of its own.

A panic in dcap-qvl 0.7 aborts its whole process, and one is known (a trust root that is not issued by itself). So it is
asked over pipes; when the process ends or is silent for too long, that is no opinion, and the next question starts
another process.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.second_opinion import Accepts, HasNone, Opinion, Refuses
from twinproof.errors import UsageError
from twinproof.wire import shown

__all__ = ["DcapQvl"]

MAX_REASON_CHARS = 300
MAX_ANSWER_BYTES = 1 << 20
TIMEOUT_SECONDS = 30.0
_INSTALL = 'pip install "twinproof[second-opinion]"'
_OLDEST = (0, 7)  # docs/dcap-differences.md is about 0.7; earlier ones took other quotes, and other statuses, for good
_PROCESS = (sys.executable, "-P", "-m", "twinproof.sources.dcap_qvl_process")
_ATTRIBUTES = (
    "Debug mode is enabled",
    "TD profiling is enabled",
    "Reserved bits in TD attributes are set",
    "TD migration is enabled",
    "SERVTD_EXT is enabled",
    "SEPT_VE_DISABLE is not enabled",
    "Invalid MR service TD",
)


class DcapQvl:
    """Asks dcap-qvl; threads may share one. `close` ends its process.

    `command` and `timeout` are for tests. Raises UsageError when dcap-qvl is not installed, or too old.
    """

    def __init__(self, *, command: tuple[str, ...] = _PROCESS, timeout: float = TIMEOUT_SECONDS) -> None:
        self.name = f"dcap-qvl {_installed_version()}"
        self._command, self._timeout = command, timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def __call__(self, quote: bytes, collateral: Collateral, *, at: int, root: TrustRoot) -> Opinion:
        return self.ask(quote, json.dumps(collateral.to_json()), at=at, root=root)

    def ask(self, quote: bytes, collateral: str, *, at: int, root: TrustRoot) -> Opinion:
        """The same question with the text of a collateral file."""
        question = {
            "quote": quote.hex(),
            "collateral": collateral,
            "at": at,
            "root": None if root.is_intel else root.der.hex(),
        }
        with self._lock:
            try:
                answer = self._answer(json.dumps(question).encode() + b"\n")
            except TimeoutError:
                self.close(kill=True)
                return HasNone(f"no answer within {self._timeout:g} s")
            except (OSError, ValueError) as error:  # it closed a pipe, or wrote what is no answer
                return self._ended(str(error))
        if "refusal" in answer:
            return _refusal(str(answer["refusal"]))
        if "failure" in answer:
            return HasNone(_line(str(answer["failure"])))
        return Accepts(str(answer["status"]), frozenset(map(str, answer["advisory_ids"])))

    def _answer(self, question: bytes) -> dict[str, list[str]]:
        """Raises TimeoutError, OSError where the process ended, ValueError where it wrote something else."""
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves)
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        asked, answered = self._process.stdin, self._process.stdout
        if asked is None or answered is None:
            raise OSError("no pipes")
        for start in range(0, len(question), select.PIPE_BUF):  # a pipe that is ready takes so much without blocking
            if not select.select([], [asked], [], self._timeout)[1]:
                raise TimeoutError
            asked.write(question[start : start + select.PIPE_BUF])
        received = b""
        while not received.endswith(b"\n"):
            if not select.select([answered], [], [], self._timeout)[0]:
                raise TimeoutError
            some = answered.read(MAX_ANSWER_BYTES)
            if not some or len(received) > MAX_ANSWER_BYTES:
                raise BrokenPipeError
            received += some
        parsed: dict[str, list[str]] = json.loads(received)
        return parsed

    def _ended(self, problem: str) -> HasNone:
        """Why there is no answer; the next question goes to a new process."""
        if self._process is None:
            return HasNone(f"its process did not start: {_line(problem)}")
        code = self.close()
        return HasNone(f"it crashed (signal {-code})" if code < 0 else f"its process ended (exit code {code})")

    def close(self, *, kill: bool = False) -> int:
        """End the process: its exit code, negative for a signal, 0 when there is none."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        if kill:
            process.kill()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _installed_version() -> str:
    try:
        found = version("dcap-qvl")
    except PackageNotFoundError as error:
        raise UsageError("dcap-qvl is not installed", where="--second-opinion", hint=_INSTALL) from error
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if not numbers or (int(numbers[1]), int(numbers[2])) < _OLDEST:
        raise UsageError(
            "dcap-qvl is too old",
            where="--second-opinion",
            got=shown(found, 40),
            expected="0.7 or later",
            hint=_INSTALL,
        )
    return found


def _refusal(text: str) -> Refuses:
    reason = _line(text.removeprefix("Verification failed: "))
    return Refuses(reason, attributes=reason.startswith(_ATTRIBUTES))


def _line(text: str) -> str:
    """Its errors are paragraphs with causes, and may quote the evidence."""
    return shown(re.sub(r"\s+", " ", text).strip(), MAX_REASON_CHARS)
