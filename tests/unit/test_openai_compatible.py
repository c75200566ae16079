"""OpenAI-compatible endpoints, against a real HTTP server on loopback that serves a real model."""

import json
import logging
import sys
import time
import traceback
from dataclasses import replace
from email.utils import formatdate

import numpy as np
import pytest

from mrl_viz.embedding import store
from mrl_viz.embedding.encoders import load_encoder, openai_compatible
from mrl_viz.embedding.encoders.api import Backoff, estimate_cost
from mrl_viz.errors import (
    ApiError,
    CancelledError,
    DimensionError,
    InvalidInputError,
    ModelUnavailableError,
    OptionalDependencyError,
)
from mrl_viz.truncation import truncate_and_normalize
from tests.embedding_server import KEY, EmbeddingServer, answer, make_endpoint, refuse, serving

TEXTS = [f"note {n} about {topic}" for n in range(4) for topic in ("rivers", "bread", "tax")]


def half(handler, reply):
    """Half the body, then the connection closes."""
    content = json.dumps(reply).encode()
    handler.send(200, content[: len(content) // 2], {"Content-Length": len(content)})
    handler.close_connection = True


def half_without_length(handler, reply):
    """Half the body of a server that ends its answers by closing the connection."""
    content = json.dumps(reply).encode()
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + content[: len(content) // 2])
    handler.close_connection = True


def drop(handler, _):
    """No answer at all."""
    handler.close_connection = True


def hang(handler, _):
    """Silence until the test is over."""
    handler.server.released.wait(10)


@pytest.fixture(scope="module")
def wordllama():
    return load_encoder()


@pytest.fixture(scope="module")
def running(wordllama):
    with serving(wordllama) as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    """The server without a past, as the environment's endpoint."""
    make_endpoint(running, monkeypatch)
    yield running
    running.released.set()


@pytest.fixture
def waits():
    """Seconds the back-off wanted to wait; nothing waits."""
    return []


@pytest.fixture(scope="module")
def known():
    """Encoders by their options: building a client is slow, so that tests share them."""
    return {}


@pytest.fixture
def load(server, waits, known):
    """The encoder of the server's model, with waits that are only noted."""

    def load(model="wordllama@256", attempts=3, **options):
        key = (model, *sorted(options.items()))
        if key not in known:
            known[key] = openai_compatible.load(model, **options)
        return replace(known[key], backoff=Backoff(attempts=attempts, sleep=waits.append))

    return load


def test_encode_gives_the_served_model_in_batches(server, load, wordllama):
    """Vectors are the model's own to the last bit, in the texts' order, in requests of `batch_size`."""
    seen = []
    vectors = load(batch_size=5).encode(TEXTS, progress=lambda *step: seen.append(step))
    np.testing.assert_array_equal(vectors, wordllama.encode(TEXTS))
    assert vectors.dtype == np.float32
    assert [len(body["input"]) for body in server.bodies] == [5, 5, 2]
    assert seen == [(5, 12), (10, 12), (12, 12)]
    assert server.keys == [f"Bearer {KEY}"] * 3


def test_load_encoder_asks_an_unknown_model_for_its_width_once(server, wordllama):
    """Without @DIMENSIONS nothing is sent about a width, and one short text finds it."""
    encoder = load_encoder("openai:wordllama")
    assert (encoder.name, encoder.full_dim, encoder.full_dim) == ("openai:wordllama", 256, 256)
    assert [body["input"] for body in server.bodies] == [[openai_compatible.PROBE]]
    np.testing.assert_array_equal(encoder.encode(TEXTS[:2]), wordllama.encode(TEXTS[:2]))
    assert "dimensions" not in server.bodies[-1]


def test_load_encoder_asks_for_the_named_width(server, wordllama):
    """@64 asks the server for 64 dimensions, which here are the prefix, renormalised."""
    encoder = load_encoder("openai:wordllama@64")
    assert (encoder.name, encoder.full_dim) == ("openai:wordllama@64", 64)
    expected = truncate_and_normalize(wordllama.encode(TEXTS), 64)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, rtol=0, atol=1e-7)


def test_known_models_need_no_request_for_their_width(server):
    """OpenAI's own models have documented widths, and no width above them."""
    assert load_encoder("openai:text-embedding-3-large").full_dim == 3072
    assert server.bodies == []
    with pytest.raises(DimensionError, match="4000; choose 1 to 3072"):
        load_encoder("openai:text-embedding-3-large@4000")
    with pytest.raises(DimensionError, match="`dimensions` is 0"):
        load_encoder("openai:some-model@0")


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("m@256", ("m", 256)), ("m", ("m", None)), ("@cf/baai/bge-m3", ("@cf/baai/bge-m3", None)),
        ("gecko@003", ("gecko@003", None)), ("gecko@003@64", ("gecko@003", 64)), ("m@-1", ("m", -1)),
    ],
)  # fmt: skip
def test_split_dimensions_leaves_an_at_sign_in_names(model, parts):
    """Only a plain number behind the last @ is a width."""
    assert openai_compatible.split_dimensions(model) == parts


def test_encode_orders_rows_by_index(server, load, wordllama):
    """Rows that come out of order are put back by their index."""
    server.fault = answer(lambda data: data[::-1])
    np.testing.assert_array_equal(load().encode(TEXTS), wordllama.encode(TEXTS))


def test_encode_leaves_blank_texts_at_zero_without_sending_them(server, load, wordllama):
    """APIs refuse empty texts: a blank one is never sent and its vector is 0."""
    seen = []
    vectors = load().encode(["", "bread", " \n"], progress=lambda *step: seen.append(step))
    assert [body["input"] for body in server.bodies] == [["bread"]]
    np.testing.assert_array_equal(vectors[1:2], wordllama.encode(["bread"]))
    assert not vectors[[0, 2]].any()
    assert seen[-1] == (3, 3)
    assert load().encode([]).shape == (0, 256)


def test_encode_splits_batches_by_tokens(server, load, monkeypatch):
    """A request also ends before it would hold too many tokens; one long text still goes alone."""
    monkeypatch.setattr(openai_compatible.OpenAICompatibleEncoder, "batch_tokens", 10)
    load().encode(["a" * 80, "b" * 20, "c" * 20, "d"])
    assert [len(body["input"]) for body in server.bodies] == [1, 2, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: [{**item, "embedding": item["embedding"][:7]} for item in data], "7 coordinates, not 256"),
        (lambda data: [{**data[0], "embedding": data[0]["embedding"][:9]}, *data[1:]], "9 coordinates, not 256"),
        (lambda data: [{**item, "embedding": [float("nan")] * 256} for item in data], "NaN, infinity or something"),
        (lambda data: [{**item, "embedding": [1e39] * 256} for item in data], "NaN, infinity or something"),
        (lambda data: [{**item, "embedding": [10**400] * 256} for item in data], "NaN, infinity or something"),
        (lambda data: [{**item, "embedding": [None] * 256} for item in data], "NaN, infinity or something"),
        (lambda data: [{**item, "embedding": ["0.5"] * 256} for item in data], "something that is no number"),
        (lambda data: [{**item, "embedding": "AAAA"} for item in data], "0 coordinates, not 256"),
        (lambda data: data[1:], "2 vectors for 3 texts"),
        (lambda data: [*data, data[0]], "4 vectors for 3 texts"),
        (lambda data: [], "0 vectors for 3 texts"),
        (lambda data: [{**item, "index": 0} for item in data], "which vector belongs to which text"),
        (lambda data: [{"embedding": item["embedding"]} for item in data], "which vector belongs to which text"),
        (lambda data: [{**item, "index": [1]} for item in data], "which vector belongs to which text"),
        (lambda data: {"rows": len(data)}, "sent no list of vectors"),
        (lambda data: [1, 2, 3], "sent no list of vectors"),
    ],
)
def test_encode_refuses_a_wrong_answer(server, load, waits, change, message):
    """Wrong widths, numbers, row counts and indices are one clear error, and are not asked for again."""
    server.fault = answer(change)
    with pytest.raises(ApiError, match=message):
        load().encode(TEXTS[:3])
    assert len(server.bodies) == 1
    assert waits == []


@pytest.mark.parametrize("fault", [refuse(500), refuse(503), refuse(429), half, half_without_length, drop])
def test_encode_asks_again_after_a_passing_failure(server, load, waits, wordllama, fault):
    """One failed request, or one broken off in the middle, costs a wait and nothing else."""
    server.faults = [fault]
    np.testing.assert_array_equal(load().encode(TEXTS), wordllama.encode(TEXTS))
    assert len(server.bodies) == 2
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (refuse(429), "no vectors in 3 attempts .HTTP 429 from 127.0.0.1:.*too many requests.; try again later"),
        (refuse(502), "HTTP 502 from 127.0.0.1:.*the server fails"),
        (half, "the connection to 127.0.0.1:.* broke off"),
        (half_without_length, "no JSON, or only half of it"),
        (drop, "the connection to 127.0.0.1:.* broke off"),
    ],
)
def test_encode_gives_up_in_the_end(server, load, waits, fault, message):
    """A failure for ever ends after the attempts allowed, each wait twice the one before."""
    server.fault = fault
    with pytest.raises(ApiError, match=message):
        load().encode(TEXTS)
    assert len(server.bodies) == 3
    assert 1 <= waits[0] <= 1.25
    assert 2 <= waits[1] <= 2.5


def test_encode_gives_up_on_a_silent_server(server, load):
    """A request without an answer ends after `timeout_s`."""
    server.fault = hang
    started = time.perf_counter()
    with pytest.raises(ApiError, match=r"2 attempts .127.0.0.1:.* did not answer in time"):
        load(attempts=2, timeout_s=0.1).encode(TEXTS)
    assert time.perf_counter() - started < 5


def test_encode_gives_up_soon_on_a_server_that_is_not_there(load, waits):
    """An address where nothing listens is not asked for a minute."""
    with EmbeddingServer(None) as gone:
        url = f"http://127.0.0.1:{gone.server_port}"
    with pytest.raises(ApiError, match=r"3 attempts .127.0.0.1:.* cannot be reached"):
        load(base_url=url, attempts=7).encode(TEXTS)
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ({"Retry-After": "7.5"}, 7.5, 7.5), ({"retry-after-ms": "4000", "Retry-After": "9"}, 4, 4),
        ({"Retry-After": "-3"}, 1, 1.25), ({"Retry-After": "nan"}, 1, 1.25), ({"Retry-After": "soon"}, 1, 1.25),
    ],
)  # fmt: skip
def test_encode_waits_as_long_as_the_server_asks(server, load, waits, header, low, high):
    """Retry-After goes before the back-off; one that says nothing usable is left aside."""
    server.faults = [refuse(429, headers=header)]
    load().encode(TEXTS)
    assert low <= waits[0] <= high


def test_encode_reads_retry_after_as_a_date(server, load, waits):
    """A date is the seconds until then."""
    server.faults = [refuse(503, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)})]
    load().encode(TEXTS)
    assert 25 <= waits[0] <= 30


def test_encode_does_not_wait_longer_than_it_may(server, load, waits):
    """A server that asks for an hour is not waited for; the error says how long it wants."""
    server.fault = refuse(429, headers={"Retry-After": "3600"})
    with pytest.raises(ApiError, match=r"1 attempt .*try again in 3600 seconds"):
        load().encode(TEXTS)
    assert waits == []


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (refuse(401, f"Incorrect API key provided: {KEY}"), ModelUnavailableError,
         "HTTP 401.; set MRL_VIZ_OPENAI_API_KEY or OPENAI_API_KEY"),
        (refuse(403), ModelUnavailableError, "does not let this key use `wordllama`"),
        (refuse(404), ModelUnavailableError, "no embedding model `wordllama`.*MRL_VIZ_OPENAI_BASE_URL"),
        (refuse(400, "maximum context\n length is 8192"), ApiError, "HTTP 400: maximum context length is 8192.; check"),
        (refuse(429, code="insufficient_quota"), ApiError, "quota at 127.0.0.1:.* is used up"),
    ],
)  # fmt: skip
def test_encode_does_not_repeat_what_cannot_succeed(server, load, waits, fault, error, message):
    """A refusal for good is one request and says what to change."""
    server.fault = fault
    with pytest.raises(error, match=message):
        load().encode(TEXTS)
    assert len(server.bodies) == 1
    assert waits == []


def test_encode_halves_a_batch_the_server_finds_too_large(server, load, wordllama):
    """A server that takes two texts at a time gets two at a time, and the rows stay in order."""

    def at_most_two(handler, reply):
        (answer() if len(reply["data"]) <= 2 else refuse(413))(handler, reply)

    server.fault = at_most_two
    np.testing.assert_array_equal(load().encode(TEXTS[:5]), wordllama.encode(TEXTS[:5]))
    server.fault = refuse(422, "too long")
    with pytest.raises(ApiError, match="HTTP 422: too long"):
        load().encode(TEXTS[:1])


def test_encode_stops_between_batches_and_while_waiting(server, load, waits):
    """`cancelled` is asked before each request and during each wait."""
    with pytest.raises(CancelledError, match="after 4 of 12 texts"):
        load(batch_size=4).encode(TEXTS, cancelled=lambda: len(server.bodies) == 1)
    server.fault = refuse(429, headers={"Retry-After": "50"})
    with pytest.raises(CancelledError, match="waiting for the server"):
        load().encode(TEXTS, cancelled=lambda: sum(waits) > 2)
    assert sum(waits) < 4


def test_encode_names_a_text_that_cannot_be_sent(server, load):
    """Half a surrogate pair is found before anything is paid for."""
    with pytest.raises(InvalidInputError, match=r"lone surrogate. in row 1"):
        load().encode(["fine", "\ud83d"])
    assert server.bodies == []


def test_the_store_keeps_what_was_paid_for(server, load, wordllama, tmp_path, monkeypatch):
    """After 429 for ever the finished batches are stored, and the next run sends only the others."""
    monkeypatch.setattr(store, "BATCH", 4, raising=False)
    encoder = load(batch_size=4)
    server.faults = [answer(), answer()]
    server.fault = refuse(429)
    with pytest.raises(ApiError, match="what the store has is kept"):
        store.EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    server.fault = None
    server.bodies.clear()
    vectors = store.EmbeddingStore(tmp_path).embed(load(batch_size=4), TEXTS)
    np.testing.assert_array_equal(vectors, wordllama.encode(TEXTS))
    assert [body["input"] for body in server.bodies] == [TEXTS[8:]]


def test_revision_tells_endpoints_models_and_widths_apart(load):
    """Another host, port, path, model or width is another revision; a trailing slash or the key is not."""
    same = load("m", base_url="https://a.example/v1").revision
    others = {
        load(model, base_url=url).revision
        for model, url in [
            ("m", "https://b.example/v1"), ("m", "https://a.example:81/v1"), ("m", "https://a.example/v2"),
            ("n", "https://a.example/v1"), ("m@8", "https://a.example/v1"), ("m@9", "https://a.example/v1"),
        ]
    }  # fmt: skip
    assert len(others | {same}) == 7
    assert load("m", base_url="https://A.example/v1/").revision == same
    assert all(part in same for part in ("a.example", "m@full"))


def test_the_key_and_the_texts_are_nowhere(server, load, tmp_path, caplog):
    """Neither representation, nor errors with tracebacks, nor logs at DEBUG, nor stored files hold the key."""
    caplog.set_level(logging.DEBUG)
    encoder = load()
    store.EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    server.fault = refuse(400, f"bad request by {KEY}")
    with pytest.raises(ApiError, match=r"bad request by \*\*\*") as refused:
        encoder.encode(TEXTS)
    server.fault = refuse(401, f"no such key {KEY}")
    with pytest.raises(ModelUnavailableError, match="refuses the key") as unauthorised:
        encoder.encode(TEXTS)
    server.fault = refuse(500, f"failed for {KEY}")
    with pytest.raises(ApiError, match="HTTP 500") as failed:
        encoder.encode(TEXTS)
    for found in (refused, unauthorised, failed):
        assert found.value.__cause__ is found.value.__context__ is None
        assert KEY not in "".join(traceback.format_exception(found.value))
    assert KEY not in repr(encoder) + str(encoder) + encoder.revision + caplog.text
    assert not any(text in caplog.text for text in TEXTS)
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_load_takes_address_and_key_from_the_environment(server, monkeypatch):
    """A flag goes before MRL_VIZ_OPENAI_BASE_URL, that before OPENAI_BASE_URL; one's own server needs no key."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://second.example/v1")
    assert openai_compatible.load("m", base_url="http://flag.example").host == "flag.example"
    assert openai_compatible.load("m").host == f"127.0.0.1:{server.server_port}"
    monkeypatch.delenv("MRL_VIZ_OPENAI_BASE_URL")
    assert openai_compatible.load("m").host == "second.example"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.delenv("MRL_VIZ_OPENAI_API_KEY")
    assert openai_compatible.load("wordllama").full_dim == 256
    assert server.keys == ["Bearer no-key-needed"]
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(ModelUnavailableError, match=r"no key for api.openai.com; set MRL_VIZ_OPENAI_API_KEY or"):
        openai_compatible.load("text-embedding-3-small")
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\u2026")
    with pytest.raises(ModelUnavailableError, match="`OPENAI_API_KEY` holds a character") as found:
        openai_compatible.load("text-embedding-3-small")
    assert KEY not in str(found.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://a.example", "no web address"), ("a.example/v1", "no web address"), ("http://", "no web address"),
        ("http://a b/v1", "no web address"), ("http://a:x/v1", "no web address"), ("http://[::1/v1", "no web address"),
        ("https://me:secret@a.example/v1", "holds a user name"), ("https://a.example/v1?key=secret", "a query"),
    ],
)  # fmt: skip
def test_load_refuses_an_address_that_cannot_be_used(monkeypatch, url, message):
    """The error names the variable and never repeats the address, which may hold a password."""
    monkeypatch.setenv("MRL_VIZ_OPENAI_BASE_URL", url)
    with pytest.raises(InvalidInputError, match=f"`MRL_VIZ_OPENAI_BASE_URL`.*{message}") as found:
        load_encoder("openai:m")
    assert "secret" not in str(found.value)


def test_load_refuses_an_empty_name_and_an_impossible_batch(server):
    """Both are found before anything is sent."""
    with pytest.raises(InvalidInputError, match="`model` is empty"):
        load_encoder("openai:")
    with pytest.raises(InvalidInputError, match="`batch_size` is 0; choose 1 to 2048"):
        openai_compatible.load("m", batch_size=0)


def test_load_without_the_client_names_the_pip_command(monkeypatch):
    """The client is an extra: its absence is one sentence with the command."""
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(OptionalDependencyError, match="pip install 'openai>=2,<3'"):
        load_encoder("openai:text-embedding-3-small")


def test_estimate_cost_counts_distinct_texts_between_plain_and_worst_case():
    """Four ASCII characters or one other make a token, at most one per byte; equal and blank texts add nothing."""
    cost = estimate_cost(["abcdefgh", "abcdefgh", "日本語", " ", ""], 0.5)
    assert (cost.n_texts, cost.tokens, cost.tokens_at_most) == (2, 5, 17)
    assert (cost.cost, cost.cost_at_most) == (pytest.approx(2.5e-6), pytest.approx(8.5e-6))
    assert estimate_cost([], 1).cost == 0
    with_queries = estimate_cost(["abcdefgh", "abcdefgh", "日本語"], 0.5)
    assert (with_queries.n_texts, with_queries.tokens, with_queries.tokens_at_most) == (2, 5, 17)
    for price in (-1, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="`price_per_million` is"):
            estimate_cost(["a"], price)


def test_estimate_cost_is_near_a_real_tokenizer(wordllama):
    """On English prose the estimate is within a third of a real tokenizer's count, and the ceiling above it."""
    texts = [f"The committee met on day {n} to discuss how much water the river carries in spring." for n in range(9)]
    tokens = sum(wordllama.count_tokens(texts))
    cost = estimate_cost(texts, 1.0)
    assert abs(cost.tokens - tokens) < tokens / 3
    assert cost.tokens_at_most > tokens


def test_count_tokens_is_the_estimate_of_each_text(load):
    """An API's tokenizer is not here: each text's count is the estimate."""
    assert load().count_tokens(["abcde", "", "日本"]) == [2, 0, 2]
