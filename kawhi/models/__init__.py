"""Where queries, keys, heads and rotary embeddings live in each model family.  transformers only."""
