"""Neighbours: the rows of a base whose vectors point most nearly the same way, exactly, in blocks.

vectors.py      a column of vectors as blocks of unit vectors
search.py       blocks of queries against blocks of the base: the k best, by torch
scan.py         a few vectors together against a column, as fast as memory is read
find.py         `find`: rows by words, or like a clip
models.py       which models made a column of embeddings
nearest.py      `nearest`: the same for two datasets, with ids
files.py        `write_neighbors`, `read_neighbors`
balance.py      `at_most_per_class`: a cap for what has been gathered
"""
