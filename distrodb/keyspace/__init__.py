"""One partition's replicated dictionary.  Pure and deterministic: entries in, replies out."""
