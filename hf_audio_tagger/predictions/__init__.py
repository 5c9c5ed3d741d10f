"""Scores of each window of each clip as files: their layout, reading them, the best moments in them."""
