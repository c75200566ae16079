"""A lesson on paper: a side to write guesses on, and the teacher's notes; files that a browser prints."""

from __future__ import annotations

import math
from html import escape

from mrl_viz.lessons.lesson import Lesson, Step

# The file may show what it carries and load nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
@page { size: A4; margin: 12mm }
* { box-sizing: border-box }
body { font-family: system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto; max-width: 186mm }
h1 { font-size: 1.5em; margin: 0 0 .3em } p { margin: 0 0 .2em } .quiet { color: #555 }
table { width: 100%; border-collapse: collapse }
th, td { border: 1px solid #888; padding: .35em .5em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee }
"""
# A side has 186 x 273 mm; letters are half as wide as high, lines a third higher, and the question has half the width.
SIDE_HEIGHT_MM, QUESTION_WIDTH_MM, MM_PER_POINT = 262.0, 90.0, 0.353
MOST_POINTS, LEAST_POINTS = 11.0, 3.0


def worksheet(lesson: Lesson) -> str:
    """One side of A4: each question with a box for the guess, one for the second guess and one for what was seen.

    Letters are as large as the lesson's length allows. Needs no network; all texts are escaped.
    """
    asked = [step for step in lesson.steps if step.kind != "join"]
    points = _points(asked)
    rows = "".join(
        f'<tr><td><b>{number} {escape(step.title)}</b><p>{escape(step.question)}</p><p class="quiet">'
        f"{escape(_choices(step))}</p></td>"
        + ("<td></td><td></td><td></td></tr>" if step.kind == "vote" else '<td colspan="3"></td></tr>')
        for number, step in enumerate(lesson.steps, start=1)
        if step in asked
    )
    # The boxes share what the questions leave of the side.
    style = f"body {{ font-size: {points:.2f}pt; line-height: 1.25 }} table {{ height: {SIDE_HEIGHT_MM - 30}mm }}"
    widths = '<col style="width: 50%"><col style="width: 12%"><col style="width: 12%"><col>'
    head = "<tr><th>Question</th><th>My guess</th><th>After talking</th><th>What I saw</th></tr>"
    body = f"<h1>{escape(lesson.title)}</h1><table>{widths}{head}{rows}</table>"
    return _page(lesson.title, style, body)


def teacher_page(lesson: Lesson) -> str:
    """The teacher's notes: of each step its seconds, the misconception, answers to expect, and what to say."""
    begun, parts = 0, []
    for number, step in enumerate(lesson.steps, start=1):
        seconds = sum(length for _, length in step.seconds)
        lines = [step.question, _choices(step), step.misconception and f"Misconception: {step.misconception}"]
        lines += [f"Some say {answer}: {because}" for answer, because in step.wrong]
        state = ", ".join(f"{name} = {value}" for name, value in step.state)
        lines += [step.say and f"Say: {step.say}", step.page and f"Then open: {step.page} {state and f'with {state}'}"]
        parts.append(
            f"<h2>{begun // 60}:{begun % 60:02} {number} {escape(step.title)}</h2>"
            f'<p class="quiet">{escape(step.timing())}</p>'
            + "".join(f"<p>{escape(line)}</p>" for line in lines if line)
        )
        begun += seconds
    style = (
        "body { font-size: 11pt; line-height: 1.35 } h2 { font-size: 1.1em; margin: 1em 0 .2em; break-after: avoid }"
    )
    return _page(
        lesson.title, style, f"<h1>{escape(lesson.title)}</h1><p>{escape(lesson.takeaway())}</p>{''.join(parts)}"
    )


def _choices(step: Step) -> str:
    if step.range is not None:
        low, high, _ = step.range
        return f"{low:g} to {high:g} {step.unit}".strip()
    return " / ".join(step.options)


def _points(steps: list[Step]) -> float:
    """Points of letters with which the questions fill three quarters of a side at most."""
    lines = [len(text) for step in steps for text in (step.title, step.question, _choices(step)) if text]

    def height(points: float) -> float:
        letter, line = 0.52 * points * MM_PER_POINT, 1.25 * points * MM_PER_POINT
        return sum(line * math.ceil(n * letter / QUESTION_WIDTH_MM) for n in lines) + 1.2 * line * len(steps)

    points = MOST_POINTS
    while points > LEAST_POINTS and height(points) > 0.75 * SIDE_HEIGHT_MM:
        points -= 0.25
    return points


def _page(title: str, style: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
