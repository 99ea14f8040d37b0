"""On what a run was made, in words that fit a class of machines, and with which versions."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

__all__ = ["machine", "versions"]

_PACKAGES = ("cryptography", "dcap-qvl", "twinproof")


def machine() -> str:
    """Number and kind of processors, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    kind = f"{_processor()} ({platform.machine()})"
    return f"{os.cpu_count()} virtual CPUs of an {kind}, {memory:.0f} GiB, {platform.system()}, shared with other work"


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
