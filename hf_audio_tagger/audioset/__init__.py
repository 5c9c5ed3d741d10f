"""AudioSet's ontology of sounds, and queries on tagged datasets."""
