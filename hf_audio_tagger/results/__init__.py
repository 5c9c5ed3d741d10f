"""Facts of a tagged dataset, and what shows them: a summary, a dataset card."""
