"""The package's version, apart from all else so that any module can name it."""

__version__ = "0.1.0"
