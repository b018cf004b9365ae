"""Chunked coding equals one pass; extraction drops and invents nothing."""

from typing import Any

import numpy as np
import pytest
import torch

import small_distill
from distill.codes import decode_chunks, encode_blocks, extract_code_sequences
from distill.codes.views import View, is_transposed
from distill.errors import CorpusError, SettingError
from distill.models import ConvVQVAE, VQVAEConfig


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def codec(request: pytest.FixtureRequest) -> ConvVQVAE:
    torch.manual_seed(0)
    model = ConvVQVAE(
        VQVAEConfig(
            channels=request.param,
            hidden_size=16,
            encoder_blocks=2,
            decoder_blocks=2,
            latent_size=4,
            codebook_size=32,
            sketch_size=4,
        )
    )
    model.quantizer.set_codebooks(0.3 * torch.randn(4, 32, 8))
    return model.requires_grad_(False).eval()


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize("block", [700, 50_000, 10**7])
def test_chunked_encoding_equals_whole(codec: ConvVQVAE, block: int) -> None:
    """Guards against wrong codes at chunk borders, whatever the sizes of the blocks that come in."""
    audio = noise(codec.channels, 120 * codec.hop + 333)
    whole = codec.encode(torch.from_numpy(audio)[None])[0]
    blocks = (audio[:, start : start + block] for start in range(0, audio.shape[1], block))
    chunked = encode_blocks(codec, blocks, chunk=16)
    assert torch.equal(chunked, whole)


def test_chunked_decoding_equals_whole(codec: ConvVQVAE) -> None:
    """Guards against clicks at chunk borders."""
    codes = torch.randint(0, 32, (100, 4), generator=torch.Generator().manual_seed(1))
    whole = codec.decode(codes[None])[0].numpy()
    chunked = np.concatenate(list(decode_chunks(codec, codes, chunk=16)), axis=1)
    assert chunked.shape == whole.shape == (codec.channels, 100 * codec.hop)
    np.testing.assert_allclose(chunked, whole, atol=1e-5)


def test_context_is_needed(codec: ConvVQVAE) -> None:
    """The tests above could pass with a codec that ignores its neighbours: without context they must fail."""

    class Alone(ConvVQVAE):
        context = 0

    codec.__class__ = Alone
    codes = torch.randint(0, 32, (100, 4), generator=torch.Generator().manual_seed(1))
    whole = codec.decode(codes[None])[0].numpy()
    chunked = np.concatenate(list(decode_chunks(codec, codes, chunk=16)), axis=1)
    assert np.abs(chunked - whole).max() > 1e-3


def test_encoding_teaches_nothing() -> None:
    """Guards against a codec in training mode whose codebooks move with every sound that is encoded."""
    codec = small_distill.small_codec()
    audio, before = noise(1, 40 * codec.hop), codec.quantizer.codebooks.clone()
    codes = encode_blocks(codec, [audio])
    codec.train()
    assert torch.equal(encode_blocks(codec, [audio]), codes)
    assert codec.training
    assert torch.equal(codec.quantizer.codebooks, before)


def test_no_audio_gives_no_codes(codec: ConvVQVAE) -> None:
    assert encode_blocks(codec, []).shape == (0, 4)


def test_extraction_keeps_every_position(codec: ConvVQVAE) -> None:
    """Guards against the dropped last window, which leaves a tiny corpus with no sequences at all."""
    audio = [noise(codec.channels, samples, seed) for seed, samples in enumerate((30_000, 2_000, 11_111))]
    codes = extract_code_sequences(codec, [lambda a=a: [a] for a in audio], seq_len=8)
    every = torch.cat([encode_blocks(codec, [a]) for a in audio])
    assert codes.shape[1:] == (8, 4)
    found = {tuple(position) for position in codes.reshape(-1, 4).tolist()}
    assert found == {tuple(position) for position in every.tolist()}


def test_extraction_of_less_than_one_sequence(codec: ConvVQVAE) -> None:
    codes = extract_code_sequences(codec, [lambda: [noise(codec.channels, 3_000)]], seq_len=500, views=4)
    assert codes.shape == (4, 3, 4)


@pytest.mark.parametrize(
    ("recordings", "how", "error"),
    [
        ([], {}, CorpusError),
        ([[], []], {}, CorpusError),
        ([[np.zeros((1, 0), np.float32)]], {}, CorpusError),
        ([[np.zeros((1, 3_000), np.float32)]], {"seq_len": 0}, SettingError),
        ([[np.zeros((1, 3_000), np.float32)]], {"views": 0}, SettingError),
    ],
)
def test_nothing_to_extract_is_refused_in_words(recordings: Any, how: dict[str, int], error: type[Exception]) -> None:
    """Guards against words of PyTorch about an empty list of tensors."""
    codec = small_distill.small_codec()
    with pytest.raises(error):
        extract_code_sequences(codec, [lambda one=one: one for one in recordings], **{"seq_len": 8, **how})


def test_views_differ(codec: ConvVQVAE) -> None:
    """Guards against views that encode the same samples again and teach nothing."""
    audio = noise(codec.channels, 40 * codec.hop)
    first, second = extract_code_sequences(codec, [lambda: [audio]], seq_len=100, views=2)
    assert (first != second).any(dim=1).float().mean() > 0.5


def test_views_are_spread_evenly_however_many_are_taken() -> None:
    """Guards against views that bunch, that pair one pitch with one shift only, or that do not begin with what is there; and
    against a prior that hears hardly any recording at its own pitch, where the codec knows it, or is told so of another."""
    assert View.numbered(0, 1024, 1.0) == View()
    assert {View.numbered(number, 1024, 2.0).semitones for number in range(0, 1000, 4)} == {0.0}
    assert all(is_transposed(number) == bool(View.numbered(number, 1024, 2.0).semitones) for number in range(1000))
    for many in (8, 64, 1000):
        views = [View.numbered(number, 1024, 2.0) for number in range(many)]
        ranges = {
            "shift": [view.shift / 1024 for view in views],
            "pitch": [view.semitones / 4 + 0.5 for view in views if view.semitones],
            "level": [view.gain_db / 6 + 0.5 for view in views],
        }
        for name, values in ranges.items():
            gaps = np.diff(np.sort([0, *values, 1]))
            assert gaps.max() < 6 / len(values), (name, many)
        at = np.array([[view.shift, view.semitones, view.gain_db] for view in views[1:]]).T
        assert np.abs(np.corrcoef(at)[np.triu_indices(3, 1)]).max() < 2 / many**0.5


@pytest.mark.parametrize("semitones", [-2, 1])
def test_a_transposed_view_is_as_much_higher_as_it_is_shorter(semitones: int) -> None:
    """Guards against a resampler that is asked for the inverse: higher would be lower."""
    time = np.arange(96_000) / 48_000
    blocks = np.sin(2 * np.pi * 440 * time).astype(np.float32)[None].reshape(1, 4, -1).transpose(1, 0, 2)
    heard = np.concatenate(list(View(0, semitones).of(iter(blocks), 1, 48_000)), axis=1)
    ratio = 2 ** (semitones / 12)
    assert heard.shape[1] == pytest.approx(96_000 / ratio, abs=2)
    loudest = np.abs(np.fft.rfft(heard[0])).argmax() * 48_000 / heard.shape[1]
    assert loudest == pytest.approx(440 * ratio, abs=1)
