"""A server on loopback that speaks OpenAI's embeddings API and serves a real model, with faults on demand."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mrl_viz.truncation import truncate_and_normalize

KEY = "sk-the-owners-secret-4711"


class EmbeddingServer(ThreadingHTTPServer):
    """Serves WordLlama as `wordllama`; `faults` are what the next requests meet, `fault` what all others do."""

    daemon_threads = True

    def __init__(self, encoder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.encoder = encoder
        self.forget()

    def forget(self):
        """As if just started."""
        self.bodies, self.keys, self.faults, self.fault = [], [], [], None
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def vectors(self, texts, dimensions=None):
        """At full width as the model gives them, shorter ones renormalised, as OpenAI does it."""
        rows = self.encoder.encode(texts)
        return rows if dimensions in (None, 256) else truncate_and_normalize(rows, dimensions)

    def handle_error(self, request, client_address):
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers["Authorization"])
        rows = self.server.vectors(body["input"], body.get("dimensions"))
        data = [{"object": "embedding", "index": n, "embedding": row.tolist()} for n, row in enumerate(rows)]
        fault = self.server.faults.pop(0) if self.server.faults else self.server.fault
        if self.path != "/v1/embeddings" or body["model"] != "wordllama":
            fault = refuse(404)
        (fault or answer())(self, {"object": "list", "data": data, "model": body["model"]})

    def send(self, status, content, headers=()):
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": len(content), **dict(headers)}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def answer(change=lambda data: data):
    """The right answer with its list of vectors changed."""
    return lambda handler, reply: handler.send(200, json.dumps({**reply, "data": change(reply["data"])}).encode())


def refuse(status, message="no", headers=(), **details):
    """An error as OpenAI words it."""
    return lambda handler, _: handler.send(
        status, json.dumps({"error": {"message": message, **details}}).encode(), headers
    )


@contextmanager
def serving(encoder):
    """The server of an encoder, as long as the block lasts."""
    with EmbeddingServer(encoder) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def make_endpoint(server, monkeypatch):
    """The server without a past, as the environment's endpoint."""
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MRL_VIZ_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MRL_VIZ_OPENAI_BASE_URL", server.url)
    server.forget()
