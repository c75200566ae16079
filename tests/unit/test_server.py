"""The page that the app's server sends first."""

import asyncio
import gzip
import re
from pathlib import Path

import pytest
import streamlit
from streamlit.runtime.media_file_storage import MediaFileKind, MediaFileStorageError

from mrl_viz.ui.server import IMPORTED, KEPT_S, WIDGETS, EarlyCharts, PatientDownloads, first_page

CLIENT = Path(streamlit.__file__).parent / "static"


def test_the_first_page_loads_the_charts_code():
    """It is Streamlit's page, with the one file that draws charts asked for in its head."""
    own, sent = (CLIENT / "index.html").read_text(), first_page().decode()
    (asked,) = re.findall(r'<link rel="modulepreload" crossorigin href="([^"]*PlotlyChart[^"]*)">', sent)
    assert (CLIENT / asked).is_file() and f'import("{asked}")' in sent
    head, body = sent.split("</head>")
    assert body == own.split("</head>")[1] and head.startswith(own.split("</head>")[0]) and asked not in own


def test_the_first_page_loads_what_start_is_made_of():
    """Every file that a widget of Start imports, however deep, is asked for once."""
    asked = re.findall(r'<link rel="modulepreload" crossorigin href="\./static/js/([^"]*)">', first_page().decode())
    assert len(asked) == len(set(asked))
    (entry,) = re.findall(r'src="\./static/js/([^"]*)"', OWN.decode())
    for name in WIDGETS:
        (widget,) = [file for file in asked if file.startswith(f"{name}.")]
        imported = IMPORTED.findall((CLIENT / "static" / "js" / widget).read_text())
        assert imported and set(imported) <= {entry, *asked}


OWN = (CLIENT / "index.html").read_bytes()


def answer(status, kind, parts, coding=b"identity"):
    """What a browser gets through the server's layer for an answer in some parts."""

    async def app(scope, receive, send):
        headers = [(b"content-type", kind), (b"content-length", b"4"), (b"etag", b"x"), (b"cache-control", b"no-cache")]
        headers.append((b"content-encoding", coding))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for place, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(parts) - 1})

    got = []

    async def send(message):
        got.append(message)

    asyncio.run(EarlyCharts(app)({"type": "http"}, None, send))
    return dict(got[0]["headers"]), b"".join(message["body"] for message in got[1:])


@pytest.mark.parametrize("parts", [[OWN], [OWN[:9], OWN[9:]], [OWN, b""]])
@pytest.mark.parametrize("is_packed", [False, True])
def test_streamlits_page_becomes_the_first_page(parts, is_packed):
    """However Streamlit sends its own, in parts or packed, one plain page comes, of the length that is said."""
    if is_packed:
        whole = gzip.compress(OWN)
        parts = [whole] if len(parts) == 1 else [whole[:9], whole[9:]]
    headers, body = answer(200, b"text/html; charset=utf-8", parts, b"gzip" if is_packed else b"identity")
    assert body == first_page() and headers[b"content-length"] == str(len(body)).encode()
    assert not {b"etag", b"content-encoding"} & set(headers) and headers[b"cache-control"] == b"no-cache"


@pytest.mark.parametrize("parts", [[b"<html>a report</html>"], [b"<html>", b"a report</html>"]])
def test_a_users_own_html_is_left_alone(parts):
    """A downloaded report is HTML too, and not Streamlit's page."""
    headers, body = answer(200, b"text/html", parts)
    assert body == b"<html>a report</html>" and headers[b"etag"] == b"x" and headers[b"content-length"] == b"4"


@pytest.mark.parametrize(("status", "kind"), [(200, b"text/javascript"), (404, b"text/html"), (304, b"text/html")])
def test_everything_else_is_sent_as_it_is(status, kind):
    """Files, errors and answers without a page pass through."""
    headers, body = answer(status, kind, [b"pa", b"ge"])
    assert body == b"page" and headers[b"etag"] == b"x" and headers[b"content-length"] == b"4"


def test_a_download_outlives_other_pages_runs(monkeypatch):
    """A file made at a click stays for its minute, whoever's runs end meanwhile, and goes then; asked for anew it
    stays; a picture of a page goes at once."""
    clock = [0.0]
    monkeypatch.setattr("mrl_viz.ui.server.time.monotonic", lambda: clock[0])
    files = PatientDownloads("/media")
    table = files.load_and_get_id(b"a,b\n", "text/csv", MediaFileKind.DOWNLOADABLE, "a.csv")
    other = files.load_and_get_id(b"c\n", "text/csv", MediaFileKind.DOWNLOADABLE, "c.csv")
    picture = files.load_and_get_id(b"png", "image/png", MediaFileKind.MEDIA)
    for one in (table, other, picture):
        files.delete_file(one)
    with pytest.raises(MediaFileStorageError):
        files.get_file(picture)
    clock[0] = KEPT_S - 1
    assert files.get_file(f"{table}.csv").content == b"a,b\n"
    assert files.load_and_get_id(b"a,b\n", "text/csv", MediaFileKind.DOWNLOADABLE, "a.csv") == table
    clock[0] = KEPT_S + 1
    files.delete_file(picture)
    assert files.get_file(table)
    with pytest.raises(MediaFileStorageError):
        files.get_file(other)
