"""The shell command `hf-audio-tagger`: commands read options, call the package and print."""

from .app import Commands as Commands
from .app import app as app
from .app import main as main
