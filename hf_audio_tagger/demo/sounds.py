"""Synthesized sounds, each with its AudioSet name.

`synthesize(label, seconds, rate_hz, seed)` is pure: the same arguments give the same samples. The seed
decides pitch, tempo, level, phase of the rhythm, and the faint background noise.
"""

from collections.abc import Callable

import numpy as np

Wave = np.ndarray  # (samples,) of float

LEVEL_DB = (-30.0, -1.0)  # peak, against full scale
BACKGROUND_DB = (-70.0, -45.0)  # background noise, against the sound's own peak
FAINT_SILENCE_DB = (-100.0, -80.0)  # background level of a silent recording
LOWEST_NOISE_HZ = 20.0  # below it the amplitude of coloured noise is constant


class Take:
    """One recording to synthesize: its length, its rate and its random generator."""

    def __init__(self, samples: int, rate_hz: int, rng: np.random.Generator) -> None:
        self.samples, self.rate_hz, self.rng = samples, rate_hz, rng
        self.seconds, self.times = samples / rate_hz, np.arange(samples) / rate_hz

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pitch(self, low_hz: float, high_hz: float) -> float:
        """A random frequency, log-uniform between the two."""
        return float(np.exp(self.rng.uniform(np.log(low_hz), np.log(high_hz))))

    def gain(self, low_db: float, high_db: float) -> float:
        return float(10 ** (self.uniform(low_db, high_db) / 20))


# Building blocks


def _sine(cycles: Wave) -> Wave:
    """sin(2 pi cycles). Whole cycles are subtracted first: float32 is ten times faster, and exact near 0."""
    return np.sin((2 * np.pi * (cycles - np.floor(cycles))).astype(np.float32))


def _tone(take: Take, frequency_hz: float | Wave) -> Wave:
    """A sine from a random phase; the frequency may change with time."""
    start = take.uniform(0, 1)
    if isinstance(frequency_hz, np.ndarray):
        return _sine(start + np.cumsum(frequency_hz) / take.rate_hz)
    return _sine(start + frequency_hz * take.times)


def _coloured_noise(take: Take, slope: float) -> Wave:
    """Noise whose amplitude falls as frequency to the power of `slope`: 0 is white, 0.5 pink."""
    noise = take.rng.standard_normal(take.samples, dtype=np.float32)
    if slope == 0:
        return noise
    frequency_hz = np.fft.rfftfreq(take.samples, 1 / take.rate_hz).astype(np.float32)
    response = np.maximum(frequency_hz, LOWEST_NOISE_HZ) ** np.float32(-slope)
    return np.fft.irfft(np.fft.rfft(noise) * response, n=take.samples)


def _gate(take: Take, period_seconds: float, duty: float) -> Wave:
    """1 while on and 0 while off, from a random phase, with 5 ms edges."""
    phase = (take.times / period_seconds + take.uniform(0, 1)) % 1.0
    edge = 0.005 / period_seconds
    return np.clip(np.minimum(phase, duty - phase) / edge, 0.0, 1.0)


def _struck(rate_hz: int, seconds: float, partials: list[tuple[float, float, float]]) -> Wave:
    """A struck object: the sum of partials (frequency in Hz, amplitude, seconds until 1/e)."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    ring = np.zeros(len(times))
    for frequency_hz, amplitude, decay in partials:
        if frequency_hz < 0.45 * rate_hz:
            ring += amplitude * _sine(frequency_hz * times) * np.exp((-times / decay).astype(np.float32))
    return ring * np.minimum(times / 0.001, 1.0)  # an attack of at least 1 ms


def _add_event(wave: Wave, event: Wave, start: int) -> None:
    """Add the event to the wave in place, cropped to the wave."""
    first, last = max(start, 0), min(start + len(event), len(wave))
    if first < last:
        wave[first:last] += event[first - start : last - start]


def _repeat(take: Take, events: list[Wave], period_seconds: float, jitter: float = 0.0) -> Wave:
    """Repeat the events in turn, one per period, from a random phase."""
    wave = np.zeros(take.samples)
    longest = max(len(event) for event in events) / take.rate_hz
    before = int(np.ceil(longest / period_seconds)) + 1
    offset = take.uniform(0, 1)
    for turn in range(-before, int(take.seconds / period_seconds) + 1):
        beat = turn + offset + take.uniform(-jitter, jitter)
        _add_event(wave, events[turn % len(events)], int(beat * period_seconds * take.rate_hz))
    return wave


# One function per sound, in the order of their names


def _beep(take: Take) -> Wave:
    gate = _gate(take, period_seconds=take.uniform(0.25, 0.7), duty=take.uniform(0.3, 0.5))
    return gate * _tone(take, take.pitch(900, 3000))


def _dial_tone(take: Take, low_hz: float = 350, high_hz: float = 440) -> Wave:
    detune = take.uniform(0.97, 1.03)
    return _tone(take, low_hz * detune) + _tone(take, high_hz * detune)


def _busy_signal(take: Take) -> Wave:
    return _dial_tone(take, 480, 620) * _gate(take, period_seconds=take.uniform(0.9, 1.1), duty=0.5)


def _chirp_tone(take: Take) -> Wave:
    """Sweeps over several octaves, each in under a second."""
    period = take.uniform(0.35, 1.0)
    low_hz, high_hz = take.pitch(200, 600), take.pitch(3000, 6000)
    phase = (take.times / period + take.uniform(0, 1)) % 1.0
    if take.rng.random() < 0.5:
        phase = 1.0 - phase
    return _tone(take, low_hz * (high_hz / low_hz) ** phase)


def _church_bell(take: Take) -> Wave:
    hum_hz = take.pitch(110, 260)
    ratios = (1.0, 2.0, 2.4, 3.0, 4.0, 5.35, 6.7, 8.2)  # hum, prime, minor third, fifth, nominal...
    partials = [
        (hum_hz * ratio * take.uniform(0.99, 1.01), take.uniform(0.4, 1.0), 2.5 / ratio**0.7)
        for ratio in ratios
    ]
    strike = _struck(take.rate_hz, 5.0, partials)
    return _repeat(take, [strike], period_seconds=take.uniform(0.9, 2.2), jitter=0.02)


def _clicking(take: Take) -> Wave:
    samples = int(take.uniform(0.002, 0.005) * take.rate_hz)
    decay = np.exp(-np.arange(samples) / (samples / 4))
    clicks = [take.rng.standard_normal(samples) * decay for _ in range(4)]
    return _repeat(take, clicks, period_seconds=take.uniform(0.06, 0.18), jitter=0.2)


def _cricket(take: Take) -> Wave:
    """Bursts of three or four pulses near 4.5 kHz, several times a second."""
    pitch_hz = take.pitch(3800, 5200)
    pulse_seconds, pulses = take.uniform(0.012, 0.022), int(take.rng.integers(3, 5))
    times = np.arange(int(pulses * 2 * pulse_seconds * take.rate_hz)) / take.rate_hz
    swell = np.maximum(np.sin(np.pi * times / pulse_seconds), 0.0)
    burst = swell * np.sin(2 * np.pi * pitch_hz * times)
    return _repeat(take, [burst], period_seconds=take.uniform(0.25, 0.6), jitter=0.05)


def _heartbeat(take: Take) -> Wave:
    period = 60 / take.uniform(60, 110)
    depth = take.uniform(0.85, 1.2)

    beat = np.zeros(int(0.6 * take.rate_hz))
    for pitch_hz, amplitude, start_seconds in ((55, 1.0, 0.0), (75, 0.7, period * 0.33)):
        partials = [(pitch_hz * depth * ratio, 1.0 / ratio, 0.035) for ratio in (1.0, 1.5, 2.0)]
        thud = _struck(take.rate_hz, 0.2, partials)
        _add_event(beat, amplitude * thud, int(start_seconds * take.rate_hz))
    return _repeat(take, [beat], period, jitter=0.01)


def _mains_hum(take: Take) -> Wave:
    mains_hz = 50.0 if take.rng.random() < 0.5 else 60.0
    hum = np.zeros(take.samples)
    for harmonic in (1, 2, 3, 4, 5, 6, 8, 10):
        hum += take.uniform(0.4, 1.0) / harmonic**0.8 * _tone(take, mains_hz * harmonic)
    return hum


def _music(take: Take) -> Wave:
    """A melody over the chords of a major key, one chord for every four notes."""
    beat = 60 / take.uniform(90, 150)
    tonic_hz = take.pitch(110, 220)
    scale = (0, 2, 4, 5, 7, 9, 11)
    wave = np.zeros(take.samples)

    def note(degree: int, seconds: float) -> Wave:
        octave, step = divmod(degree, len(scale))
        pitch_hz = tonic_hz * 2 ** (octave + scale[step] / 12)
        partials = [(pitch_hz * k, 1.0 / k**1.3, seconds / (2.0 + 0.5 * k)) for k in range(1, 5)]
        return _struck(take.rate_hz, 1.2 * seconds, partials)

    offset = take.uniform(-1, 0) * 4 * beat
    for bar in range(int(take.seconds / (4 * beat)) + 2):
        root = int(take.rng.choice((0, 3, 4, 5)))
        start = int((offset + bar * 4 * beat) * take.rate_hz)
        for degree in (root, root + 2, root + 4):
            _add_event(wave, 0.5 * note(degree, 4 * beat), start)
        for step in range(4):
            degree = 14 + root + int(take.rng.choice((-2, 0, 1, 2, 4)))
            _add_event(wave, 0.8 * note(degree, beat), start + int(step * beat * take.rate_hz))
    return wave


def _silence(take: Take) -> Wave:
    if take.rng.random() < 0.4:
        return np.zeros(take.samples)
    return _coloured_noise(take, slope=float(take.rng.choice((0.0, 0.5))))


def _siren(take: Take) -> Wave:
    """A wail: a slow rise and fall, with the odd harmonics of a horn."""
    low_hz, high_hz = take.pitch(450, 650), take.pitch(1100, 1600)
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * (take.times / take.uniform(2.0, 5.0) + take.uniform(0, 1)))
    pitch_hz = low_hz * (high_hz / low_hz) ** swing
    wail = np.zeros(take.samples)
    for harmonic in (1, 3, 5):
        wail += _tone(take, pitch_hz * harmonic) / harmonic
    return wail


def _syllable(take: Take, voice_hz: float, seconds: float) -> Wave:
    """Voiced pulses with a gliding pitch, through three formants of a random vowel."""
    samples = int(seconds * take.rate_hz)
    glide = np.linspace(take.uniform(0.9, 1.15), take.uniform(0.8, 1.05), samples)
    phase = np.cumsum(voice_hz * glide) / take.rate_hz
    pulses = np.diff(np.floor(phase), prepend=0.0)
    frequency_hz = np.fft.rfftfreq(samples, 1 / take.rate_hz)
    response = np.zeros(len(frequency_hz))
    formants = ((take.uniform(300, 850), 90, 1.0), (take.uniform(900, 2300), 120, 0.6), (2700, 180, 0.3))
    for centre_hz, width_hz, strength in formants:
        response += strength / (1 + ((frequency_hz - centre_hz) / width_hz) ** 2)
    return np.fft.irfft(np.fft.rfft(pulses) * response, n=samples) * np.hanning(samples) ** 0.5


def _speech(take: Take) -> Wave:
    """Syllables, four or five a second, some with a consonant, and a pause after a few."""
    voice_hz = take.pitch(90, 230)
    pace = take.uniform(0.85, 1.2)
    wave = np.zeros(take.samples)
    at = -take.uniform(0, 0.5)
    while at < take.seconds:
        if take.rng.random() < 0.4:
            seconds = take.uniform(0.04, 0.09) * pace
            noise = take.rng.standard_normal(int(seconds * take.rate_hz))
            hiss = np.diff(noise, prepend=0.0) * np.hanning(len(noise))  # high frequencies
            _add_event(wave, 0.02 * hiss, int(at * take.rate_hz))
            at += seconds
        seconds = take.uniform(0.11, 0.26) * pace
        vowel = _syllable(take, voice_hz * take.uniform(0.9, 1.12), seconds)
        loudness = take.uniform(0.5, 1.0) / max(float(np.abs(vowel).max()), 1e-9)
        _add_event(wave, 0.2 * loudness * vowel, int(at * take.rate_hz))
        at += seconds + (take.uniform(0.2, 0.5) if take.rng.random() < 0.12 else 0.02)
    return wave


def _tick_tock(take: Take) -> Wave:
    pitch_hz = take.pitch(1400, 2600)
    knocks = []
    for knock_hz, amplitude in ((pitch_hz, 1.0), (pitch_hz * take.uniform(0.6, 0.75), 0.9)):
        partials = [(knock_hz * ratio, 1.0 / ratio, 0.012) for ratio in (1.0, 1.6, 2.3)]
        knocks.append(amplitude * _struck(take.rate_hz, 0.08, partials))
    return _repeat(take, knocks, period_seconds=take.uniform(0.3, 0.6), jitter=0.01)


def _wind(take: Take) -> Wave:
    """Low noise in gusts."""
    rumble = _coloured_noise(take, slope=take.uniform(1.3, 1.7))
    gusts = np.ones(take.samples)
    for _ in range(3):
        gusts += take.uniform(0.2, 0.45) * _tone(take, take.uniform(0.15, 0.8))
    return rumble * np.maximum(gusts, 0.05)


_SOUNDS: dict[str, Callable[[Take], Wave]] = {
    "Beep, bleep": _beep,
    "Busy signal": _busy_signal,
    "Chirp tone": _chirp_tone,
    "Church bell": _church_bell,
    "Clicking": _clicking,
    "Cricket": _cricket,
    "Dial tone": _dial_tone,
    "Heart sounds, heartbeat": _heartbeat,
    "Mains hum": _mains_hum,
    "Music": _music,
    "Pink noise": lambda take: _coloured_noise(take, 0.5),
    "Silence": _silence,
    "Sine wave": lambda take: _tone(take, take.pitch(150, 5000)),
    "Siren": _siren,
    "Speech": _speech,
    "Tick-tock": _tick_tock,
    "White noise": lambda take: _coloured_noise(take, 0.0),
    "Wind": _wind,
}

LABELS: tuple[str, ...] = tuple(_SOUNDS)

_ALREADY_NOISE = {"Pink noise", "Silence", "White noise", "Wind"}


def synthesize(label: str, seconds: float, rate_hz: int, seed: int) -> np.ndarray:
    """The sound as mono float32 in [-1, 1], `round(seconds * rate_hz)` samples of it."""
    rng = np.random.default_rng((LABELS.index(label), seed))
    take = Take(round(seconds * rate_hz), rate_hz, rng)
    if take.samples == 0:
        return np.zeros(0, np.float32)
    wave = _SOUNDS[label](take)
    wave = wave / max(float(np.abs(wave).max()), 1e-9)
    if label not in _ALREADY_NOISE:
        hiss = _coloured_noise(take, slope=float(rng.choice((0.0, 0.5))))
        wave = wave + hiss / np.abs(hiss).max() * take.gain(*BACKGROUND_DB)
        wave = wave / np.abs(wave).max()
    return (wave * take.gain(*(FAINT_SILENCE_DB if label == "Silence" else LEVEL_DB))).astype(np.float32)
