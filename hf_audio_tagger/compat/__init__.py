"""Private and undocumented names of other libraries, which are used here alone: one small function a name.

tests/test_compat.py runs each against the installed library, whose version has an upper bound in setup.cfg.
"""
