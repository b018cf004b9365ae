"""Sound made up for the base codec: tones of every pitch, straight, trembling and gliding, alone and in chords, in noise.

Recordings hold some pitches and not others. What a codec must learn once, and not anew from every corpus, is how any
pitch looks and how far its phases advance."""

import numpy as np

RATE = 48_000


def made_up(draw: np.random.Generator, samples: int) -> np.ndarray:
    """One sound of its own, float32 ``[samples]``, peaks at -30 to -1 dBFS."""
    time = (np.arange(samples) / RATE).astype(np.float32)
    sound = np.zeros(samples)
    for _ in range(int(draw.choice([1, 1, 2, 3, 4]))):
        sound += _tone(draw, time) * _envelope(draw, time)
    sound /= max(float(np.abs(sound).max()), 1e-9)
    sound += _noise(draw, samples) * _envelope(draw, time) * 10 ** draw.uniform(-4, -0.5)
    level = 10 ** (draw.uniform(-30, -1) / 20)
    return (sound * (level / max(float(np.abs(sound).max()), 1e-9))).astype(np.float32)


def _tone(draw: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Partials of one fundamental, from a pure tone to a bright one, harmonic or a little stretched."""
    pitch = 2 ** draw.uniform(np.log2(40), np.log2(2000))
    bend = np.zeros_like(time)
    if draw.random() < 0.3:  # tremble: up to half a semitone, 3 to 8 Hz
        bend += draw.uniform(0, 0.5) * np.sin(2 * np.pi * (draw.uniform(3, 8) * time + draw.random()))
    if draw.random() < 0.25:  # glide: up to half an octave a second, either way
        bend += draw.uniform(-6, 6) * time
    phase = (2 * np.pi / RATE * np.cumsum(pitch * 2 ** (bend / 12))).astype(np.float32)
    stretch = draw.choice([0.0, 0.0, 10 ** draw.uniform(-5, -3)])
    fall = draw.uniform(0.3, 2.5)
    odd_only = draw.random() < 0.2
    sound = np.zeros_like(time)
    for number in range(1, int(min(24, 8000 // pitch)) + 1):
        if odd_only and number % 2 == 0:
            continue
        strength = number**-fall * 10 ** (draw.normal(0, 4) / 20)
        turns = np.float32(number * np.sqrt(1 + stretch * number**2))
        sound += np.float32(strength) * np.sin(turns * phase + np.float32(2 * np.pi * draw.random()))
    return sound


def _envelope(draw: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Lasting, or struck at some moment and dying away."""
    if draw.random() < 0.5:
        return np.ones_like(time)
    since = time - draw.uniform(-0.1, 0.8 * time[-1])
    attack = np.clip(since / 10 ** draw.uniform(-3, -1.3), 0, 1)
    return attack * np.exp(-np.maximum(since, 0) * draw.uniform(0.5, 12))


def _noise(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Noise with a slope and one wide hump, peak 1."""
    spectrum = np.fft.rfft(draw.standard_normal(samples))
    octave = np.log2(np.maximum(np.arange(len(spectrum)) * RATE / samples, 20.0) / 1000)
    decibels = draw.uniform(-6, 3) * octave + draw.uniform(0, 20) * np.exp(-((octave - draw.uniform(-3, 4)) ** 2))
    sound = np.fft.irfft(spectrum * 10 ** (decibels / 20), samples)
    return sound / float(np.abs(sound).max())
