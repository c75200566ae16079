"""The app's server, as `mrl_viz app` runs it: Streamlit's, with an early start for what a first view waits for.

    python -m mrl_viz.ui.server PORT

Streamlit's other options are read from `.streamlit/config.toml`, the address also from STREAMLIT_SERVER_ADDRESS;
`streamlit run app.py` takes them in every other way.
"""

from __future__ import annotations

import gzip
import os
import re
import signal
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import streamlit as st
import uvicorn
from streamlit.runtime.media_file_storage import MediaFileKind
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.web.server.starlette import starlette_app

from mrl_viz.home import home

# Messages between server and browser, bytes: as Streamlit has it.
MOST_MESSAGE = 200 * 2**20
CLIENT = Path(st.__file__).parent / "static"
CHART = "PlotlyChart"
# What Start is made of: the client asks for each when it arrives, and then for what that imports, in turns.
WIDGETS = (
    "Slider", "Selectbox", "TextInput", "Html", "PageLink", "ImageList", "TextArea", "Checkbox", "FileUploader",
    "Metric", "withFullScreenWrapper",
)  # fmt: skip
KEPT_S = 60
IMPORTED = re.compile(r'\b(?:from|import)"\./([^"]+\.js)"')


def first_page() -> bytes:
    """Streamlit's page with the code of charts and widgets loaded in it, for which its client would ask one by one.

    The charts' megabytes are run when the rest of the client has begun, and waits for the server.
    """
    text = (CLIENT / "index.html").read_text(encoding="utf-8")
    folder = CLIENT / "static" / "js"
    charts = [file.name for file in folder.glob(f"{CHART}.*.js")]
    files = charts + [file.name for name in WIDGETS for file in folder.glob(f"{name}.*.js")]
    early = ""
    for file in files:  # grows by what each imports
        if f"/{file}" in text:
            continue
        address = f"./static/js/{file}"
        early += f'<link rel="modulepreload" crossorigin href="{address}">'
        if file in charts:
            early += f'<script>addEventListener("load", () => setTimeout(() => import("{address}")))</script>'
            continue  # what it imports, the client has
        files += [name for name in IMPORTED.findall((folder / file).read_text("utf-8")) if name not in files]
    return text.replace("</head>", f"{early}</head>").encode()


def _is_html(start: MutableMapping[str, Any]) -> bool:
    return bool(dict(start["headers"]).get(b"content-type", b"").startswith(b"text/html"))


class EarlyCharts:
    """Puts `first_page` where Streamlit answers with its own page; what users made, such as a report, is left alone."""

    def __init__(self, app: Any) -> None:
        self.app, self.own, self.page = app, (CLIENT / "index.html").read_bytes(), first_page()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        held: list[MutableMapping[str, Any]] = []  # the beginning of an HTML answer, until its body is known

        async def with_page(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and _is_html(message):
                held.append(message)
                return
            if not held:
                await send(message)
                return
            held.append(message)
            if message.get("more_body"):
                return
            start, *parts = held
            held.clear()
            packed = dict(start["headers"]).get(b"content-encoding") == b"gzip"
            body = b"".join(part.get("body", b"") for part in parts)
            if (gzip.decompress(body) if packed else body) != self.own:
                for part in (start, *parts):
                    await send(part)
                return
            # Another text than the file's: a browser that kept one must not take it for the other.
            changed = {b"etag", b"last-modified", b"content-length", b"content-encoding"}
            kept = [part for part in start["headers"] if part[0] not in changed]
            await send({**start, "headers": [*kept, (b"content-length", str(len(self.page)).encode())]})
            await send({"type": "http.response.body", "body": self.page})

        await self.app(scope, receive, with_page if scope["type"] == "http" else send)


class PatientDownloads(MemoryMediaFileStorage):
    """Keeps a file that somebody asked for until it has been fetched, for `KEPT_S` seconds.

    Streamlit makes a download's file at the click and drops it with the second run of a page that ends after it,
    whoever's page that is: in a room of forty, before the browser that asked can come for it.
    """

    def __init__(self, media_endpoint: str) -> None:
        super().__init__(media_endpoint)
        self._leaving: dict[str, float] = {}

    def load_and_get_id(
        self, path_or_data: str | bytes, mimetype: str, kind: MediaFileKind, filename: str | None = None
    ) -> str:
        file_id = super().load_and_get_id(path_or_data, mimetype, kind, filename)
        self._leaving.pop(file_id, None)  # asked for anew
        return file_id

    def delete_file(self, file_id: str) -> None:
        now = time.monotonic()
        for gone in [one for one, until in list(self._leaving.items()) if until <= now]:
            if self._leaving.pop(gone, None) is not None:
                super().delete_file(gone)
        file = self._files_by_id.get(file_id)
        if file is not None and file.kind is MediaFileKind.DOWNLOADABLE:
            self._leaving[file_id] = now + KEPT_S
        else:
            super().delete_file(file_id)


def main() -> None:
    option = st.get_option
    # Its app has no option for it.
    starlette_app.MemoryMediaFileStorage = PatientDownloads  # type: ignore[attr-defined]
    # uvicorn ends its own work and then passes the signal on: an end that was asked for is a good one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A socket that uvicorn opens sends at once. One that `streamlit run` hands it waits for the browser's word after
    # each part: 40 ms for each of the client's hundred files.
    uvicorn.run(
        EarlyCharts(st.App(home() / "app.py")),
        host=os.environ.get("STREAMLIT_SERVER_ADDRESS") or option("server.address") or "127.0.0.1",
        port=int(sys.argv[1]),
        ssl_certfile=option("server.sslCertFile"), ssl_keyfile=option("server.sslKeyFile"),
        ws="websockets-sansio", ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=option("server.enableWebsocketCompression"),
        access_log=False, log_level="warning", timeout_graceful_shutdown=3,
    )  # fmt: skip


if __name__ == "__main__":
    main()
