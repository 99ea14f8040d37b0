"""The commands and their flags. Only argparse is imported here, so that `--help` is instant."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from twinproof.cli import archive_options, chain_options, deploy_options
from twinproof.cli.summary_signing import add_signing_flags
from twinproof.errors import UsageError

__all__ = ["COMMANDS", "usage_error"]

TARGET_HELP = (
    "a URL, a machine name of twinproof.toml, or a file: a quote (binary or hex), a GetQuote or Attest answer (JSON), "
    "a versioned attestation, an RA-TLS certificate, a saved /attestation or Info answer, or an evidence bundle"
)


def usage_error(program: str, message: str) -> UsageError:
    return UsageError(message, where=program, hint=f"{program} --help")


def _judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON on stdout, and nothing else there"
    )
    parser.add_argument("--explain", action="store_true", help="show the exact bytes that were hashed and compared")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page that needs no network, carries the evidence and verifies itself again in a browser",
    )
    parser.add_argument("--junit", metavar="FILE", help="also write the checks as JUnit XML, for CI")
    parser.add_argument(
        "--sarif", metavar="FILE", help="also write what failed and warned as SARIF, a rule per check id"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "vsa"),
        help="what to print: text (default), json (as --json), or vsa, an in-toto Statement with a SLSA Verification "
        "Summary",
    )
    add_signing_flags(parser)
    trust = parser.add_argument_group("what to trust")
    trust.add_argument(
        "--trust-root",
        metavar="FILE",
        help="verify against this root certificate (PEM or DER) instead of the Intel SGX Root CA; "
        "every report then says SIMULATED HARDWARE",
    )
    trust.add_argument(
        "--at",
        metavar="TIME",
        help="judge at this time (unix seconds or YYYY-MM-DDThh:mm:ssZ) instead of a bundle's own time, or now",
    )
    trust.add_argument(
        "--collateral",
        metavar="FILE",
        action="append",
        default=[],
        help="take CRLs, TCB info and QE identity from this JSON file instead of fetching them; may be repeated",
    )
    trust.add_argument(
        "--collateral-url", metavar="URL", help="fetch collateral from this PCS or PCCS (default: Intel's PCS)"
    )
    trust.add_argument("--no-cache", action="store_true", help="neither read nor write the collateral cache")
    trust.add_argument(
        "--second-opinion",
        action="store_true",
        help="also ask dcap-qvl (an optional package) about the quote; a disagreement is a failure",
    )
    wanted = parser.add_argument_group("what to expect")
    wanted.add_argument(
        "--expect",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="pin a value: image, compose_hash, app_id, kms_root, kms_contract (hex), chain_id, version, git_sha; may "
        "be repeated",
    )
    wanted.add_argument(
        "--require",
        metavar="NAME,...",
        action="append",
        default=[],
        help="fail (exit 4) when these were not checked: image, compose_hash, version, git_sha, app_id, kms_root, "
        "chain, fresh, machine, clock, advisories, tcb_evaluation, collateral_age, statement_age, or any check id",
    )
    wanted.add_argument(
        "--policy", metavar="FILE", help="take the [policy] table of this TOML file instead of twinproof.toml's"
    )
    wanted.add_argument(
        "--profile",
        choices=("strict", "intel"),
        help="what to want without a policy: strict (default), or no more than Intel's library does",
    )
    wanted.add_argument(
        "--accept-tcb",
        metavar="STATUS",
        action="append",
        default=[],
        help="accept this TCB status beside UpToDate, such as SWHardeningNeeded; may be repeated",
    )
    wanted.add_argument(
        "--min-tcb-evaluation", metavar="N", type=int, default=0, help="refuse collateral of an older TCB recovery"
    )
    wanted.add_argument(
        "--allow",
        metavar="RULE",
        action="append",
        default=[],
        help="weaken one report-attribute rule: debug, sept_ve_disable_clear, service_td; may be repeated",
    )
    network = parser.add_argument_group("how to ask")
    network.add_argument("--config", metavar="FILE", help="machine names and settings (default: ./twinproof.toml)")
    network.add_argument(
        "--app-compose", metavar="FILE", help="the app-compose.json bytes, where the evidence lacks them"
    )
    network.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=30.0, help="for each request (default: 30)"
    )
    network.add_argument("--ca-file", metavar="FILE", help="certificate authorities for TLS (default: the system's)")
    network.add_argument(
        "--ra-tls",
        action="store_true",
        help="where there is no /attestation, take the quote from the TLS certificate itself; certificate names are "
        "then not verified, the quote is; https only",
    )
    network.add_argument("--save", metavar="DIR", help="write each instance's evidence bundle into this directory")
    chain = parser.add_argument_group("the chain")
    chain_options.endpoints(chain)
    chain_options.proof(chain)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL|FILE", nargs="?", help=TARGET_HELP)
    batch = parser.add_argument_group("many at once")
    batch.add_argument(
        "--batch",
        metavar="DIR|FILE.jsonl|-",
        help="instead of one target: every file of a directory, or every line of a file or of standard input; one line "
        "of output for each, in order; nothing is fetched",
    )
    batch.add_argument("--jobs", metavar="N", type=int, help="worker processes of --batch (default: one per CPU)")
    _judging(parser)


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", metavar="URL|FILE", nargs="+", help=f"two or more of: {TARGET_HELP}")
    parser.add_argument(
        "--interval", metavar="SECONDS", type=float, default=300.0, help="from one round to the next (default: 300)"
    )
    parser.add_argument(
        "--rounds", metavar="N", type=int, help="end after so many rounds, with the last one's exit code"
    )
    parser.add_argument("--archive", metavar="DIR", help="add the evidence of every round to this archive")
    parser.add_argument("--webhook", metavar="URL", help="post a JSON object here when the verdict changes")
    parser.add_argument(
        "--command", metavar="COMMAND", dest="notify", help="run this, the JSON on its input, when the verdict changes"
    )
    _judging(parser)


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "check", metavar="CHECK_ID", nargs="?", help="such as dcap.pck_chain (default: list all of them)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="print what this shell reads")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", metavar="URL|FILE", nargs="+", help=f"two or more of: {TARGET_HELP}")
    _judging(parser)


def _inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file as for verify; - reads standard input")
    parser.add_argument("--json", action="store_true", help="print the structure as JSON")


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a saved GetKey or Sign answer of the guest agent (JSON); - reads standard input"
    )
    parser.add_argument(
        "--app-id",
        metavar="HEX",
        required=True,
        help="the app's id, 20 bytes, from a source that was verified, such as the verdict of `verify`",
    )
    parser.add_argument(
        "--kms-root",
        metavar="HEX",
        help="the secp256k1 key that the chain has to end at: kmsInfo().k256Pubkey of the KMS contract; without it "
        "nothing is proved (exit 4)",
    )
    parser.add_argument("--purpose", metavar="TEXT", help="what GetKey was asked with (default: none; Sign: signing)")
    parser.add_argument(
        "--algorithm",
        metavar="NAME",
        help="what was asked for, where the answer does not say: secp256k1 (default), secp256k1_prehashed, ed25519",
    )
    parser.add_argument("--data", metavar="FILE", help="what Sign was given: its signature is verified too")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON on stdout, and nothing else there"
    )
    parser.add_argument("--explain", action="store_true", help="show what was hashed and compared")


def _bump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", choices=("major", "minor", "patch"), metavar="major|minor|patch", help="what to raise")
    parser.add_argument("--dry-run", action="store_true", help="show everything, change nothing")


def _changelog(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="old", metavar="TAG", help="only what came after this version")
    parser.add_argument("--to", dest="new", metavar="TAG", help="only up to this version (default: HEAD)")
    parser.add_argument("--check", action="store_true", help="exit 4 unless CHANGELOG.md is exactly this text")


def _compose(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="hash|diff|check", required=True, parser_class=type(parser))
    rendered = actions.add_parser("hash", help="render the app-compose text that is deployed, and print its hash")
    rendered.add_argument(
        "--image-digest", metavar="DIGEST", required=True, help="sha256:<64 hex> of the image that was built and pushed"
    )
    rendered.add_argument(
        "--output", metavar="FILE", help="keep the exact bytes here; a file that holds another text is refused"
    )
    compared = actions.add_parser("diff", help="say what changed between two versions, and whether the hash changes")
    compared.add_argument("old", metavar="OLD", help="a tag such as v1.1.0, or a file with an app-compose text")
    compared.add_argument("new", metavar="NEW", help="the same")
    for part in (rendered, compared):
        part.add_argument(
            "--environment", metavar="NAME", default="production", help="the measured environment (default: production)"
        )
    checked = actions.add_parser("check", help="refuse tags, values of one machine, secrets and unknown keys")
    checked.add_argument("file", metavar="FILE", help="an app-compose text")
    for part in (rendered, compared, checked):
        part.add_argument("--config", metavar="FILE", help="settings and machine names (default: ./twinproof.toml)")
        part.add_argument("--json", action="store_true", help="print the result as JSON")


def _release(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action",
        metavar="check|build|publish|notes|github|attested|wheel",
        required=True,
        parser_class=type(parser),
    )
    check = actions.add_parser("check", help="refuse a tag that is not this version on the release branch")
    check.add_argument("--commit", metavar="SHA", help="the commit that the tag has to be at, such as GITHUB_SHA")
    build = actions.add_parser("build", help="build the image of a commit reproducibly, and print its digest")
    build.add_argument("--push", action="store_true", help="push it to its registry, by digest and without a tag")
    build.add_argument("--twice", action="store_true", help="build it twice; another digest is exit 4")
    publish = actions.add_parser("publish", help="give a pushed image its tags; one that has other content is exit 4")
    publish.add_argument("--tag", metavar="TAG", help="also the version's tag, :X.Y.Z beside :<commit>")
    notes = actions.add_parser("notes", help="print what the GitHub Release of a version says")
    github = actions.add_parser("github", help="make the GitHub Release of a version, or complete it")
    attested = actions.add_parser("attested", help="refuse an image that this repository's build did not attest")
    wheel = actions.add_parser("wheel", help="build the enclave's wheel from two clones; different bytes are exit 4")
    wheel.add_argument("--output", metavar="DIR", help="keep the wheel in this directory")
    for part in (check, notes, github, attested):
        part.add_argument("tag", metavar="TAG", help="a version's tag, such as v1.1.0")
    for part in (build, publish, wheel):
        part.add_argument("--commit", metavar="REVISION", default="HEAD", help="the commit (default: HEAD)")
    for part in (publish, notes, github, attested):
        part.add_argument(
            "--image-digest", metavar="DIGEST", required=part is not notes, help="sha256:<64 hex> of the image"
        )
    for part in (notes, github):
        part.add_argument(
            "--app-compose", metavar="FILE", required=part is github, help="the version's app-compose text, to publish"
        )
    for part in (check, build, github):
        part.add_argument("--outputs", metavar="FILE", help="append NAME=VALUE lines here, such as to GITHUB_OUTPUT")


def _image(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="measure|list", required=True, parser_class=type(parser))
    measure = actions.add_parser("measure", help="compute an image's registers, and print its entry for the policy")
    measure.add_argument(
        "image", metavar="DIR|TARBALL", help="the image's folder, or its .tar or .tar.gz, which is not unpacked"
    )
    measure.add_argument(
        "--memory",
        metavar="MIB",
        type=int,
        action="append",
        default=[],
        help="also record RTMR1 of VMs of this memory size, below 2816 and other than 2048; may be repeated",
    )
    listed = actions.add_parser("list", help="show the images that the policy allows, one per line")
    listed.add_argument("--config", metavar="FILE", help="the file with [policy] (default: ./twinproof.toml)")
    listed.add_argument("--policy", metavar="FILE", help="take the [policy] table of this TOML file instead")
    listed.set_defaults(profile=None)
    for part in (measure, listed):
        part.add_argument("--json", action="store_true", help="print the result as JSON")


def _chain(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="allow|add-device|deploy-app", required=True, parser_class=type(parser)
    )
    allow = actions.add_parser("allow", help="allow a compose hash, once")
    device = actions.add_parser("add-device", help="allow a machine, once")
    deploy = actions.add_parser("deploy-app", help="deploy an app's contract through the KMS's factory")
    for part in (allow, device):
        part.add_argument("app_id", metavar="APP_ID", help="the app's contract, 20 bytes")
    device.add_argument("device", metavar="DEVICE", help="a device id, 32 bytes, or a machine of twinproof.toml")
    deploy.add_argument("--kms", metavar="ADDRESS", help="the DstackKms contract (default: kms of [chain])")
    deploy.add_argument(
        "--device", metavar="DEVICE", required=True, help="the first machine: a device id, or a name of twinproof.toml"
    )
    deploy.add_argument("--owner", metavar="ADDRESS", help="who may change the app (default: who signs)")
    deploy.add_argument("--disable-upgrades", action="store_true", help="freeze the contract's code for ever")
    deploy.add_argument("--require-tcb", action="store_true", help="refuse keys to platforms that are not UpToDate")
    deploy.add_argument("--allow-any-device", action="store_true", help="let every machine have the app's keys")
    deploy.add_argument("--another", action="store_true", help="deploy one more, though the same app is there already")
    for part in (allow, deploy):
        part.add_argument(
            "--app-compose", metavar="FILE", help="the exact app-compose.json bytes; their hash is allowed"
        )
        part.add_argument("--compose-hash", metavar="HEX", help="the hash that is expected, or all there is of it")
    for part in (allow, device, deploy):
        _writing(part)


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="show the transaction and send nothing; needs no key")
    parser.add_argument(
        "--wait",
        choices=("mined", "finalized"),
        default="mined",
        help="how far to wait: for its block (default), or until that block is final",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    chain_options.signing(parser)
    cost = parser.add_argument_group("what it may cost")
    cost.add_argument("--gas", metavar="N", type=int, help="gas limit (default: what is estimated and a fifth more)")
    cost.add_argument("--max-cost", metavar="ETH", default="0.01", help="refuse to pay more (default: 0.01)")
    network = parser.add_argument_group("where")
    chain_options.endpoints(network)
    network.add_argument("--config", metavar="FILE", help="settings and machine names (default: ./twinproof.toml)")
    network.add_argument("--timeout", metavar="SECONDS", type=float, default=180.0, help="for the block (default: 180)")
    network.add_argument("--ca-file", metavar="FILE", help="certificate authorities for TLS (default: the system's)")


def _devnet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="up | push | demo | faults | corpus; everything after `devnet` goes to the simulated world",
    )


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "compare": ("prove that two or more instances run the same code", _compare),
    "verify": ("verify the evidence of one instance", _verify),
    "inspect": ("show what is in a file, without trusting it", _inspect),
    "key": ("prove that the KMS handed out a key, from a GetKey or Sign answer", _key),
    "bump": ("make the next version: files, changelog, commit and tag, or nothing at all", _bump),
    "changelog": ("write the changelog from the commits", _changelog),
    "compose": ("render, compare and check what is deployed", _compose),
    "release": ("check, build and publish a version, as the workflows do", _release),
    "image": ("measure OS images, and show those that the policy allows", _image),
    "deploy": ("deploy a version to its machines, and wait until each attests it", deploy_options.add_deploy),
    "status": ("compare what is attested, allowed on chain and recorded", deploy_options.add_status),
    "ci": ("what a workflow runs: deploy, prove, record", deploy_options.add_ci),
    "deployments": (
        "verify and render the deployment records, or judge a table of old ones",
        deploy_options.add_deployments,
    ),
    "history": (
        "show everything that was ever allowed to run as an app, and what of it is published",
        chain_options.history,
    ),
    "power": ("show who can change what runs as an app, and how fast", chain_options.power),
    "chain": ("allow a version or a machine on chain, or deploy an app's contract", _chain),
    "watch": ("repeat a comparison, and tell when its verdict changes", _watch),
    "explain": ("say what a check proves, and what an attacker gains without it", _explain),
    "completion": ("print the completion of a shell", _completion),
    "archive": ("keep evidence, and take it out again, byte for byte", archive_options.add_archive),
    "audit": ("judge everything in an archive again, each at its own time", archive_options.add_audit),
    "serve": ("show an archive as read-only pages", archive_options.add_serve),
    "devnet": ("start the simulated world (not Intel, no hardware)", _devnet),
}
