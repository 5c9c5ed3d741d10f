"""`Media` → mono sound: safe opening of containers, decoders, resampling, remote files."""
