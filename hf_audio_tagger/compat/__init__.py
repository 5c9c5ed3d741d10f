"""Private names of other libraries that this package uses: the only place that knows them."""
