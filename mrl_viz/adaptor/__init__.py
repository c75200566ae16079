"""Maps that make frozen embeddings truncatable."""
