"""Nothing is dropped in silence: what is not learned from is named wherever a folder is learned from."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distill.errors import CorpusError
from distill.recordings.corpus import import_corpus
from distill.training.metrics import Notice, TrainingEvent
from distill.training.plan import CodecPlan
from distill.training.vqvae_loop import train_vqvae


@pytest.fixture
def mixed_folder(tmp_path: Path, noise: Callable, save: Callable) -> Path:
    """Recordings, a telephone's voice memo, a copy and a damaged file."""
    for seed in range(5):
        save(tmp_path / "mine" / f"{seed}.wav", noise(1.0, seed))
    save(tmp_path / "mine" / "again.flac", 0.5 * noise(1.0))
    (tmp_path / "mine" / "voice.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
    (tmp_path / "mine" / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    return tmp_path / "mine"


def test_training_names_what_it_leaves_out(mixed_folder: Path) -> None:
    """Guards against "2 of 2 usable" for a folder of twelve."""
    from distill.models.config import VQVAEConfig

    told: list[TrainingEvent] = []
    tiny = VQVAEConfig(
        channels=1,
        num_quantizers=2,
        hidden_size=16,
        encoder_blocks=1,
        decoder_blocks=1,
        latent_size=8,
        codebook_size=32,
        sketch_size=4,
    )
    train_vqvae(
        mixed_folder, tiny, told.append, plan=CodecPlan(epochs=1, least_steps=2, batch_size=2, continuous_steps=1)
    )
    words = " ".join(event.text for event in told if isinstance(event, Notice))
    for name in ("voice.m4a", "broken.wav", "again.flac"):
        assert name in words


def test_what_is_left_out_is_in_sentences(mixed_folder: Path) -> None:
    """Guards against a long folder of damaged files filling the screen, and against names without a reason."""
    sentences = import_corpus(mixed_folder).left_out
    assert any(sentence.startswith("Left out: voice.m4a. It is AAC") or "damaged" in sentence for sentence in sentences)
    assert any("again.flac (as 0.wav)" in sentence or "0.wav (as again.flac)" in sentence for sentence in sentences)
    for number in range(30):
        (mixed_folder / f"bad{number:02}.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing" + bytes([number]))
    sentences = import_corpus(mixed_folder).left_out
    assert len(sentences) < 12
    assert any(re.match(r"Left out, too: .*bad1\d\.wav \(unreadable\)", sentence) for sentence in sentences)


def test_check_says_once_what_holds_for_many(distill: Callable, mixed_folder: Path) -> None:
    """Guards against the same long sentence for every copy of a recording."""
    sound = (mixed_folder / "1.wav").read_bytes()
    for number in range(4):
        (mixed_folder / f"copy-{number}.wav").write_bytes(sound)
    (line,) = (line for line in distill("check", mixed_folder).out.splitlines() if "copy-3.wav:" in line)
    assert line.startswith("  Each of copy-0.wav, copy-1.wav, copy-2.wav and copy-3.wav: ")


def test_check_says_once_what_is_true_of_many_that_are_used(
    distill: Callable, tmp_path: Path, save: Callable, noise: Callable
) -> None:
    """Guards against forty lines that differ in a name alone, for a folder in which each file has a silent channel."""
    for number in range(4):
        sound = noise(0.5, seed=number, channels=2)
        sound[1] = 0.0
        save(tmp_path / "in" / f"take-{number}.wav", sound)
    told = distill("check", tmp_path / "in").out
    assert told.count("Its right channel is silent") == 1
    assert "Each of take-0.wav, take-1.wav, take-2.wav and take-3.wav: Its right channel is silent" in " ".join(
        told.split()
    )


def test_an_archive_beside_recordings_is_named(mixed_folder: Path) -> None:
    """A pack of samples that was never unpacked is not passed over."""
    (mixed_folder / "more loops.zip").write_bytes(b"PK\3\4")
    (reason,) = [one.reason for one in import_corpus(mixed_folder).files if one.name == "more loops.zip"]
    assert reason == "It is an archive, and archives are not opened."


def test_a_folder_of_hidden_files_is_not_called_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".DS_Store").touch()
    with pytest.raises(CorpusError, match="nothing but hidden files"):
        import_corpus(tmp_path / "mine")


def test_a_hidden_folder_with_sound_is_named_once(mixed_folder: Path) -> None:
    """Guards against takes in ``.old`` that are passed over in silence; what other programs hide is nobody's recording."""
    take = next(mixed_folder.glob("*.wav")).read_bytes()
    for name in (".old/1.wav", ".old/2.wav", "today/.rest/of it/3.wav", ".git/lfs/4.wav", ".Trash-1000/files/5.wav"):
        (mixed_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (mixed_folder / name).write_bytes(take)
    for name in (".empty/._6.wav", ".empty/notes.txt", "__MACOSX/._7.wav", ".old/.Trashes/8.wav"):
        (mixed_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (mixed_folder / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    hidden = {one.name: one.reason for one in import_corpus(mixed_folder).files if "hidden" in one.reason}
    assert hidden == dict.fromkeys((".old/", "today/.rest/"), "This folder is hidden, so the sound in it is not used.")


def test_what_is_not_reconstructed_is_named(distill: Callable, tiny: Path, mixed_folder: Path) -> None:
    """Guards against "5 reconstructions" of a folder of eight, without a word of the other three."""
    answer = distill("reconstruct", tiny, mixed_folder, "--out", "rebuilt")
    assert answer.code == 0, answer.err
    assert all(name in answer.err for name in ("voice.m4a", "broken.wav", "again.flac")), answer.err
    told = distill("reconstruct", tiny, mixed_folder, "--out", "again", "--json").json
    assert len(told["audio"]) == 5
    assert "broken.wav" in " ".join(told["left_out"])


def test_nothing_is_said_to_be_trained_on_where_nothing_trains(
    distill: Callable, tiny: Path, tmp_path: Path, noise: Callable, save: Callable
) -> None:
    """Guards against "All of it is trained on" of what recordings share, from a command that only listens to them."""
    for seed in (1, 2):
        save(tmp_path / "mine" / f"{seed}.wav", np.concatenate([noise(2.0), noise(2.0, seed)], axis=1))
    assert "share sound" in distill("check", tmp_path / "mine").out
    for words in (("reconstruct", "--out", "rebuilt"), ("evaluate", "--out", "rebuilt", "--no-opus")):
        answer = distill(words[0], tiny, tmp_path / "mine", *words[1:])
        assert answer.code == 0, answer.err
        assert "trained on," not in answer.err, answer.err


def test_what_is_louder_than_full_scale_is_told_wherever_it_is_encoded(
    distill: Callable, tiny: Path, tmp_path: Path, noise: Callable, save: Callable
) -> None:
    """Guards against codes of a sound that no model has heard, without a word: training and prompts turn it down."""
    loud = save(tmp_path / "loud.wav", 5 * noise(0.5), subtype="FLOAT")
    for words in (("encode", tiny, loud), ("edit", tiny, loud, "--mirror", "all", "--out", "turned.wav")):
        answer = distill(*words)
        assert answer.code == 0, answer.err
        assert "loud.wav peaks 6.0 dB above full scale" in answer.err, answer.err


def test_how_one_channel_is_made_of_two_is_told_wherever_one_is(
    distill: Callable, tiny: Path, tmp_path: Path, noise: Callable, save: Callable
) -> None:
    """Guards against "is mixed from two channels" of a recording of which only the left one is used, or one is turned over."""
    left = save(tmp_path / "left.wav", np.concatenate([noise(0.5), 0 * noise(0.5)]))
    turned = save(tmp_path / "turned.wav", np.concatenate([noise(0.5), -noise(0.5)]))
    for words in (
        ("encode", tiny, left),
        ("generate", tiny, "--voice", "codec", "--seconds", 0.5, "--prompt", left),
        ("generate", tiny, "--voice", "codec", "--from", 0.1, "--to", 0.2, "--infill", left),
    ):
        for file, said in ((left, "in mono the left one is used"), (turned, "cancel each other in mono")):
            answer = distill(*(file if word is left else word for word in words))
            assert answer.code == 0, answer.err
            assert f"{file.name}: Its" in answer.err, answer.err
            assert said in answer.err, answer.err


@pytest.mark.parametrize(("seconds", "count", "whole", "part"), [(2.0, 2, 0, 0), (5.0, 2, 0, 2), (1.0, 8, 1, 0)])
def test_what_is_held_out_is_told_as_it_is(
    distill: Callable,
    tmp_path: Path,
    noise: Callable,
    save: Callable,
    seconds: float,
    count: int,
    whole: int,
    part: int,
) -> None:
    """Guards against a page that says "never trained on" of recordings that all are, but for a stretch, or for none."""
    for seed in range(count):
        save(tmp_path / "mine" / f"{seed}.wav", noise(seconds, seed))
    split = distill("check", tmp_path / "mine", "--json").json["split"]
    assert (len(split["held_out"]), len(split["held_out_in_part"])) == (whole, part), split
