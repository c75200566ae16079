"""Training: nested losses and heads, adaptive classification, learned truncation, adaptors for frozen embeddings.

Import from the modules; importing this package loads nothing heavy.
"""
