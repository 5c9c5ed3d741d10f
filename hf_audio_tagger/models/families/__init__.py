"""Model families, one per file, listed in `registry.py`."""
