"""One release and its upgrade on two machines, from `devnet up` to the lies that are caught."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

from twinproof_devnet.chain.governance import AppContract
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.cloud.command import announcement
from twinproof_devnet.cloud.world import CloudWorld
from twinproof_devnet.collateral import utc
from twinproof_devnet.faults import Fault
from twinproof_devnet.front import Front
from twinproof_devnet.stopping import told_to_stop
from twinproof_devnet.story.shell import Shell
from twinproof_devnet.story.toy_repository import BRANCH, ToyRepository

__all__ = ["run"]

MACHINES = ("prod9", "prod7")
SIGNUPS = {"prod9": 5, "prod7": 3}
ENVIRONMENT = "devnet"
NOT_GENUINE, DIFFERENT = 3, 4
REPORT = Path("build/demo.html")
_SECONDS = 30.0
_BLOCK_SECONDS = 1.0
_DEPTHS = Depths(safe=1, finalized=2)
"""Seconds instead of minutes: nobody waits for a demo."""


def run(*, keep: bool = False) -> int:
    """0 when everything ended as it should. `keep` waits for Ctrl-C before the world ends."""
    with tempfile.TemporaryDirectory(prefix="twinproof-") as name:
        directory = Path(name)
        with CloudWorld.start(
            MACHINES, block_seconds=_BLOCK_SECONDS, depths=_DEPTHS, directory=directory / "devnet"
        ) as world:
            story = Story(world, ToyRepository(directory, world.config_path.read_text(encoding="utf-8")))
            started = time.monotonic()
            story.tell()
            ended = story.shell.ended
            print()
            count = f"{sum(ended)} of {len(ended)}" if not all(ended) else f"All {len(ended)}"
            print(f"{count} commands and statements ended as they should.")
            print(f"The proof as a page that a browser verifies again, without a network: {REPORT.resolve().as_uri()}")
            if keep:
                story.leave_running(time.monotonic() - started)
    return 0 if all(ended) else 1


class Story:
    """`shell` works in the team's repository, with the cloud's key in its environment."""

    def __init__(self, world: CloudWorld, repository: ToyRepository) -> None:
        self.world, self.repository = world, repository
        self.shell = Shell(
            repository.top,
            {
                **repository.environment,
                "PHALA_CLOUD_API_PREFIX": world.service.url,
                "PHALA_CLOUD_API_KEY": world.key,
                "XDG_CACHE_HOME": str(world.directory / "cache"),
                "XDG_STATE_HOME": str(world.directory / "state"),
            },
        )
        self.digests: dict[str, str] = {}

    def tell(self) -> None:
        self.first_release()
        keys = self.sign_up()
        self.next_version()
        self.half_upgraded()
        self.whole_upgrade(keys)
        self.proof()
        self.memory()
        self.lies()

    @property
    def urls(self) -> dict[str, str]:
        """Of the instances, by machine, in the order of MACHINES."""
        found = {cvm.node.name: cvm.instance.url for cvm in self.world.fleet.cvms}
        return {name: found[name] for name in MACHINES}

    @property
    def app_id(self) -> str:
        return self.world.fleet.cvms[0].app_id.hex()

    def build(self, version: str) -> None:
        """What CI does with a tag: an image named by its content, and the text that will be measured."""
        sha = self.repository.git("rev-parse", "HEAD")
        built_at = utc(int(self.repository.git("show", "-s", "--format=%ct", "HEAD")))
        push = ("twinproof", "devnet", "push", str(self.world.registry.directory), "--checkout", ".")
        out = self.shell.run(*push, "--git-sha", sha, "--build-time", built_at)
        self.digests[version] = out.strip()
        text = ("--image-digest", self.digests[version], "--environment", ENVIRONMENT)
        self.shell.run("twinproof", "compose", "hash", *text, "--output", f"build/v{version}.json")

    def deploy(self, command: tuple[str, ...], version: str, machines: str = ",".join(MACHINES)) -> None:
        where = ("--machines", machines, "--environment", ENVIRONMENT, "--key-file", str(self.world.owner_key_path))
        what = ("--tag", f"v{version}", "--image-digest", self.digests[version])
        trust = ("--trust-root", str(self.world.root_path), "--poll", "0.3")
        self.shell.run("twinproof", *command, *what, *where, *trust, show="err")
        self.until_final()

    def until_final(self) -> None:
        """What was sent can no longer be taken back."""
        ledger = self.world.contracts.chain.ledger
        sent = ledger.head.number
        while ledger.number_of("finalized") < sent:
            time.sleep(_BLOCK_SECONDS / 4)

    def compare(self, *urls: str) -> tuple[str, ...]:
        return ("twinproof", "compare", *(urls or self.urls.values()), "--trust-root", str(self.world.root_path))

    def first_release(self) -> None:
        shell = self.shell
        shell.title("The devnet: two simulated TDX machines, a cloud and a chain. Nothing of it is Intel's or Base's")
        for line in announcement(self.world)[: len(MACHINES) + 4]:
            print(f"  {line}")
        shell.title("v1.0.0: the image is built, one contract is deployed, both machines get keys from it")
        self.build("1.0.0")
        self.deploy(("ci", "deploy"), "1.0.0")
        self.repository.git("pull", "-q", "--rebase")

    def sign_up(self) -> dict[str, object]:
        """The app's public key on each machine."""
        self.shell.title("People sign up; each instance counts for itself")
        keys = {}
        for name, url in self.urls.items():
            for _ in range(SIGNUPS[name]):
                _post(f"{url}/signup")
            counted = _get(f"{url}/signup-count")
            keys[name] = counted["publicKey"]
            self.shell.hold(f"{name}: {counted['count']} signups", true=counted["count"] == SIGNUPS[name])
        return keys

    def next_version(self) -> None:
        shell = self.shell
        shell.title("A developer adds a feature and makes the next version")
        print(f'$ git commit -m "{self.repository.add_feature()}"\n')
        shell.run("scripts/bump-version.sh", "minor")
        self.repository.git("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
        shell.title("The compose hash changes, and why")
        self.build("1.1.0")
        shell.run("twinproof", "compose", "diff", "build/v1.0.0.json", "build/v1.1.0.json", expected=DIFFERENT)

    def half_upgraded(self) -> None:
        self.shell.title("Half an upgrade, on purpose: prod9 gets v1.1.0, prod7 stays behind, and the proof fails")
        self.deploy(("deploy",), "1.1.0", "prod9")
        self.shell.caught(*self.compare(), expected=DIFFERENT)

    def whole_upgrade(self, keys: dict[str, object]) -> None:
        self.shell.title("The whole upgrade: prod7 follows, both are proved, and the records are written and pushed")
        self.deploy(("ci", "deploy"), "1.1.0")
        self.repository.git("pull", "-q", "--rebase")
        for name, url in self.urls.items():
            counted = _get(f"{url}/signup-count")
            self.shell.hold(f"{name}: the counter is {counted['count']} again", true=counted["count"] == 0)
            same = counted["publicKey"] == keys[name]
            self.shell.hold(f"{name}: the app's key is the one it had before the upgrade", true=same)
        self.shell.hold("both machines have the same key", true=len(set(keys.values())) == 1)

    def proof(self) -> None:
        for name, url in self.urls.items():
            for _ in range(SIGNUPS[name]):
                _post(f"{url}/signup")
        self.shell.title("The proof: both machines asked with fresh nonces, the chain's word proved")
        REPORT.parent.mkdir(exist_ok=True)
        self.shell.run(*self.compare(), "--proof")
        self.shell.quietly(*self.compare(), "--proof", "--html", str(REPORT.resolve()))

    def memory(self) -> None:
        shell = self.shell
        shell.title("What was written down: DEPLOYMENTS.md, every row held against chain and evidence")
        print((self.repository.top / "DEPLOYMENTS.md").read_text(encoding="utf-8"))
        shell.run("twinproof", "deployments", "verify", "--trust-root", str(self.world.root_path))
        shell.title("The public memory: everything that was ever allowed to run as this app")
        shell.run(*self.history())

    def history(self) -> tuple[str, ...]:
        return ("twinproof", "history", self.app_id, "--published", "build", "--proof")

    def lies(self) -> None:
        first, second = self.urls.values()
        for title, fault in (
            ("Lie 1: prod7 replays an answer that was genuine once", Fault.REPLAYED_QUOTE),
            ("Lie 2: prod7 shows another app-compose than the one that was measured", Fault.SWAPPED_COMPOSE),
        ):
            self.shell.title(title)
            with closing(Front(second, fault)) as front:
                _get(f"{front.url}/attestation?nonce={'00' * 32}")  # the answer that a replay keeps
                self.shell.caught(*self.compare(first, front.url), expected=NOT_GENUINE)
        self.shell.title("Lie 3: a hash is allowed that nobody published, and one endpoint hides it")
        chain = self.world.contracts.chain
        AppContract(chain, bytes.fromhex(self.app_id), self.world.owner).allow_dark_hash()
        self.until_final()
        self.world.switch(Fault.MISSING_LOGS, "rpc1")
        self.shell.run(*self.history(), expected=DIFFERENT)
        self.world.switch(Fault.MISSING_LOGS, "rpc1", on=False)
        self.shell.title("Lie 4: one machine poses as two")
        self.world.switch(Fault.SAME_MACHINE_TWICE, "prod7")
        self.world.fleet.settle()
        self.shell.caught(*self.compare(), expected=DIFFERENT)
        self.world.switch(Fault.SAME_MACHINE_TWICE, "prod7", on=False)
        self.world.fleet.settle()

    def leave_running(self, seconds: float) -> None:
        """Until Ctrl-C."""
        stop = told_to_stop()
        self.repository.name_urls(self.urls)
        self.shell.title(f"The world goes on (after {seconds:.0f} s); Ctrl-C ends it")
        for name, url in self.urls.items():
            print(f"{name:<12} {url}")
        for line in announcement(self.world)[len(MACHINES) :]:
            print(line)
        print(f"\ncd {self.repository.top} && {shlex.join(self.compare(*MACHINES))}", flush=True)
        stop.wait()


def _post(url: str) -> None:
    _answer(urllib.request.Request(url, method="POST"))  # noqa: S310  (our own instances, on loopback)


def _get(url: str) -> dict[str, object]:
    return _answer(urllib.request.Request(url))  # noqa: S310  (as above)


def _answer(request: urllib.request.Request) -> dict[str, object]:
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  (as above)
        found: dict[str, object] = json.load(answer)
        return found
