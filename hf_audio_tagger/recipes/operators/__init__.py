"""Operators of Data-Juicer, a file each."""
