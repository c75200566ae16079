"""From texts to stored vectors: encoders, the catalogue of models, the store."""
