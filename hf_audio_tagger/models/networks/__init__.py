"""Networks of this package, a file each."""
