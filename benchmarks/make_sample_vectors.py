"""Write `sample_data/wordllama.safetensors` again: the default model's vectors of the sample's texts and queries.

    python benchmarks/make_sample_vectors.py

To be run after any change of the sample; a test fails until it has been.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import SAMPLE_VECTORS


def main() -> None:
    corpus = read_corpus("sample")
    encoder = load_encoder("wordllama")
    contents = [text.encode("utf-8") for text in (*corpus.texts, *corpus.query_texts)]
    path = sample_data_folder() / SAMPLE_VECTORS
    save_file(
        {
            "embeddings": np.vstack([encoder.encode(corpus.texts), encoder.encode(corpus.query_texts, kind="query")]),
            "texts": np.frombuffer(b"".join(contents), dtype=np.uint8),
            "text_ends": np.cumsum([len(content) for content in contents], dtype=np.int64),
        },
        path,
    )
    print(f"{path}: {len(contents)} vectors of {encoder.full_dim} coordinates, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
