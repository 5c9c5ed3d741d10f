"""Families of models, a file each; `registry.py` lists them."""
