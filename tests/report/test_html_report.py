"""The page as text: nothing is left out, nothing is loaded, and hostile values stay values."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html import unescape
from html.parser import HTMLParser

import pytest

from small_instance import AT, Instance, edited, judge, twins, verifier
from twinproof.comparison import compare
from twinproof.errors import Unavailable, UsageError
from twinproof.evidence.bundle import parse_bundle
from twinproof.report.html import page
from twinproof.report.html.compose_lines import compose_lines
from twinproof.report.html.page import html_report
from twinproof.report.html.templating import visible
from twinproof.verdict import Status
from twinproof.verifier import Verdict

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</script></noscript><!--\x1b[2J\u202e'


def judged() -> list[Verdict]:
    judge_all = verifier()
    return [judge_all.verify(instance.evidence()) for instance in twins()]


@pytest.fixture(scope="module")
def report() -> str:
    verdicts = judged()
    return html_report(compare(verdicts), verdicts, now=AT)


class Tags(HTMLParser):
    """Every element with its attributes, and every text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and the names of their attributes: what a value must never change."""
    return [(tag, tuple(attributes)) for tag, attributes in Tags(text).tags]


def test_nothing_is_loaded_from_anywhere(report: str) -> None:
    for tag, attributes in Tags(report).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}
        assert "src" not in attributes
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in unescape(report)


def test_the_policy_names_exactly_the_style_and_the_script_that_are_there(report: str) -> None:
    policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', report)[0])
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", report, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe" not in policy
    assert "connect-src" not in policy  # so that it falls back to 'none'


def test_every_check_and_every_reason_is_on_the_page(report: str) -> None:
    proof = compare(judged())
    text = unescape(report)
    for check in (*proof.checks, *(check for verdict in proof.verdicts for check in verdict.checks)):
        assert check.step.title.lower() in text.lower() or check.id in text
        assert check.reason in text
        assert visible(check.got) in text
    _, _, under = text.partition("What was not checked")
    for verdict in proof.verdicts:
        assert all(
            f"<code>{check.id}</code>" in under for check in verdict.checks if check.status is Status.NOT_CHECKED
        )


def test_simulated_hardware_stands_before_everything(report: str) -> None:
    body = report.partition("<body>")[2]
    assert body.index("SIMULATED HARDWARE") < body.index("<main")


def test_the_bundles_inside_are_the_evidence(report: str) -> None:
    blocks = dict(re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', report, re.DOTALL))
    for index, instance in enumerate(twins()):
        block = json.loads(blocks[f"evidence-{index}"])
        collateral = json.loads(blocks[f"collateral-{block['collateral']}"])
        evidence = parse_bundle(json.dumps({**block["bundle"], "collateral": collateral}))
        assert evidence.statement == instance.evidence().statement
        assert verifier().verify(evidence).accepted
    assert sum(name.startswith("collateral-") for name in blocks) == 1


def test_hostile_values_change_nothing_but_their_own_place() -> None:
    def made(text: str, times: int = 1) -> str:
        said: dict[str, object] = {"environment": text[:80], "health": text}
        honest = Instance(said=said).evidence()
        other = edited(
            Instance("prod7", 1).evidence(),
            source=f"https://{text}",
            vm_config=text,
            event_log=f'["{text}"]',
            app_compose=json.dumps({"name": text, "docker_compose_file": f"a\n{text}\n"}),
        )
        verdicts = [judge(honest), judge(other)] * times
        gone = Unavailable(text, where=text, hint=text)
        return html_report(compare(verdicts), verdicts, [(text, gone)], now=AT)

    for times in (1, 5):  # the checks of many instances are folded into elements of text
        assert shape(made(HOSTILE, times)) == shape(made("harmless", times))
    hostile = made(HOSTILE)
    assert "<script>alert" not in hostile
    assert "onerror" not in [name for _, names in shape(hostile) for name in names]
    assert "49" not in hostile.partition("<h1>")[2].partition("</h1>")[0]
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile


def test_json_inside_the_page_holds_no_markup(report: str) -> None:
    for text in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', report, re.DOTALL):
        assert not set("<>&") & set(text)


def test_a_missing_instance_is_named_and_nothing_is_proved() -> None:
    verdicts = judged()[:1]
    text = html_report(None, verdicts, [("https://gone.example", Unavailable("no answer"))], now=AT)
    assert "<h1>NOT PROVED: THE EVIDENCE IS INCOMPLETE</h1>" in text
    assert "gone.example" in text
    assert 'data-tone="bad"' in text


def test_no_evidence_at_all_makes_a_page_too() -> None:
    text = html_report(None, [], [("https://gone.example", Unavailable("no answer"))], now=AT)
    assert "EVIDENCE IS INCOMPLETE" in text


def test_old_evidence_says_that_it_is_old() -> None:
    verdicts = judged()
    assert "says nothing about now" not in html_report(compare(verdicts), verdicts, now=AT + 60)
    assert "says nothing about now" in html_report(compare(verdicts), verdicts, now=AT + 86400)


@pytest.mark.usefixtures("without_jinja")
def test_without_jinja2_the_error_says_what_to_install() -> None:
    with pytest.raises(UsageError, match="needs Jinja2") as caught:
        html_report(None, judged()[:1], now=AT)
    assert "twinproof[web]" in caught.value.hint


@pytest.fixture
def without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page.environment.cache_clear()
    monkeypatch.setattr(page, "environment", page.environment.__wrapped__)


def compose(image: str, **more: object) -> str:
    return json.dumps({"name": "toy", "docker_compose_file": f"services:\n  app:\n    image: {image}\n", **more})


def test_the_differing_lines_of_two_compose_files() -> None:
    lines = compose_lines(compose("a@1"), compose("a@2"))
    assert [(line.kind, line.text) for line in lines if line.kind != "same"] == [
        ("old", "        image: a@1"),
        ("new", "        image: a@2"),
    ]


def test_equal_compose_files_have_no_differing_lines() -> None:
    assert compose_lines(compose("a"), compose("a")) == ()


@pytest.mark.parametrize(
    "other", [compose("a") + "\n", json.dumps(json.loads(compose("a")), indent=1), compose("a").replace(": ", ":")]
)
def test_the_same_content_in_other_bytes_still_shows_a_difference(other: str) -> None:
    assert {line.kind for line in compose_lines(compose("a"), other)} & {"old", "new"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1, "a": 2}'])
def test_what_is_no_compose_file_is_compared_as_text(text: str) -> None:
    assert any(line.kind == "new" for line in compose_lines(text, compose("a")))


def test_what_does_not_show_is_written_as_an_escape() -> None:
    assert visible("a\u202eb\x00c\nd\u2028") == "a\\u202eb\\u0000c\nd\\u2028"
