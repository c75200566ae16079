"""Amazon Titan Text Embeddings V2, against botocore's Stubber and a real model behind HTTP on loopback."""

import io
import json
import logging
import sys
import threading
import traceback
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from mrl_viz.embedding import store
from mrl_viz.embedding.encoders import bedrock, load_encoder
from mrl_viz.embedding.encoders.api import Backoff
from mrl_viz.errors import (
    ApiError,
    CancelledError,
    DimensionError,
    InvalidInputError,
    ModelUnavailableError,
    OptionalDependencyError,
)

TITAN = bedrock.TITAN_V2
KEY_ID, SECRET = "AKIAOWNERSKEYID00000", "the-owners-secret-4711"
TEXTS = [f"note {n} about {topic}" for n in range(4) for topic in ("rivers", "bread", "tax")]


@pytest.fixture(scope="module")
def wordllama():
    return load_encoder()


def set_account(monkeypatch):
    """Credentials in the environment and nowhere else."""
    for variable in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(autouse=True)
def account(monkeypatch):
    set_account(monkeypatch)


@pytest.fixture(scope="module")
def titan():
    """An encoder that asks one text at a time; building its client is slow, so that tests share it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_account(monkeypatch)
        return bedrock.load(f"{TITAN}@256", concurrency=1)


@pytest.fixture
def waits():
    """Seconds the back-off wanted to wait; nothing waits."""
    return []


@pytest.fixture
def load(waits):
    """A Titan encoder of 256 coordinates whose waits are only noted."""

    def load(model=f"{TITAN}@256", **options):
        return bedrock.load(model, backoff=Backoff(attempts=3, sleep=waits.append), **options)

    return load


@pytest.fixture
def stubbed(titan, waits):
    """An encoder that asks one text at a time, and the stub that answers."""
    with Stubber(titan.client) as stub:
        yield replace(titan, backoff=Backoff(attempts=3, sleep=waits.append)), stub


def expect(stub, text, embedding, *, dimensions=256, normalize=True, cut=None):
    """The stub expects this request and answers with the embedding, cut off after some bytes."""
    content = json.dumps({"embedding": embedding, "inputTextTokenCount": 3}).encode()
    body = StreamingBody(io.BytesIO(content[:cut]), len(content))
    stub.add_response(
        "invoke_model",
        {"body": body, "contentType": "application/json"},
        {
            "modelId": TITAN,
            "body": json.dumps({"inputText": text, "dimensions": dimensions, "normalize": normalize}),
            "contentType": "application/json",
            "accept": "application/json",
        },
    )


def refuse(stub, code, status=400, message="no", headers=None):
    stub.add_client_error("invoke_model", code, message, status, response_meta={"HTTPHeaders": headers or {}})


def test_encode_sends_titans_request_and_reads_its_answer(stubbed, wordllama):
    """One request a text with width and normalisation; the vectors are the service's to the last bit."""
    encoder, stub = stubbed
    expected = wordllama.encode(TEXTS[:3])
    for text, row in zip(TEXTS, expected):
        expect(stub, text, row.tolist())
    seen = []
    vectors = encoder.encode(TEXTS[:3], progress=lambda *step: seen.append(step))
    np.testing.assert_array_equal(vectors, expected)
    assert vectors.dtype == np.float32
    assert seen[-1] == (3, 3)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("suffix", "width"), [("", 1024), ("@512", 512), ("@256", 256)])
def test_load_encoder_asks_for_the_named_width(suffix, width):
    """The three widths Titan offers, 1024 when none is named."""
    encoder = load_encoder(f"bedrock:{TITAN}{suffix}")
    assert (encoder.name, encoder.full_dim, encoder.max_tokens) == (f"bedrock:{TITAN}@{width}", width, 8192)
    with Stubber(encoder.client) as stub:
        expect(stub, "bread", [0.5] * width, dimensions=width)
        np.testing.assert_array_equal(encoder.encode(["bread"]), np.full((1, width), 0.5))


def test_load_can_leave_vectors_as_they_are(load):
    """`normalize` reaches the service and is part of the revision."""
    encoder = load(normalize=False)
    assert encoder.revision != load().revision
    with Stubber(encoder.client) as stub:
        expect(stub, "bread", [2.0] * 256, normalize=False)
        assert encoder.encode(["bread"])[0, 0] == 2


def test_revision_tells_regions_and_widths_apart(load, monkeypatch):
    """Another width or endpoint is another revision."""
    revisions = {load().revision, load(f"{TITAN}@512").revision}
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    revisions.add(load().revision)
    assert len(revisions) == 3
    assert any("eu-central-1" in revision for revision in revisions)


def test_encode_leaves_blank_texts_at_zero_without_sending_them(stubbed):
    """Titan refuses empty texts: a blank one is never sent and its vector is 0."""
    encoder, stub = stubbed
    expect(stub, "bread", [0.5] * 256)
    vectors = encoder.encode(["", "bread", "  "])
    assert not vectors[[0, 2]].any()
    assert encoder.encode([]).shape == (0, 256)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ([0.5] * 255, "255 coordinates, not 256"), ([], "0 coordinates, not 256"), (None, "0 coordinates, not 256"),
        ([float("nan")] * 256, "NaN, infinity or something"), (["x"] * 256, "something that is no number"),
    ],
)  # fmt: skip
def test_encode_refuses_a_wrong_answer(stubbed, waits, embedding, message):
    """Wrong widths and numbers are one clear error, and are not asked for again."""
    encoder, stub = stubbed
    expect(stub, "bread", embedding)
    with pytest.raises(ApiError, match=message):
        encoder.encode(["bread"])
    assert waits == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 429), ("ServiceUnavailableException", 503), ("InternalServerException", 500),
        ("ModelTimeoutException", 408), ("ModelNotReadyException", 429), ("Unheard", 502),
    ],
)  # fmt: skip
def test_encode_asks_again_after_a_passing_failure(stubbed, waits, code, status):
    """One throttled or failed request costs a wait, as long as the service asks, and nothing else."""
    encoder, stub = stubbed
    refuse(stub, code, status, headers={"Retry-After": "9"})
    expect(stub, "bread", [0.5] * 256)
    assert encoder.encode(["bread"])[0, 0] == 0.5
    assert waits == [9]


def test_encode_asks_again_after_half_a_body(stubbed, waits):
    """An answer that breaks off is asked for again."""
    encoder, stub = stubbed
    expect(stub, "bread", [0.5] * 256, cut=100)
    expect(stub, "bread", [0.5] * 256)
    assert encoder.encode(["bread"])[0, 0] == 0.5
    assert len(waits) == 1


def test_encode_gives_up_when_throttled_for_ever(stubbed, waits):
    """Throttling ends after the attempts allowed."""
    encoder, stub = stubbed
    for _ in range(3):
        refuse(stub, "ThrottlingException", 429)
    with pytest.raises(ApiError, match=r"no vectors in 3 attempts .ThrottlingException.*the store has is kept"):
        encoder.encode(["bread"])
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("UnrecognizedClientException", ModelUnavailableError, "refuses the credentials.*set AWS_ACCESS_KEY_ID"),
        ("ExpiredTokenException", ModelUnavailableError, "refuses the credentials.*set AWS_ACCESS_KEY_ID"),
        ("AccessDeniedException", ModelUnavailableError, "at bedrock-runtime.us-east-1.*ask for access to the model"),
        ("ValidationException", ApiError, "ValidationException: Too many input tokens.; shorten the longest texts"),
    ],
)
def test_encode_does_not_repeat_what_cannot_succeed(stubbed, waits, code, error, message):
    """A refusal for good is one request and says what to change."""
    encoder, stub = stubbed
    refuse(stub, code, message="Too many input tokens")
    with pytest.raises(error, match=message):
        encoder.encode(["bread"])
    assert waits == []


def test_encode_stops_between_batches(stubbed):
    """`cancelled` is asked before each batch; a text that cannot be sent is named before the first."""
    encoder, stub = stubbed
    with pytest.raises(CancelledError, match="after 0 of 1 texts"):
        encoder.encode(["bread"], cancelled=lambda: True)
    with pytest.raises(InvalidInputError, match=r"lone surrogate. in row 0"):
        encoder.encode(["\ud83d"])
    stub.assert_no_pending_responses()


class Handler(BaseHTTPRequestHandler):
    """Bedrock's InvokeModel with WordLlama behind it; a text in `failing` finds no answer."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(asked["inputText"])
        self.close_connection = True
        if asked["inputText"] in self.server.failing:
            return
        row = self.server.encoder.encode([asked["inputText"]])[0]
        content = json.dumps({"embedding": row.tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(wordllama, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.encoder, server.asked, server.failing, server.lock = wordllama, [], set(), threading.Lock()
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_encode_keeps_the_order_of_requests_side_by_side(server, load, wordllama):
    """Four requests at a time over real HTTP: each text once, rows in the texts' order."""
    np.testing.assert_array_equal(load().encode(TEXTS), wordllama.encode(TEXTS))
    assert sorted(server.asked) == sorted(TEXTS)


def test_the_store_keeps_what_was_paid_for(server, load, wordllama, tmp_path, monkeypatch):
    """When one text drops the connection for ever, finished batches are stored; the next run sends only the others."""
    monkeypatch.setattr(store, "BATCH", 4, raising=False)
    server.failing = {TEXTS[9]}
    with pytest.raises(ApiError, match=r"3 attempts .the connection to 127.0.0.1:.* broke off"):
        store.EmbeddingStore(tmp_path).embed(load(), TEXTS)
    server.failing = set()
    server.asked.clear()
    vectors = store.EmbeddingStore(tmp_path).embed(load(), TEXTS)
    np.testing.assert_array_equal(vectors, wordllama.encode(TEXTS))
    assert sorted(server.asked) == sorted(TEXTS[8:])


def test_encode_gives_up_soon_on_a_service_that_is_not_there(server, load, waits):
    """An address where nothing listens is not asked for a minute."""
    encoder = load(concurrency=1)
    server.shutdown()
    server.server_close()
    with pytest.raises(ApiError, match=r"3 attempts .127.0.0.1:.* cannot be reached"):
        encoder.encode(["bread"])
    assert len(waits) == 2


def test_the_credentials_and_the_texts_are_nowhere(server, load, tmp_path, caplog):
    """Neither the representation, nor an error with its traceback, nor a log at DEBUG, nor a stored file holds them."""
    caplog.set_level(logging.DEBUG)
    encoder = load()
    store.EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    server.failing = set(TEXTS)
    with pytest.raises(ApiError, match="broke off") as found:
        encoder.encode(TEXTS)
    assert found.value.__cause__ is found.value.__context__ is None
    said = repr(encoder) + encoder.revision + caplog.text + "".join(traceback.format_exception(found.value))
    assert not any(secret in said for secret in (KEY_ID, SECRET))
    assert not any(text in caplog.text for text in TEXTS)
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert KEY_ID.encode() not in stored
    assert SECRET.encode() not in stored


def test_load_refuses_other_models_and_widths():
    """Only Titan V2 and its three widths are known here."""
    with pytest.raises(ModelUnavailableError, match=r"`bedrock:cohere.embed` is not supported; choose `bedrock:"):
        load_encoder("bedrock:cohere.embed@256")
    with pytest.raises(DimensionError, match=r"`dimensions` is 300 but .* has 256, 512 or 1024"):
        load_encoder(f"bedrock:{TITAN}@300")
    with pytest.raises(InvalidInputError, match="`concurrency` is 0; choose 1 to 64"):
        bedrock.load(TITAN, concurrency=0)


def test_load_names_what_the_environment_lacks(monkeypatch):
    """No region, no credentials, or settings that cannot be read: one sentence each, before anything is sent."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ModelUnavailableError, match=r"unusable .ProfileNotFound.; check the AWS_ variables"):
        load_encoder(f"bedrock:{TITAN}")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ModelUnavailableError, match="set AWS_DEFAULT_REGION"):
        load_encoder(f"bedrock:{TITAN}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ModelUnavailableError, match="no AWS credentials; set AWS_ACCESS_KEY_ID"):
        load_encoder(f"bedrock:{TITAN}")


def test_load_without_the_client_names_the_pip_command(monkeypatch):
    """The client is an extra: its absence is one sentence with the command."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(OptionalDependencyError, match=r"pip install 'boto3>=1.40,<2'"):
        load_encoder(f"bedrock:{TITAN}")


def test_count_tokens_is_the_estimate_of_each_text(titan):
    """The service's tokenizer is not here: each text's count is the estimate."""
    assert titan.count_tokens(["abcde", ""]) == [2, 0]
