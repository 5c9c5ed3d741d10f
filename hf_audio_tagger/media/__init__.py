"""`Media` → mono sound: a safe container, decoders, resampling, files behind URLs."""
