"""The measured things, a process each: ``python -m benchmarks.subjects.NAME '{settings}'``."""
