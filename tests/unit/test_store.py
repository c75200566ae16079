"""The store embeds each text once and never serves a wrong row."""

import numpy as np
import pytest

from mrl_viz.encoders import load_encoder
from mrl_viz.errors import DimensionError
from mrl_viz.store import EmbeddingStore

TEXTS = [f"text number {n} about {topic}" for n in range(40) for topic in ("rivers", "bread", "tax")]


class Counting:
    """The real encoder, counting the texts it is asked for."""

    def __init__(self, encoder):
        self._encoder, self.asked = encoder, []

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode(self, texts, **options):
        self.asked += texts
        return self._encoder.encode(texts, **options)


@pytest.fixture
def encoder():
    return Counting(load_encoder())


def test_a_second_run_embeds_nothing_and_an_edit_one(tmp_path, encoder):
    """Stored vectors are the encoder's own, bit by bit; only unknown texts are encoded."""
    first = EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    np.testing.assert_array_equal(first, load_encoder().encode(TEXTS))
    encoder.asked.clear()
    edited = ["another line", *TEXTS[1:], TEXTS[5]]
    second = EmbeddingStore(tmp_path).embed(encoder, edited)
    assert encoder.asked == ["another line"]
    np.testing.assert_array_equal(second[1:-1], first[1:])
    np.testing.assert_array_equal(second[-1], first[5])


def test_a_damaged_chunk_is_embedded_again(tmp_path, encoder):
    """A flipped byte fails the checksum; the vectors served are right all the same."""
    first = EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    (chunk,) = tmp_path.glob("*/vectors.zarr/c/0/1")
    content = bytearray(chunk.read_bytes())
    content[1000] ^= 255
    chunk.write_bytes(content)
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(encoder, TEXTS), first)


def test_a_prefix_reads_only_its_column_chunks(tmp_path, encoder):
    """With every later column chunk gone, a 64-d prefix is still served without encoding."""
    first = EmbeddingStore(tmp_path).embed(encoder, TEXTS)
    for column in (1, 2, 3):
        next(tmp_path.glob(f"*/vectors.zarr/c/0/{column}")).unlink()
    encoder.asked.clear()
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).embed(encoder, TEXTS, dim=64), first[:, :64])
    assert encoder.asked == []


def test_an_impossible_prefix_is_refused(tmp_path, encoder):
    """A prefix is 1 to full_dim wide."""
    with pytest.raises(DimensionError, match="choose 1 to 256"):
        EmbeddingStore(tmp_path).embed(encoder, TEXTS, dim=257)
