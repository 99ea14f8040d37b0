"""`make demo`: the main job on simulated machines, then four lies, each caught, with its exit code; then a page."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from textwrap import wrap

from twinproof_devnet.faults import Fault, FaultAt
from twinproof_devnet.front import Front
from twinproof_devnet.world import World

__all__ = ["run"]

MACHINES = ("prod9", "prod7")
SIGNUPS = {"prod9": 5, "prod7": 3}
PROVED, NOT_GENUINE, DIFFERENT = 0, 3, 4
TIME_LIMIT_SECONDS = 120
REPORT = Path("build/demo.html")


def run() -> int:
    """0 when everything ended as it should."""
    _title("The devnet: prod9 and prod7, simulated TDX machines under a root that is not Intel's")
    with World.start(MACHINES, chain=True, endpoints=3) as world:
        for name in MACHINES:
            url = world.instances[name].url
            for _ in range(SIGNUPS[name]):
                _post(f"{url}/signup")
            print(f"  {name}  {url}  {SIGNUPS[name]} signups")
        urls = [world.instances[name].url for name in MACHINES]
        _title("The proof: both machines, asked with fresh nonces, and the chain at three endpoints")
        code = _twinproof([*_command(world, urls), "--proof"])
        ended = [_expect(code, PROVED)]
        for title, fault in (
            ("Lie 1: prod7 replays an answer that was genuine once", Fault.REPLAYED_QUOTE),
            ("Lie 2: prod7 shows another app-compose than the one that was measured", Fault.SWAPPED_COMPOSE),
        ):
            _title(title)
            with closing(Front(urls[1], fault)) as front:
                _get(f"{front.url}/attestation?nonce={'00' * 32}")  # the answer that a replay keeps
                ended.append(_lie(world, [urls[0], front.url], NOT_GENUINE))
        _title("The log: everything that could ever run as this app")
        ended.append(_expect(_twinproof(_history(world)), PROVED))
        _title("Lie 3: a hash is allowed that nobody published, and one endpoint hides it")
        world.chain.allow_dark_hash()
        world.chain.finalize()
        world.switch(Fault.MISSING_LOGS, "rpc1")
        ended.append(_expect(_twinproof(_history(world)), DIFFERENT))
        world.switch(Fault.MISSING_LOGS, "rpc1", on=False)
        REPORT.parent.mkdir(exist_ok=True)
        page = [*_command(world, urls), "--proof", "--html", str(REPORT)]
        written = subprocess.run(_process(page), check=False, timeout=TIME_LIMIT_SECONDS, capture_output=True)  # noqa: S603
        ended.append(written.returncode == PROVED)
    _title("Lie 4: one machine poses as two")
    with World.start(MACHINES, faults=[FaultAt(Fault.SAME_MACHINE_TWICE, "prod7")]) as world:
        urls = [world.instances[name].url for name in MACHINES]
        ended.append(_lie(world, urls, DIFFERENT, labelled=False))
    print()
    print("All of it ended as it should." if all(ended) else "NOT AS EXPECTED: see above.")
    print(f"The proof as a page that a browser verifies again, without a network: {REPORT.resolve().as_uri()}")
    return 0 if all(ended) else 1


def _command(world: World, urls: Sequence[str], *, labelled: bool = True) -> list[str]:
    """What a user would type. Without labels, nothing but the evidence can tell the machines apart."""
    command = ["twinproof", "compare", *urls, "--trust-root", str(world.root_path)]
    if labelled:
        return [*command, "--config", str(world.config_path)]
    return [*command, "--collateral-url", world.collateral_url]


def _history(world: World) -> list[str]:
    """As a user asks who has the app-compose files of the releases in a folder."""
    folder = world.directory / "releases"
    file = folder / "v1.0.0" / "app-compose.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(world.instances[MACHINES[0]].vm.app_compose, encoding="utf-8")
    app = f"0x{world.chain.app_id.hex()}"
    return ["twinproof", "history", app, "--config", str(world.config_path), "--published", str(folder), "--proof"]


def _twinproof(command: Sequence[str]) -> int:
    print(f"$ {shlex.join(command)}\n", flush=True)
    return subprocess.run(_process(command), check=False, timeout=TIME_LIMIT_SECONDS).returncode  # noqa: S603


def _process(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", *command, "--no-cache"]


def _lie(world: World, urls: Sequence[str], expected: int, *, labelled: bool = True) -> bool:
    command = _command(world, urls, labelled=labelled)
    print(f"$ {shlex.join(command)}\n", flush=True)
    done = subprocess.run(  # noqa: S603  (our own command)
        [*_process(command), "--json"], check=False, timeout=TIME_LIMIT_SECONDS, capture_output=True
    )
    if done.returncode not in (PROVED, NOT_GENUINE, DIFFERENT):
        print((done.stderr + done.stdout).decode("utf-8", "replace"))
        return _expect(done.returncode, expected)
    proof = json.loads(done.stdout)
    print(f"  {proof['outcome']}")
    checks = [check for instance in proof["instances"] for check in instance["checks"]] + proof["checks"]
    for check in checks:
        if check["status"] == "fail" and check["id"] != "compare.genuine":
            text = f"caught by {check['id']}: {check['reason']}"
            print("\n".join(wrap(text, 78, initial_indent="  ", subsequent_indent="    ")))
    return _expect(done.returncode, expected)


def _expect(code: int, expected: int) -> bool:
    print(f"\n  exit code {code}" + ("" if code == expected else f", EXPECTED {expected}"), flush=True)
    return code == expected


def _title(text: str) -> None:
    print(f"\n=== {text}\n", flush=True)


def _post(url: str) -> None:
    _open(urllib.request.Request(url, method="POST"))  # noqa: S310  (our own instances on loopback)


def _get(url: str) -> None:
    _open(urllib.request.Request(url))  # noqa: S310  (as above)


def _open(request: urllib.request.Request) -> None:
    with urllib.request.urlopen(request, timeout=TIME_LIMIT_SECONDS) as answer:  # noqa: S310  (as above)
        answer.read()
