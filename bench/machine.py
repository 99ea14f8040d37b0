"""On what a run was made, in words that fit a class of machines, and with which versions."""

from __future__ import annotations

import os
import platform
import ssl
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

__all__ = ["OtherWork", "machine", "versions"]

_TICKS = os.sysconf("SC_CLK_TCK")  # of /proc/stat, per second
_IDLE = (3, 4)  # its columns of processors that do nothing: idle, and waiting for a disk
_COUNTED = 8  # columns; guests stand in the first ones too
_PACKAGES = ("cryptography", "dcap-qvl", "twinproof")


def machine() -> str:
    """Number and kind of processors, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    kind = f"{_processor()} ({platform.machine()})"
    return f"{os.cpu_count()} virtual CPUs of an {kind}, {memory:.0f} GiB, {platform.system()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unnamed processor"


def versions() -> dict[str, str]:
    found = {"CPython": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["OpenSSL of cryptography"] = backend.openssl_version_text().split()[1]
    found["OpenSSL of CPython"] = ssl.OPENSSL_VERSION.split()[1]
    return found


class OtherWork:
    """How much of the processors something else took since this was made: what makes a run less sure than it looks."""

    def __init__(self) -> None:
        self._start = (time.monotonic(), _busy(), _own())

    def share(self) -> float:
        """0 to 1, of all processors; children of this process count once they have ended."""
        start, busy, own = self._start
        others = (_busy() - busy) - (_own() - own)
        available = (time.monotonic() - start) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, others / available))


def _busy() -> float:
    """Seconds of all processors and everybody, what the host took away included; 0 where the system does not say."""
    try:
        columns = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1 : 1 + _COUNTED]
    except OSError:
        return 0.0
    return sum(int(ticks) for column, ticks in enumerate(columns) if column not in _IDLE) / _TICKS


def _own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
