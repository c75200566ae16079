"""Texts, vectors and their labels: corpora, and the files they come from."""
