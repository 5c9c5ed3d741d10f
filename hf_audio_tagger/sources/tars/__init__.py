"""Tars in WebDataset's layout: a sample is the members that follow each other and share a key.

`byte_streams` reads a tar front to back, from a disk or a store; `archive` finds its members; `samples`
groups them; `reader` opens a tar for them; `layout` finds the columns and makes rows; `names` finds the
tars that a pattern means. Nothing is extracted: a member's name never becomes a path.
"""
