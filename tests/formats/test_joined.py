"""Several files in one, as they are joined by hand or come out of a rescued disk: all of it is used, or the rest is told of."""

import time

import numpy as np
import pytest

from distill.formats.files import probe, read_audio, read_blocks, samples_at_48k
from distill.formats.more_formats import shape_of
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict

RATE = 48_000
FORMS = {
    "wav": ("WAV", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "caf": ("CAF", "PCM_16"), "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip

PAIRS = [(one, two) for one in FORMS for two in FORMS if one != two or one in ("wav", "aiff", "caf", "au", "w64")]
"""The others, twice, are streams that go on; they are tested with their formats."""

TOLD_OF = [*((one, two) for one in FORMS for two in ("aac", "m4a")), ("aac", "m4a"), ("aac", "wav"), ("m4a", "aac"),
           ("m4a", "m4a"), ("m4a", "wav")]  # fmt: skip


def _aac(path, sound, rate=RATE, form="adts"):
    """Writes float32 ``[C, N]``."""
    import av

    layout = "mono" if len(sound) == 1 else "stereo"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path.read_bytes()


def _lossless(path, sound, kind):
    """Writes float32 ``[C, N]`` as WavPack (``wv``) or True Audio (``tta``), with 16 bits."""
    import av

    codec, packing = {"wv": ("wavpack", "s16p"), "tta": ("tta", "s16")}[kind]
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        stream.codec_context.format = packing
        samples = np.round(32_767 * sound).astype(np.int16)
        for begin in range(0, samples.shape[1], 4096):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, begin : begin + 4096]), packing, "mono")
            frame.sample_rate, frame.pts = RATE, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_files_in_one_are_both_used(tmp_path, encoded, first, second):
    """Guards against the second one dropped in silence, and against its bytes played as noise behind the first."""
    contents = [encoded(*FORMS[kind], seconds=1.0, seed=seed) for seed, kind in enumerate((first, second))]
    sounds = []
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.x").write_bytes(content)
        sounds.append(read_audio(tmp_path / f"{number}.x")[0])
    path = tmp_path / f"a.{first}"
    path.write_bytes(b"".join(contents))
    heard = read_audio(path)[0]
    np.testing.assert_allclose(heard[: len(sounds[0]) - 2000], sounds[0][:-2000], atol=1e-4)
    assert len(heard) == pytest.approx(sum(map(len, sounds)), abs=2400)  # what MP3 has in front and behind
    if second != "mp3":
        np.testing.assert_allclose(heard[-len(sounds[1]) :], sounds[1], atol=1e-4)
    remark = probe(path).remark
    assert "damaged" not in remark
    if first != second:
        assert remark.startswith("It is 2 files one after the other (")
        assert remark.endswith("; all are used.")


@pytest.mark.parametrize("between", [b"TAG" + bytes(125), b"ID3\4\0\0\0\0\0\5hello", bytes(700)])
def test_what_is_between_two_files_hides_none(tmp_path, encoded, between):
    """Guards against a tag behind the first one after which nothing is looked for."""
    for first, second in (("mp3", "wav"), ("wav", "mp3"), ("flac", "aiff"), ("ogg", "flac")):
        content = [encoded(*FORMS[kind], seconds=1.0, seed=seed) for seed, kind in enumerate((first, second))]
        path = tmp_path / f"a.{first}"
        path.write_bytes(between.join(content))
        assert probe(path).seconds == pytest.approx(2.0, abs=0.05), (first, second)
        assert "It is 2 files one after the other" in probe(path).remark


def test_three_files_in_one_are_all_used(tmp_path, encoded):
    kinds = ("mp3", "wav", "flac", "ogg")
    content = [encoded(*FORMS[kind], seconds=1.0, seed=seed) for seed, kind in enumerate(kinds)]
    (tmp_path / "a.mp3").write_bytes(b"".join(content))
    info = probe(tmp_path / "a.mp3")
    assert info.seconds == pytest.approx(4.0, abs=0.05)
    assert info.remark == "It is 4 files one after the other (MP3, WAV, FLAC and Ogg); all are used."


@pytest.mark.parametrize(
    "between", [b"", bytes(512), b"TAG" + bytes(125), bytes(70)], ids=["nothing", "zeros", "tag", "few-zeros"]
)
@pytest.mark.parametrize(
    ("first", "second"), [("wv", "wv"), ("tta", "wv"), ("wv", "tta"), ("wv", "aac"), ("tta", "tta")]
)
def test_lossless_files_behind_each_other_are_told_of(tmp_path, noise, first, second, between):
    """Guards against the second one dropped in silence, or called a file that breaks off, as WavPack's first 4 bytes begin
    each of its blocks."""
    sound = noise(0.5, channels=1)
    one, two = (
        _aac(tmp_path / "aac.aac", sound) if kind == "aac" else _lossless(tmp_path / f"a.{kind}", sound, kind)
        for kind in (first, second)
    )
    path = tmp_path / f"two.{first}"
    path.write_bytes(one + between + two)
    info = probe(path)
    assert info.seconds == pytest.approx(0.5, abs=0.01)
    name = {"wv": "WavPack", "tta": "TTA", "aac": "M4A or AAC"}[second]
    assert info.remark.startswith(f"Behind its sound is another file ({name}, ")
    assert "breaks off" not in info.remark
    path.write_bytes(one + between)
    assert probe(path).remark == "", "of one file nothing is said"


@pytest.mark.parametrize(("first", "second"), TOLD_OF)
def test_a_file_behind_that_is_not_read_is_told_of(tmp_path, encoded, noise, save, first, second):
    """Guards against a minute that is not used without a word, as it takes another library to read."""
    muxers = {"aac": "adts", "m4a": "ipod"}
    contents = [
        _aac(tmp_path / f"part.{kind}", noise(1.0, seed=seed), form=muxers[kind])
        if kind in muxers
        else encoded(*FORMS[kind], seconds=1.0, seed=seed)
        for seed, kind in enumerate((first, second))
    ]
    path = tmp_path / f"a.{first}"
    path.write_bytes(b"".join(contents))
    info = probe(path)
    assert info.seconds == pytest.approx(1.0, abs=0.05)
    name = "WAV" if second == "wav" else "M4A or AAC"
    assert info.unread.startswith(f"Behind its sound is another file ({name}, ")
    assert info.remark == info.unread


def test_a_damaged_file_behind_is_told_of_and_spoils_nothing(tmp_path, encoded, save, noise):
    """Guards against good sound thrown away for what is joined to it, and a copy of which "nothing needs doing" is said."""
    ogg = encoded("OGG", "VORBIS", seconds=1.0, seed=1)
    wav = encoded("WAV", "PCM_16", seconds=1.0)
    (tmp_path / "a.wav").write_bytes(wav + ogg[:300] + bytes(200) + ogg[500:])
    save(tmp_path / "b.wav", noise(1.0), subtype="PCM_16")
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert probe(tmp_path / "a.wav").frames == RATE
    copy = next(file for file in files.values() if file.verdict == FileVerdict.DUPLICATE)
    whole = files["a.wav"] if copy.name == "b.wav" else copy
    assert "Behind its sound is another file (Ogg, " in whole.remark + whole.fix


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac", "wav", "aiff", "caf"])
@pytest.mark.parametrize("other", [{"rate": 24_000}, {"channels": 2}, {"rate": 44_100, "channels": 2}])
def test_parts_of_other_rates_or_channels_are_all_used(tmp_path, encoded, kind, other):
    """Guards against a whole mix refused, as one of the tracks it is joined from has another rate."""
    contents = [encoded(*FORMS[kind], seconds=2.0), encoded(*FORMS[kind], seconds=2.0, seed=1, **other)]
    parts = []
    for number, content in enumerate((contents[1], contents[0])):
        (tmp_path / f"{number}.{kind}").write_bytes(content)
        parts.append(read_audio(tmp_path / f"{number}.{kind}", other.get("channels", 1)))
    path = tmp_path / f"a.{kind}"
    path.write_bytes(contents[1] + contents[0] + contents[1])
    info = probe(path)
    assert (info.sample_rate, info.channels) == (RATE, other.get("channels", 1))
    assert "; all are converted to 48 kHz " + ("stereo." if "channels" in other else "mono.") in info.remark
    heard = read_audio(path)
    assert heard.shape == (info.channels, info.frames)
    assert info.frames == samples_at_48k(info) == pytest.approx(6 * RATE, abs=7500)
    inner = slice(2 * RATE + 6000, 4 * RATE - 6000)
    reference = np.concatenate([parts[0], parts[1], parts[0]], axis=1)
    if kind != "mp3":
        np.testing.assert_allclose(heard[:, inner], reference[:, inner], atol=2e-3)
        np.testing.assert_allclose(heard[:, :RATE], reference[:, :RATE], atol=2e-3)
    pieces = list(read_blocks(path, block_seconds=0.3))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), heard, atol=1e-6)


def test_bare_aac_of_other_rates_is_all_used(tmp_path, noise):
    """Guards against an error of PyAV that ended the reading of the whole folder."""
    one = _aac(tmp_path / "one.aac", noise(2.0, rate=24_000), 24_000)
    two = _aac(tmp_path / "two.aac", noise(2.0, channels=2), RATE)
    (tmp_path / "a.aac").write_bytes(one + two)
    info = probe(tmp_path / "a.aac")
    assert (info.sample_rate, info.channels) == (RATE, 2)
    assert info.remark == "Its parts differ (24 kHz mono and 48 kHz stereo); all are converted to 48 kHz stereo."
    assert info.seconds == pytest.approx(4.0, abs=0.2)
    assert read_audio(tmp_path / "a.aac").shape == (2, info.frames)
    assert shape_of(tmp_path / "one.aac", "AAC").remark == ""


@pytest.mark.parametrize("rate", [24_000, RATE])
def test_bare_aac_in_mono_is_as_loud_beside_stereo(tmp_path, noise, rate):
    """Guards against parts in mono that come out 3 dB softer, though they do not in other formats."""
    one = _aac(tmp_path / "one.aac", noise(1.0, rate=rate), rate)
    two = _aac(tmp_path / "two.aac", noise(1.0, channels=2), RATE)
    (tmp_path / "a.aac").write_bytes(one + two)
    alone, joined = read_audio(tmp_path / "one.aac"), read_audio(tmp_path / "a.aac")
    inner = slice(4800, 38_400)
    assert joined.shape[0] == 2
    np.testing.assert_allclose(joined[:, inner].std(axis=1), alone[0, inner].std(), rtol=0.02)


def test_a_part_of_another_rate_may_be_very_short(tmp_path, encoded):
    """Guards against a file called damaged because of a part so short that nothing of it came of resampling at first."""
    parts = [encoded("FLAC", "PCM_16", seconds=0.2), encoded("FLAC", "PCM_16", seconds=0.001, rate=44_100)]
    (tmp_path / "a.flac").write_bytes(b"".join([*parts, parts[0]]))
    heard, whole = read_audio(tmp_path / "a.flac"), RATE // 5
    assert heard.shape[1] == 2 * whole + 48
    np.testing.assert_array_equal(heard[:, :whole], heard[:, -whole:])


def test_an_empty_block_of_a_disk_behind_a_flac_is_soon_looked_through(tmp_path, encoded):
    """Guards against seven seconds of work a megabyte, as each byte of 0xff was taken for what a frame may begin with."""
    (tmp_path / "a.flac").write_bytes(encoded("FLAC", "PCM_16", seconds=0.5) + b"\xff" * 500_000)
    begun = time.process_time()
    assert probe(tmp_path / "a.flac").seconds == 0.5
    assert time.process_time() - begun < 1


def test_of_very_many_files_in_one_the_first_hundred_are_used(tmp_path, encoded):
    """Guards against hours of work on small files, for each of which all that follow were copied, and a remark of 36 000
    letters, which named them all."""
    pair = encoded("WAV", "PCM_16", seconds=0.01) + encoded("AU", "PCM_16", seconds=0.01)
    (tmp_path / "a.wav").write_bytes(400 * pair)
    info = probe(tmp_path / "a.wav")
    assert info.seconds == pytest.approx(1.0)
    assert info.remark.startswith("It is 100 files one after the other (WAV, AU, WAV, AU, WAV, AU, WAV and 93 more)")
    assert info.unread.startswith("Behind its sound is another file (WAV, 0.7 MB), which is not read")
