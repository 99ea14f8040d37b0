"""Flags of the commands about evidence. Only argparse is imported, so that `--help` is instant."""

from __future__ import annotations

import argparse

from twinproof.cli import usual_options
from twinproof.cli.judging_options import judging, reporting

__all__ = ["add_compare", "add_inspect", "add_key", "add_verify", "add_watch"]

TARGET_HELP = (
    "a URL, a machine name of twinproof.toml, or a file: a quote (binary or hex), a GetQuote or Attest answer (JSON), "
    "a versioned attestation, an RA-TLS certificate, a saved /attestation or Info answer, or an evidence bundle"
)


def add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", metavar="URL|FILE", nargs="+", help=f"two or more of: {TARGET_HELP}")
    reporting(parser)
    judging(parser)


def add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL|FILE", nargs="?", help=TARGET_HELP)
    batch = parser.add_argument_group("many at once")
    batch.add_argument(
        "--batch",
        metavar="DIR|FILE.jsonl|-",
        help="instead of one target: every file of a directory, or every line of a file or of standard input; one line "
        "of output for each, in order; nothing is fetched",
    )
    batch.add_argument("--jobs", metavar="N", type=int, help="worker processes of --batch (default: one per CPU)")
    reporting(parser)
    judging(parser)


def add_watch(parser: argparse.ArgumentParser) -> None:
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
    judging(parser)


def add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file as for verify; - reads standard input")
    parser.add_argument("--json", action="store_true", help="print the structure as JSON")


def add_key(parser: argparse.ArgumentParser) -> None:
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
    usual_options.as_json(parser)
    parser.add_argument("--explain", action="store_true", help="show what was hashed and compared")
