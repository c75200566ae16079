"""Write the vectors of the sample's texts and queries again, by the default model and by the control.

    python benchmarks/make_sample_vectors.py

To be run after any change of the sample; a test fails until it has been.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import SAMPLE_MODELS, sample_vectors


def main() -> None:
    corpus = read_corpus("sample")
    contents = [text.encode("utf-8") for text in (*corpus.texts, *corpus.query_texts)]
    for model in SAMPLE_MODELS:
        encoder, path = load_encoder(model), sample_vectors(model)
        rows = np.vstack([encoder.encode(corpus.texts), encoder.encode(corpus.query_texts, kind="query")])
        save_file(
            {
                "embeddings": rows,
                "texts": np.frombuffer(b"".join(contents), dtype=np.uint8),
                "text_ends": np.cumsum([len(content) for content in contents], dtype=np.int64),
            },
            path,
        )
        print(f"{path}: {len(rows)} vectors of {encoder.full_dim} coordinates, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
