"""Sound to features, a file a front end."""
