"""How true tags and scores are, where the labels are known.

metrics.py      AP, AUC, d', lwlrap of arrays
predictions.py  what a model predicts for each row: scores of every class, or its tag alone
truth.py        the labels of the rows as an array over a model's classes
evaluate.py     `evaluate` and its `Evaluation`
"""
