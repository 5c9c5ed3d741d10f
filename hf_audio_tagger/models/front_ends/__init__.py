"""Front ends, which convert sound to features, one per file."""
