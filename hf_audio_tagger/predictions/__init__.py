"""Scores of each window of a clip as files: written by `export_predictions`, read by `load_predictions`."""
