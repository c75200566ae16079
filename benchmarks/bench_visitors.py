"""A room full of browsers: N web-socket sessions against `mrl_viz app`, each opening a page and moving the focus width.

python benchmarks/bench_visitors.py [--visitors 1,20,40] [--pages start,neighbors,map] [--moves 5] [--idle 100]
Times are of the server: from a message until its script has answered. Browsers need their own time to draw.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect

FOCUS = "Focus width, dims"
# Seconds that the 95th of 100 waits may take for a room of 40: the first view of a page, and a move there.
BARS = {"start": (4, 0.8), "neighbors": (4, 1.5), "map": (4, 1.5)}
PAUSE_S = (2.0, 8.0)
PATIENCE_S = 180


class Visitor:
    """One browser session: it opens a page, and then moves the slider of the focus width."""

    def __init__(self, connection: ClientConnection, page: str) -> None:
        self.connection, self.page = connection, "" if page == "start" else page
        self.slider: tuple[str, list[str], str] | None = None
        self.bytes, self.errors = 0, 0
        # As a browser does: large messages are kept, and not sent again while they stay what they are.
        self.kept: set[str] = set()

    async def ask(self, focus: str | None = None) -> float:
        """Seconds until the script has answered."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        message.rerun_script.page_name = self.page
        message.rerun_script.cached_message_hashes.extend(self.kept)
        if focus is not None and self.slider is not None:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self.slider[0]
            state.string_array_value.data.append(focus)
        started = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        self.bytes = 0
        while True:
            data = await asyncio.wait_for(self.connection.recv(decode=False), PATIENCE_S)
            self.bytes += len(data)
            answer = ForwardMsg.FromString(data)
            kind = answer.WhichOneof("type")
            if answer.metadata.cacheable and answer.hash:
                self.kept.add(answer.hash)
            if kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                if element.WhichOneof("type") == "exception":
                    self.errors += 1
                if element.WhichOneof("type") == "slider" and element.slider.label == FOCUS:
                    options = list(element.slider.options)
                    self.slider = element.slider.id, options, self.slider[2] if self.slider else options[0]
            if kind == "script_finished":
                return time.perf_counter() - started

    async def move(self) -> float:
        """Take another focus width."""
        assert self.slider is not None, "the page shows no focus width"
        name, options, now = self.slider
        focus = random.choice([option for option in options if option != now])
        self.slider = name, options, focus
        return await self.ask(focus)


async def visit(port: int, page: str, moves: int) -> tuple[float, list[float], int, int]:
    """One visitor's first view, moves, bytes of the last move, and errors."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=2**28, proxy=None) as connection:
        visitor = Visitor(connection, page)
        first = await visitor.ask()
        waits = []
        for _ in range(moves):
            await asyncio.sleep(random.uniform(*PAUSE_S))
            waits.append(await visitor.move())
        return first, waits, visitor.bytes, visitor.errors


async def room(port: int, page: str, visitors: int, moves: int) -> None:
    """All come at once, as when a teacher shows the address."""
    found = await asyncio.gather(*(visit(port, page, moves) for _ in range(visitors)))
    firsts = [first for first, *_ in found]
    waits = [wait for _, some, *_ in found for wait in some]
    first_bar, move_bar = BARS.get(page, (float("nan"),) * 2)
    sizes, errors = [size for *_, size, _ in found], sum(errors for *_, errors in found)
    print(
        f"  {page:10} {visitors:4} visitors   first view {quantiles(firsts)} (bar {first_bar})   "
        f"moves {quantiles(waits)} (bar {move_bar})   {max(sizes) / 1e3:.0f} kB a move (bar 200)   {errors} errors",
        flush=True,
    )


def quantiles(seconds: list[float]) -> str:
    """Half of the waits are at most p50, 95 in 100 at most p95."""
    return f"p50 {np.percentile(seconds, 50):6.2f} p95 {np.percentile(seconds, 95):6.2f} s"


async def idle(port: int, visitors: int, server: int) -> None:
    """Sessions that were opened and left open."""
    before = resident(server)
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    connections = []
    for _ in range(visitors):
        connection = await connect(address, subprotocols=[Subprotocol("streamlit")], max_size=2**28, proxy=None)
        connections.append(connection)
        await Visitor(connection, "start").ask()
    after = resident(server)
    print(
        f"  {visitors} idle sessions: {after:.0f} MB in all (bar 2,000), "
        f"{(after - before) / visitors:.1f} MB each (bar 8)"
    )
    for connection in connections:
        await connection.close()
    await asyncio.sleep(5)
    print(f"  after they left: {resident(server):.0f} MB")


def resident(process: int) -> float:
    """Megabytes of the server and what it started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (process, *map(int, children)))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visitors", default="1,20,40")
    parser.add_argument("--pages", default="start,neighbors,map")
    parser.add_argument("--moves", type=int, default=5)
    parser.add_argument("--idle", type=int, default=100)
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    random.seed(0)
    command = [sys.executable, "-m", "mrl_viz", "app", "--headless", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        started = time.perf_counter()
        for line in server.stdout:
            if "Ready" in line:
                print(f"ready after {time.perf_counter() - started:.1f} s, {resident(server.pid):.0f} MB", flush=True)
            if "Warm" in line:  # it looks at its pages by itself, before the room comes
                break
        for page in args.pages.split(","):
            for visitors in map(int, args.visitors.split(",")):
                asyncio.run(room(port, page, visitors, args.moves))
        if args.idle:
            asyncio.run(idle(port, args.idle, server.pid))
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10).close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
