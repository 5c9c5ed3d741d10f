"""Text that others wrote, such as a file's name, made fit to be stored and to be shown."""


def is_utf8(text: str) -> bool:
    """False for a file's name that is none: Linux allows any bytes, which Python keeps as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_utf8(name: str) -> str:
    """A file's name as Arrow can hold it, the bytes that are no UTF-8 escaped by backslashes.

    >>> as_utf8(os.fsdecode(b"lat\\xe9in.mp4"))
    'lat\\\\xe9in.mp4'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
