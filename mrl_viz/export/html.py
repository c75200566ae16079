"""One HTML file that needs nothing else: no network, no server, no second file; light and dark, on screen and paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

# plotly.js would otherwise offer a button that uploads the chart.
PLOTLY_CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
# The file may show what it carries and load nothing.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = """
:root { color-scheme: light dark; --ink: #222; --ground: #fff; --soft: #444; --line: #ccc; --head: #f2f2f2;
  --mark: #0072B2 }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --ground: #14171c; --soft: #b5b9c0; --line: #3a3f47; --head: #20252c; --mark: #4aa3df }
}
body { font-family: system-ui, sans-serif; font-size: 17px; line-height: 1.5; color: var(--ink);
  background: var(--ground); margin: 0 auto; max-width: 1100px; padding: 1em; overflow-wrap: anywhere }
table { border-collapse: collapse; font-size: 15px; margin: 1em 0; overflow-wrap: normal } .wide { overflow-x: auto }
th, td { border-bottom: 1px solid var(--line); padding: .25em .8em; text-align: right } th { background: var(--head) }
td.text, th.text { text-align: left; overflow-wrap: anywhere } td.text { min-width: 8em } figure { margin: 1em 0 }
figcaption, .note, .about { color: var(--soft); font-size: 15px } h2 { margin-top: 2em }
.takeaway { border-left: 5px solid var(--mark); padding-left: 1em; font-size: 19px }
.failed { border-left: 5px solid #D55E00; padding-left: 1em }
.save { font-size: 14px; padding: .1em .6em; margin-right: .4em; color: var(--ink); background: var(--head);
  border: 1px solid var(--line); border-radius: 4px; cursor: pointer } a { color: var(--mark) }
pre { white-space: pre-wrap; font-size: 14px }
@media print { .save, nav { display: none } figure, tr { break-inside: avoid } h2, h3 { break-after: avoid }
  body { max-width: none; font-size: 12pt } .takeaway { font-size: 13pt } }
"""
# Figures take the colours of the page, and those of paper for printing; their buttons save them as they are shown.
SCRIPT = """
(() => {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const paint = (isDark) => {
    const ink = isDark ? "#e6e6e6" : "#222222", line = isDark ? "#3a3f47" : "#d9d9d9";
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      const to = {"font.color": ink};
      for (const name of Object.keys(plot._fullLayout))
        if (/^[xy]axis[0-9]*$/.test(name))
          for (const part of ["gridcolor", "zerolinecolor", "linecolor"]) to[`${name}.${part}`] = line;
      Plotly.relayout(plot, to);
    }
  };
  paint(scheme.matches);
  scheme.addEventListener("change", (event) => paint(event.matches));
  addEventListener("beforeprint", () => paint(false));
  addEventListener("afterprint", () => paint(scheme.matches));
  for (const button of document.querySelectorAll(".save"))
    button.addEventListener("click", () => {
      const plot = document.getElementById(button.dataset.figure);
      const size = {width: plot.clientWidth, height: plot.clientHeight, scale: button.dataset.format === "png" ? 2 : 1};
      Plotly.downloadImage(plot, {format: button.dataset.format, filename: button.dataset.name, ...size});
    });
})();
"""


def document(title: str, parts: Sequence[str]) -> str:
    """The whole file: a title, which is escaped, and the parts of its body.

    Where there is a figure, plotly.js is inside, about 5 MB. The same parts give the same text.
    """
    is_drawn = any("<figure" in part for part in parts)
    library = f"<script>{get_plotlyjs()}</script>" if is_drawn else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{library}</head>\n<body>\n"
        + "\n".join(parts)
        + (f"\n<script>{SCRIPT}</script>" if is_drawn else "")
        + "\n</body></html>\n"
    )


def figure_part(figure: go.Figure, caption: str, number: int, name: str = "figure") -> str:
    """A figure with its caption and buttons that save it as PNG and SVG under that name."""
    own, said = f"figure-{number}", escape(caption)
    drawn = go.Figure(figure)
    clear = "rgba(0, 0, 0, 0)"
    drawn.update_layout(template="plotly_white", paper_bgcolor=clear, plot_bgcolor=clear)
    # WebGL compiles code, which the policy forbids.
    plain = go.Figure([_plain(trace) for trace in drawn.data], drawn.layout)
    config = PLOTLY_CONFIG | {"toImageButtonOptions": {"filename": name}}
    html = plain.to_html(full_html=False, include_plotlyjs=False, config=config, div_id=own)
    buttons = "".join(
        f'<button class="save" type="button" data-figure="{own}" data-format="{kind}" data-name="{escape(name)}">'
        f"{kind.upper()}</button>"
        for kind in ("png", "svg")
    )
    caption_part = f"<figcaption>{said}</figcaption>" if said else ""
    return f'<figure role="group" aria-label="{said or escape(name)}">{html}{buttons}{caption_part}</figure>'


def _plain(trace: go.Trace) -> go.Trace:
    if trace.type != "scattergl":
        return trace
    given = trace.to_plotly_json()
    return go.Scatter({name: value for name, value in given.items() if name != "type"})
