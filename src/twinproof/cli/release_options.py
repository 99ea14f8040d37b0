"""Flags of the commands that make a version. Only argparse is imported, so that `--help` is instant."""

from __future__ import annotations

import argparse

from twinproof.cli import usual_options

__all__ = ["add_bump", "add_changelog", "add_compose", "add_image", "add_release"]


def add_bump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", choices=("major", "minor", "patch"), metavar="major|minor|patch", help="what to raise")
    parser.add_argument("--dry-run", action="store_true", help="show everything, change nothing")


def add_changelog(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="old", metavar="TAG", help="only what came after this version")
    parser.add_argument("--to", dest="new", metavar="TAG", help="only up to this version (default: HEAD)")
    parser.add_argument("--check", action="store_true", help="exit 4 unless CHANGELOG.md is exactly this text")


def add_compose(parser: argparse.ArgumentParser) -> None:
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
        usual_options.config(part)
        usual_options.as_json(part)


def add_release(parser: argparse.ArgumentParser) -> None:
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


def add_image(parser: argparse.ArgumentParser) -> None:
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
    usual_options.config(listed)
    usual_options.policy(listed)
    listed.set_defaults(profile=None)
    for part in (measure, listed):
        usual_options.as_json(part)
