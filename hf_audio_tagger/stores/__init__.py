"""Object stores and other places behind a URL, for results and tables: listed, read by ranges, put whole.

place = StorePath("s3://bucket/run")    # credentials as fsspec finds them, such as AWS_* and profiles
(place / "a.json").write_bytes(b"{}")   # whole, or not at all
[path.name for path in place.glob("*.json")]

Every error is a `StoreError` that says what to do, and no request waits without an end.
"""

from .errors import StoreError as StoreError
from .store_path import Place as Place
from .store_path import StorePath as StorePath
from .store_path import is_store as is_store
