"""`twinproof inspect`: what is in a file, without trusting it."""

from __future__ import annotations

import argparse
import json

from twinproof.cli.output import style_of
from twinproof.evidence.carrier import unpack
from twinproof.report.inspect_text import inspect_json, inspect_text
from twinproof.sources.files import load_evidence

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    evidence = load_evidence(arguments.file)
    carried = unpack(evidence)
    if arguments.json:
        print(json.dumps(inspect_json(evidence, carried), indent=1))
    else:
        print(inspect_text(evidence, carried, style_of()), end="")
    return 0
