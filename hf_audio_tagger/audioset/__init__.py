"""AudioSet's categories of sound, and asking a tagged dataset by them."""
