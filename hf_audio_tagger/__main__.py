"""`python -m hf_audio_tagger` is `hf-audio-tagger`."""

from .cli import main

if __name__ == "__main__":
    main()
