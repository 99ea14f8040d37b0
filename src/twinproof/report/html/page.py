"""`--html FILE`: one self-contained page: the verdict, the proof behind it, the evidence, a script that repeats it.

Jinja2 escapes every value; what is put in unescaped is this package's own style and script, and JSON in which no markup
can begin. A Content-Security-Policy names the hashes of both and forbids everything else: the page cannot load, send or
run anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from twinproof.comparison import Proof
from twinproof.errors import UsageError
from twinproof.report.html.content import content_of, visible
from twinproof.report.html.embedded import Block, evidence_blocks, tool_block
from twinproof.report.html.graph import HEIGHT, NAMES, WIDTH
from twinproof.report.outcome import Failure
from twinproof.report.side_by_side import titles
from twinproof.report.verdict_text import time_text
from twinproof.verifier import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "html_report", "page_policy", "render_page", "style_and_script", "template_text"]

WORDS = {"pass": "✓ pass", "fail": "✗ FAIL", "warn": "! warn", "not_checked": "○ not checked", "info": "may differ"}
LINK_WORDS = {"pass": "holds", "fail": "BROKEN", "not_checked": "not checked"}
SIGNS = {"same": " ", "old": "−", "new": "+", "gap": " "}  # noqa: RUF001  (a minus sign is as wide as a plus)
_ASSETS = "assets"


@cache
def environment() -> Environment:
    """The templates, with every value escaped and every unknown name an error. Raises UsageError without Jinja2."""
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise UsageError("an HTML report needs Jinja2", hint="pip install 'twinproof[web]'") from error
    folder = files(__package__) / _ASSETS
    templates = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".jinja")}
    made = Environment(
        autoescape=True, loader=DictLoader(templates), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["visible"] = visible
    made.filters["time"] = time_text
    return made


@cache
def style_and_script() -> tuple[str, str]:
    """The page's own style, and its script: the files in the order of their numbers, in one scope."""
    folder = files(__package__) / _ASSETS
    parts = sorted((folder / "script").iterdir(), key=lambda item: item.name)
    script = "".join(part.read_text("utf-8") for part in parts if part.name.endswith(".js"))
    return (folder / "report.css").read_text("utf-8"), f'(() => {{\n"use strict";\n{script}}})();\n'


def template_text(name: str) -> str:
    """One of the templates, for pages that are served."""
    return (files(__package__) / _ASSETS / name).read_text("utf-8")


def html_report(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure] = (), *, now: int) -> str:
    """The page of a comparison, or of one verdict when there is no proof; `now` is the clock when it is made.

    Raises UsageError when Jinja2 is not installed.
    """
    environment()
    content = content_of(proof, verdicts, failures, now=now)
    checks = proof.checks if proof is not None else ()
    blocks = [*evidence_blocks(verdicts), tool_block(verdicts, titles(verdicts), checks, content.outcome)]
    return render_page("report.html.jinja", content, blocks, width=WIDTH, height=HEIGHT)


def render_page(template: str, content: object, blocks: Sequence[Block], **values: object) -> str:
    """One of the self-contained pages, with what every one has. Raises UsageError when Jinja2 is not installed."""
    style, script = style_and_script()
    words = {"words": WORDS, "link_words": LINK_WORDS, "signs": SIGNS, "names": NAMES}
    return (
        environment()
        .get_template(template)
        .render(
            page=content,
            **words,
            **values,
            content_security_policy=_content_security_policy(style, script),
            **_unescaped({"style": style, "script": script}),
            blocks=[(block.id, _unescaped({"text": block.text})["text"]) for block in blocks],
        )
    )


def page_policy() -> str:
    """The Content-Security-Policy of every report, for servers that send it as a header too."""
    return _content_security_policy(*style_and_script())


def _content_security_policy(style: str, script: str) -> str:
    hashed = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashed[0]}'; script-src 'sha256-{hashed[1]}'; base-uri 'none'; "
        "form-action 'none'"
    )


def _unescaped(texts: Mapping[str, str]) -> dict[str, str]:
    """Our own texts, and JSON blocks. Jinja2 takes Markup as it is."""
    from markupsafe import Markup  # noqa: PLC0415  (comes with Jinja2)

    return {name: Markup(text) for name, text in texts.items()}  # noqa: S704  (never a value of somebody else's)
