"""Wrappers of private and undocumented names of other libraries, which are used only here.

tests/test_compat.py runs each against the installed library, whose version has an upper bound in setup.cfg.
"""
