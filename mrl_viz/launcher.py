"""Start the app's server, and be its first visitor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from contextlib import suppress

from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.home import home

START_TIMEOUT_S = 60
# Pages whose first view measures something of the sample, the ones a room opens first in front; those that load torch
# are left alone. Somebody who is there already comes first: a while passes before each of them.
WARMED = (
    "neighbors", "map", "similarity", "anatomy", "space", "quality", "search", "compare", "choose", "monitor",
    "workshop", "claims", "report",
)  # fmt: skip
WARM_PAUSE_S = 2.0


def launch(*, port: int = 8501, headless: bool = False) -> int:
    """Run the app until it ends; returns the server's exit code.

    Streamlit shows "page not found" over the page to the very first session of a server when that comes in by a deep
    link, so one session is opened here at start. Then every page is looked at once: what it shows of the sample is
    measured before a room opens it.

    Raises
    ------
    InvalidInputError : `port` outside 1..65535. MrlVizError : app.py is missing.
    """
    if not 1 <= port <= 65535:
        raise InvalidInputError(f"`port` is {port}; choose 1 to 65535.")
    app = home() / "app.py"
    if not app.is_file():
        raise MrlVizError(f"`{app}` is missing; install mrl_viz again, or run `make app` in the project's folder.")
    command = [sys.executable, "-m", "mrl_viz.ui.server", str(port)]
    server = subprocess.Popen(command, cwd=app.parent, env=os.environ | {"TOKENIZERS_PARALLELISM": "false"})
    # Without this, ending the command would leave its server behind.
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_visit, args=(port, server, headless), daemon=True).start()
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        return server.wait()


def _visit(port: int, server: subprocess.Popen[bytes], headless: bool) -> None:
    """Open one session as soon as the server answers, then the user's browser, and then a session on every page."""
    address = f"http://127.0.0.1:{port}"
    for _ in range(START_TIMEOUT_S * 4):
        if server.poll() is not None:
            return
        # OSError: also what urllib makes of a connection that fails.
        with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
            open_session(port)
            print(f"  Ready: {address}", flush=True)
            if not headless:
                webbrowser.open(address)
            for page in WARMED:
                time.sleep(WARM_PAUSE_S)
                open_session(port, page)
            print("  Warm: every page of the sample was looked at once", flush=True)
            return
        time.sleep(0.25)


def open_session(port: int, page: str = "") -> None:
    """Open the app's web socket once, ask for a page by its address, and wait until its script has answered."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets import Subprotocol
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    message = BackMsg()
    message.rerun_script.query_string, message.rerun_script.page_name = "", page
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    # The visit only warms the server; without it the app still works.
    with (
        suppress(OSError, WebSocketException),
        connect(address, subprotocols=[Subprotocol("streamlit")], max_size=2**28, proxy=None) as connection,
    ):
        connection.send(message.SerializeToString())
        while True:
            data = connection.recv(timeout=START_TIMEOUT_S)
            answer = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            if answer.WhichOneof("type") == "script_finished":
                return
