"""`Media` → mono sound: a safe container, decoders, resampling, files behind URLs.

| module | its subject |
|---|---|
| `audio` | `open_sound`: the first audio stream of a clip, by the chosen decoder |
| `decoders/` | a file for each decoder |
| `container` | FFmpeg's containers, opened so that a file can name no other file or host |
| `source` | what a decoder reads from: a local file, bytes, or a URL (`remote/`) |
| `sound`, `resample` | an opened clip's samples, and the same at another rate |
| `failures` | errors of the clip, and of a machine that ran out of something |
"""
