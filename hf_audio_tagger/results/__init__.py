"""Statistics of a tagged dataset, shown as a summary and a dataset card."""
