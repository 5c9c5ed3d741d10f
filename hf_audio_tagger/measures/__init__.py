"""Numbers that a map adds to videos: each measure is a file, from the base in `base.py`."""
