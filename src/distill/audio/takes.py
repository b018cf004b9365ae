"""Which recordings are one take: re-exported, resampled, made louder, trimmed, or from one hit of one drum.

Two steps. A coarse one finds where the loudest second of each recording could lie in every other: log spectra of
24 bands, 20 frames a second, compared by cosine. It only proposes, because different takes of one kind reach
0.99 there while copies cut at both ends go down to 0.82. The waveforms decide: the envelope of their normalised
cross-correlation (deaf to gain, polarity and fractions of a sample), first for that stretch, then, weighted by
amplitude, for all they share.

Measured on 192 one-shots and loops, all filed as different takes, and 60 of them copied in ten ways: 522 of 539
copies join their original (louder, resampled, end cut off, silence put before: all; beginning cut off 42 of 45,
both ends cut off 40 of 45, MP3 and OGG at low quality 115 of 119, brought down to 22 kHz 57 of 60, equalised and
compressed 58 of 60). One channel of a stereo take passed off as the whole is harder: 46 of 60. Of the 18 336 pairs
of originals 11 join: one drum struck soft and hard, tabla strokes of one kind, two kicks. 192 files take 2 s, 1000
excerpts of 3 s out of two pieces, where nearly all overlap, 18 s on two cores.
"""

from functools import cache

import numpy as np

from distill.audio.files import SAMPLE_RATE

_HOP = SAMPLE_RATE // 20
_WINDOW = 4096
_BANDS = 24
_RANGE_DB = 60.0
_FRAMES = 30 * 20  # the first 30 s tell takes apart
_QUERY = 20  # frames, 1 s
_PROPOSALS = 4
_COARSE = 0.8
_FIRST = 0.7
_SAME_TAKE = 0.85
_SHARED = 0.5  # of the shorter one's length
_SNIPPET = 16_384  # samples compared first
_SEARCH = 5 * _HOP // 2  # samples that the coarse place may be off
_CHUNK = 64  # frames transformed at once, which bounds the memory
_BLOCK = 8192
_BLOCKS = 32


def group_takes(recordings: list[np.ndarray]) -> list[int]:
    """A group number from 0 for each recording ``[C, N]`` at 48 kHz; those of one take share theirs."""
    leader = list(range(len(recordings)))

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for one, other, start, stop, lag in _proposals(recordings):
        if find(one) != find(other) and _is_same_take(recordings[one], recordings[other], start, stop, lag):
            leader[max(find(one), find(other))] = min(find(one), find(other))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(find(one), len(numbers)) for one in range(len(recordings))]


def _proposals(recordings: list[np.ndarray]) -> list[tuple[int, int, int, int, int]]:
    """(one, other, start, stop, lag): ``one[start:stop]`` could be ``other[start + lag : stop + lag]``."""
    count = len(recordings)
    spectra = [_log_spectra(audio) for audio in recordings]
    queries = np.zeros((count, _QUERY * _BANDS), np.float32)
    mask = np.zeros_like(queries)
    starts = np.zeros(count, np.int64)
    lengths = np.zeros(count, np.int64)
    for one, frames in enumerate(spectra):
        length = min(_QUERY, len(frames))
        energy = np.convolve((frames**2).sum(axis=1), np.ones(length), mode="valid")
        starts[one], lengths[one] = energy.argmax(), length
        query = frames[starts[one] : starts[one] + length].ravel()
        queries[one, : query.size] = query / max(float(np.linalg.norm(query)), 1e-9)
        mask[one, : query.size] = 1
    likeness = np.zeros((count, count), np.float32)
    lags = np.zeros((count, count), np.int64)
    for other, frames in enumerate(spectra):
        padded = np.concatenate([frames, np.zeros((_QUERY - 1, _BANDS), np.float32)])
        places = np.lib.stride_tricks.sliding_window_view(padded, _QUERY, axis=0).transpose(0, 2, 1)
        places = places.reshape(len(frames), _QUERY * _BANDS)
        size = np.sqrt(np.square(places) @ mask.T)
        score = places @ queries.T / np.maximum(size, 0.5 * size.max(axis=0, initial=1e-9))
        best = score.argmax(axis=0)
        likeness[:, other] = score[best, np.arange(count)]
        lags[:, other] = best - starts
    np.fill_diagonal(likeness, -1)
    found = []
    for one in range(count):
        query = spectra[one][starts[one] : starts[one] + lengths[one]]
        loudest = int(starts[one]) + int((query**2).sum(axis=1).argmax())
        start = max(0, loudest - 1) * _HOP
        stop = min(start + _SNIPPET, recordings[one].shape[1])
        for other in np.argsort(-likeness[one], kind="stable")[:_PROPOSALS]:
            if likeness[one, other] < _COARSE:
                break
            found.append((one, int(other), start, stop, int(lags[one, other]) * _HOP))
    return found


@cache
def _band_weights() -> np.ndarray:
    """``[_WINDOW // 2 + 1, _BANDS]``: which bins of the spectrum belong to which band."""
    hertz = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    band = np.digitize(hertz, np.geomspace(60, 14_000, _BANDS + 1)) - 1
    return (band[:, None] == np.arange(_BANDS)).astype(np.float32)


@cache
def _taper() -> np.ndarray:
    return np.hanning(_WINDOW).astype(np.float32)


def _log_spectra(audio: np.ndarray) -> np.ndarray:
    """``[F, _BANDS]``, 0 to 1 over the 60 dB below the recording's loudest band; 0 where nothing sounds."""
    sound = _middle(audio, 0, min(audio.shape[1], _FRAMES * _HOP))
    frames = max(1, round(len(sound) / _HOP))
    sound = np.pad(sound, (0, max(0, (frames - 1) * _HOP + _WINDOW - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP][:frames]
    power = np.zeros((frames, _BANDS), np.float32)
    for start in range(0, frames, _CHUNK):
        spectrum = np.fft.rfft(windows[start : start + _CHUNK] * _taper(), axis=1)
        power[start : start + _CHUNK] = (np.abs(spectrum) ** 2) @ _band_weights()
    decibels = 10 * np.log10(power + 1e-12)
    scaled = np.clip((decibels - decibels.max()) / _RANGE_DB + 1, 0, 1).astype(np.float32)
    scaled[scaled.max(axis=1) < 0.15] = 0
    return scaled


def _is_same_take(one: np.ndarray, other: np.ndarray, start: int, stop: int, lag: int) -> bool:
    around = _middle(other, start + lag - _SEARCH, stop + lag + _SEARCH)
    score, shift = _likeness(_middle(one, start, stop), around)
    if score < _FIRST:
        return False
    lag += shift - _SEARCH
    first, last = max(0, -lag), min(one.shape[1], other.shape[1] - lag)
    if last - first < _SHARED * min(one.shape[1], other.shape[1]):
        return False
    begins = np.arange(first, last, _BLOCK)
    if len(begins) > _BLOCKS:
        begins = begins[np.linspace(0, len(begins) - 1, _BLOCKS).round().astype(int)]
    agreed = whole = 0.0
    for begin in begins.tolist():
        end = min(begin + _BLOCK, last)
        block = _middle(one, begin, end)
        # By amplitude, not energy: else a kick shared by two loops outweighs all that differs in them.
        weight = float(np.sqrt(np.square(block, dtype=np.float64).sum()))
        # A few samples of freedom: a resampled copy drifts by fractions of one.
        agreed += weight * _likeness(block, _middle(other, begin + lag - 16, end + lag + 16))[0]
        whole += weight
    return agreed >= _SAME_TAKE * whole


def _likeness(short: np.ndarray, longer: np.ndarray) -> tuple[float, int]:
    """The best envelope of the normalised cross-correlation (0 to 1) and where in ``longer`` it is found."""
    size = 1 << (len(longer) - 1).bit_length()
    places = len(longer) - len(short) + 1
    cross = np.conj(np.fft.rfft(short, size)) * np.fft.rfft(longer, size)
    analytic = np.zeros(size, np.complex64)
    analytic[1 : size // 2] = 2 * cross[1 : size // 2]
    envelope = np.abs(np.fft.ifft(analytic)[:places])
    energy = np.cumsum(np.concatenate([[0.0], np.square(longer, dtype=np.float64)]))
    local = np.maximum(energy[len(short) :] - energy[: -len(short)], 1e-3 * energy[-1])
    score = envelope / np.sqrt(np.maximum(local * np.square(short, dtype=np.float64).sum(), 1e-20))
    best = int(score.argmax())
    return float(score[best]), best


def _middle(audio: np.ndarray, start: int, stop: int) -> np.ndarray:
    """``[stop - start]``: both channels' mean, silence beyond the ends."""
    sound = np.zeros(stop - start, np.float32)
    first, last = max(start, 0), min(stop, audio.shape[1])
    if last > first:
        sound[first - start : last - start] = np.asarray(audio[:, first:last]).mean(axis=0)
    return sound
