"""Private and undocumented names of other libraries: this folder is the only place that uses them.

One file a library, one small function a name. tests/test_compat.py runs each against the library that is
installed, and setup.cfg has an upper bound for each library that stands here.
"""
