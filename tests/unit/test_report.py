"""The HTML report stands alone: one plotly.js inside, nothing loaded, nothing of the user's run."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from mrl_viz.comparison import compare_models
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.export import comparison_report

EVIL = "<img src=x onerror=alert(1)>&\"'</script><script>alert(2)</script>"


def comparison(*, name="corpus", models=("first", "second"), column="label", is_labelled=True):
    """Two hand-made models of different widths."""
    rng = np.random.default_rng(0)
    labels = {column: tuple(["a", "b"] * 20)} if is_labelled else {}
    source = replace(corpus_from_texts([f"text {row}" for row in range(40)], name=name), labels=labels)
    embedded = [
        Embedded(source, model, None, rng.normal(size=(40, width)).astype(np.float32), None, 2.0, "")
        for model, width in zip(models, (16, 24))
    ]
    return compare_models(embedded, dims=[8])


@pytest.fixture(scope="module")
def report():
    """The report of labelled models."""
    return comparison_report(comparison())


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def without_library(report):
    """The report less plotly.js, which is long and full of strings."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", report, flags=re.DOTALL)
    return report.replace(max(scripts, key=len), "")


def test_plotly_is_inside_once_and_nothing_is_loaded(report):
    """No tag names another address, the policy forbids loading, and the library is there a single time."""
    tags = Tags(report).tags
    assert not any(name in attrs for _, attrs in tags for name in ("src", "href", "srcset", "action"))
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy
    assert len(re.findall(r"\* plotly\.js v", report)) == 1
    assert "cdn" not in without_library(report) and "http" not in without_library(report).replace("http-equiv", "")


def test_figures_cannot_be_uploaded(report):
    """Every figure has its own identifier, no cloud button and no logo."""
    assert re.findall(r'id="(figure-\d)"', report) == ["figure-0", "figure-1", "figure-2"]
    assert len(re.findall(r'"showSendToCloud": ?false', without_library(report))) == 3
    assert len(re.findall(r'"displaylogo": ?false', without_library(report))) == 3


def test_user_text_is_escaped_everywhere():
    """A corpus, a model and a label column called like an attack add no tag, no handler and no script."""
    plain = Tags(comparison_report(comparison())).tags
    evil = comparison_report(comparison(name=EVIL, models=(EVIL, "second"), column=EVIL))
    assert [tag for tag, _ in Tags(evil).tags] == [tag for tag, _ in plain]
    assert not any(name.startswith("on") for _, attrs in Tags(evil).tags for name in attrs)
    assert "alert(2)</script>" not in evil and "&lt;img src=x" in evil


def test_numbers_and_takeaway_are_the_comparisons(report):
    """The report has the takeaway, every point, every pair of models and the notes."""
    result = comparison()
    text = without_library(report).replace("&#x27;", "'")
    assert result.takeaway() in text and result.fingerprint in text
    assert f"<summary>{len(result.points)} points</summary>" in text and text.count("<tr>") == 3 + 2 + 2 + 20
    assert all(note in text for note in result.notes) and f"{result.models[0].quality.value:.4f}" in text
    assert '<td class="text">full</td>' in text


def test_without_labels_nothing_is_ranked():
    """Two figures, a plain sentence instead of the third, and unknown values as dashes."""
    text = comparison_report(comparison(is_labelled=False))
    assert re.findall(r'id="(figure-\d)"', text) == ["figure-0", "figure-1"]
    assert "There is no task quality to rank the models by" in text and "Nothing here ranks these models" in text
    assert "Pareto" not in without_library(text) and "<td>–</td>" in text


def test_same_comparison_same_bytes(report):
    """Nothing in the report depends on when or where it was made."""
    assert comparison_report(comparison()) == report
