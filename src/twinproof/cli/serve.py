"""`twinproof serve ARCHIVE`: pages over an archive, on loopback unless another address is named.

Read-only, but for the re-check of `--instance`, which needs a token.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from twinproof.cli.settings import read_settings
from twinproof.errors import Malformed, UsageError
from twinproof.release.history_file import HistoryFile, parse_history
from twinproof.sources import clock
from twinproof.sources.archive.store import Archive
from twinproof.sources.files import read_file
from twinproof.verifier import Verifier
from twinproof.wire import shown

__all__ = ["run"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def run(arguments: argparse.Namespace) -> int:
    try:
        import uvicorn

        from twinproof.cli.rechecking import rechecking
        from twinproof.web.app import make_app
        from twinproof.web.site import Site
    except ImportError as error:
        raise UsageError("pages need Starlette, Jinja2 and uvicorn", hint="pip install 'twinproof[web]'") from error
    settings = read_settings(arguments)
    if not 0 <= arguments.port <= 65535:
        raise UsageError("not a port", where="--port", got=str(arguments.port))
    with Archive(arguments.archive):
        pass  # what is wrong with it is told before anything is served
    verifier = Verifier(roots=settings.roots, policy=settings.policy)
    recheck, token = rechecking(arguments, settings, verifier)
    for name in arguments.history:
        read_history(name)  # what is wrong with it is told before anything is served
    site = Site(
        folder=arguments.archive,
        verifier=verifier,
        max_age=arguments.max_age,
        clock=clock.now,
        recheck=recheck,
        histories=lambda: tuple(read_history(name) for name in arguments.history),
    )
    app = make_app(site, hosts=[*LOOPBACK, "[::1]", arguments.host, *arguments.name])
    with _listening(arguments.host, arguments.port) as listener:
        port = listener.getsockname()[1]
        where = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        print(f"http://{where}:{port}/", flush=True)
        if token:
            print(f"twinproof: a re-check needs a token: http://{where}:{port}/recheck#token={token}", file=sys.stderr)
        if arguments.host not in LOOPBACK:
            print("twinproof: everybody who reaches this address can read the archive", file=sys.stderr)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def read_history(name: str) -> HistoryFile:
    """What `twinproof history --json` wrote. Raises UsageError."""
    try:
        return parse_history(read_file(name, "--history", max_bytes=64 << 20), Path(name).name)
    except Malformed as error:
        raise UsageError(f"not a history: {error}", where=f"--history {shown(name)}") from error


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"cannot listen: {error.strerror}", where=f"{shown(host)}:{port}") from error
