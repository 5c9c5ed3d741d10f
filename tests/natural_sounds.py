"""Sounds that a model of real sounds knows: speech by formants, music, noise. Seeded, and in numpy alone."""

import numpy as np

RATE_HZ = 16_000
PITCH_HZ = 110.0
VOWELS_HZ = np.array(  # the first three formants of vowels of English
    [(730, 1090, 2440), (300, 2290, 3010), (320, 870, 2240), (530, 1840, 2480), (570, 840, 2410)], float
)
HIGH_FORMANTS_HZ = (3400.0, 4300.0)
WIDTHS_HZ = (90, 110, 170, 250, 300)
NASAL_HZ = 250.0
HIGHEST_HZ = 5_500.0
CHORDS = ((60, 64, 67, 72), (57, 60, 64, 69), (53, 57, 60, 65), (55, 59, 62, 67))  # MIDI notes
BEAT_SECONDS = 0.4


def make_speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Syllables of no language: consonants that hiss or hum, vowels, a falling pitch, pauses."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    formants, pitch = np.zeros((3, count)), np.zeros(count)
    voice, hiss = np.zeros(count), np.zeros(count)
    at = syllables = 0
    while at < count:
        if syllables == 0:
            syllables, height, at = (
                random.integers(4, 9),
                1.2,
                at + round(random.uniform(0.15, 0.35) * RATE_HZ),
            )
        vowel = VOWELS_HZ[random.integers(len(VOWELS_HZ))]
        consonant = slice(at, at := at + round(random.uniform(0.05, 0.11) * RATE_HZ))
        sounding = slice(at, at := at + round(random.uniform(0.07, 0.2) * RATE_HZ))
        for part in (consonant, sounding):
            formants[:, part], pitch[part] = vowel[:, None], PITCH_HZ * height * random.uniform(0.95, 1.05)
        voice[sounding] = random.uniform(0.5, 1)
        kind = random.integers(3)
        if kind == 0:
            hiss[consonant] = random.uniform(0.5, 1)
        elif kind == 1:
            voice[consonant], formants[0, consonant] = 0.15, NASAL_HZ
        height, syllables = height - 0.06, syllables - 1
    formants = np.array([smooth(hold(track), 0.05) for track in formants])
    pitch = smooth(hold(pitch), 0.1) * (1 + 0.16 * smooth(random.normal(size=count), 0.01))
    breath = np.diff(random.normal(size=count), n=2, prepend=0, append=0)
    sound = smooth(voice, 0.03) * voiced(pitch, formants, random)
    sound = sound / np.abs(sound).max() + (0.025 * smooth(hiss, 0.02) + 0.005) * breath
    echo = 0.03 * random.normal(size=RATE_HZ // 4) * np.exp(-np.arange(RATE_HZ // 4) / 640)
    echo[0] = 1
    return to_level(np.convolve(sound, echo)[:count])


def voiced(pitch: np.ndarray, formants: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The harmonics of the pitch as the formants' resonances shape them."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    centres = [*formants, *(np.full_like(pitch, hertz) for hertz in HIGH_FORMANTS_HZ)]
    sound = np.zeros_like(pitch)
    for harmonic in range(1, int(HIGHEST_HZ / PITCH_HZ)):
        hertz = harmonic * pitch
        response = np.ones_like(pitch, complex)
        for centre, width in zip(centres, WIDTHS_HZ, strict=True):
            response *= (centre**2 + width**2 / 4) / (centre**2 + (width / 2 + 1j * hertz) ** 2)
        source = hertz / (1 + (hertz / 250) ** 2)  # the glottis, and the radiation at the lips
        flutter = 1 + 1.8 * min(1, harmonic / 12) * smooth(random.normal(size=len(pitch)), 0.006)
        sound += np.abs(response) * source * flutter * np.sin(harmonic * phase + np.angle(response))
    return sound


def make_music(seconds: float) -> np.ndarray:
    """Chords and their notes one after the other, each struck and fading, as of an electric piano."""
    count = round(seconds * RATE_HZ)
    sound = np.zeros(count)
    for beat in range(int(seconds / BEAT_SECONDS)):
        chord = CHORDS[beat // 4 % len(CHORDS)]
        notes = chord if beat % 4 == 0 else (chord[beat % 4] + 12,)
        start = round(beat * BEAT_SECONDS * RATE_HZ)
        time = np.arange(min(count - start, round(1.2 * RATE_HZ))) / RATE_HZ
        for note in notes:
            hertz = 440 * 2 ** ((note - 69) / 12)
            for overtone in range(1, 9):
                fading = np.exp(-time * (2 + 0.8 * overtone)) / overtone**1.3
                stretched = overtone * np.sqrt(1 + 4e-4 * overtone**2)  # strings are stiff
                tone = fading * np.sin(2 * np.pi * hertz * stretched * time)
                sound[start : start + len(time)] += tone * np.minimum(1, time / 0.004)
    return to_level(sound)


def make_noise(seconds: float, seed: int = 0) -> np.ndarray:
    return to_level(np.random.default_rng(seed).normal(size=round(seconds * RATE_HZ)), 0.8)


def hold(track: np.ndarray) -> np.ndarray:
    """The track with the value before in place of each 0, the first one at the beginning."""
    known = np.flatnonzero(track)
    places = np.searchsorted(known, np.arange(len(track)), side="right") - 1
    return track[known[np.maximum(places, 0)]]


def smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    size = round(seconds * RATE_HZ)
    bell = np.hanning(size + 2)[1:-1]
    return np.convolve(np.pad(track, size, mode="edge"), bell / bell.sum(), "same")[size:-size]


def to_level(sound: np.ndarray, level: float = 0.5) -> np.ndarray:
    return (level * sound / np.abs(sound).max()).astype(np.float32)
