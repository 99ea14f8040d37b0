"""`--html FILE`: one self-contained page: the verdict, the proof behind it, the evidence, a script that repeats it.

Jinja2 escapes every value; what is put in unescaped is this package's own style and script, and JSON in which no markup
can begin. A Content-Security-Policy names the hashes of both and forbids everything else: the page cannot load, send or
run anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from twinproof.comparison import Proof
from twinproof.report.html.content import content_of
from twinproof.report.html.embedded import Block, evidence_blocks, tool_block
from twinproof.report.html.graph import HEIGHT, NAMES, WIDTH
from twinproof.report.html.templating import ASSETS, csp_hash, environment_of, shared_templates
from twinproof.report.outcome import Failure
from twinproof.report.side_by_side import titles
from twinproof.verifier import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "html_report", "page_policy", "render_page", "style_and_script"]

WORDS = {"pass": "✓ pass", "fail": "✗ FAIL", "warn": "! warn", "not_checked": "○ not checked", "info": "may differ"}
LINK_WORDS = {"pass": "holds", "fail": "BROKEN", "not_checked": "not checked"}


@cache
def environment() -> Environment:
    """The templates of the reports. Raises UsageError without Jinja2."""
    return environment_of(shared_templates())


@cache
def style_and_script() -> tuple[str, str]:
    """The page's own style, and its script: the files in the order of their numbers, in one scope."""
    parts = sorted((ASSETS / "script").iterdir(), key=lambda item: item.name)
    script = "".join(part.read_text("utf-8") for part in parts if part.name.endswith(".js"))
    return (ASSETS / "report.css").read_text("utf-8"), f'(() => {{\n"use strict";\n{script}}})();\n'


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
    words = {"words": WORDS, "link_words": LINK_WORDS, "names": NAMES}
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
    return (
        f"default-src 'none'; style-src {csp_hash(style)}; script-src {csp_hash(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _unescaped(texts: Mapping[str, str]) -> dict[str, str]:
    """Our own texts, and JSON blocks. Jinja2 takes Markup as it is."""
    from markupsafe import Markup  # noqa: PLC0415  (comes with Jinja2)

    return {name: Markup(text) for name, text in texts.items()}  # noqa: S704  (never a value of somebody else's)
