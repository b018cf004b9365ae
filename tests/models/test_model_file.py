"""The model file: what goes in comes out, and what is not right is refused before a tensor is built."""

import dataclasses
import hashlib
import json
import math
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small_distill
from distill.codes.codes_file import load_codes
from distill.errors import CodesFileError, ModelFileError, OutputError, StateFileError
from distill.files.tensors import MAX_TABLE_BYTES
from distill.library import Library
from distill.library.moving import rename
from distill.models import Model, load_model, save_model
from distill.models.header import FORMAT_VERSION, CorpusRecord, new_header, read_header
from distill.models.model_file import Source
from distill.training.headers import reason_to_keep_prior
from distill.training.state_file import load_state


@pytest.fixture
def model() -> Model:
    codec = small_distill.small_codec()
    prior = small_distill.small_prior(codec.config)
    record = CorpusRecord(fingerprint="a" * 64, file_count=5, seconds=5.5, split_seed=3)
    header = new_header(
        "tiny",
        codec.config,
        record,
        codec_training={"seed": 3},
        prior=prior.config,
        curves={"a": [1.0, 0.5]},
    )
    sources = (
        Source("a.wav", 0.0, False, torch.tensor([[1, 2, 3, 4], [5, 6, 7, 31]])),
        Source("b.wav", 1.5, True, torch.tensor([[8, 9, 10, 11]]), take=7),
    )
    return Model(header, codec, torch.arange(128).view(4, 32), prior, sources)


def edit_header(path: Path, *, sealed: bool = True, **changes: Any) -> None:
    """Changes fields as somebody would who makes the checksum anew, or takes it away."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table["__metadata__"]["distill"]) | changes
    text = json.dumps(header)
    seal = {"sha256": hashlib.sha256(text.encode()).hexdigest()} if sealed else {}
    table["__metadata__"] = {"distill": text, **seal}
    encoded = json.dumps(table).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + length :])


def test_what_marks_transposed_views_is_no_part_of_the_file(model: Model, tmp_path: Path) -> None:
    """Guards against files that an earlier Distill refuses for a tensor that only training needs."""
    with torch.no_grad():
        model.require_prior().transposed.fill_(1.0)
    path = save_model(tmp_path / "m.distill", model)
    assert b"transposed" not in path.read_bytes()
    assert not load_model(path).require_prior().transposed.any()


def test_round_trip(model: Model, tmp_path: Path) -> None:
    loaded = load_model(save_model(tmp_path / "m.distill", model))
    audio = torch.randn(1, 1, 8192)
    codes = model.codec.eval().encode(audio)
    assert torch.equal(loaded.codec.encode(audio), codes)
    assert torch.equal(loaded.codec.decode(codes), model.codec.decode(codes))
    assert loaded.prior is not None
    assert model.prior is not None
    assert torch.equal(loaded.prior(codes.flatten(1)[:, :8]), model.prior.eval()(codes.flatten(1)[:, :8]))
    assert torch.equal(loaded.code_counts, model.code_counts)
    assert loaded.fingerprint == model.fingerprint
    written = {"digest", "sources"}  # by save_model
    assert loaded.header.model_dump(exclude=written) == model.header.model_dump(exclude=written)
    assert [
        (source.name, source.start_seconds, source.held_out, source.codes.tolist(), source.take)
        for source in loaded.sources
    ] == [
        ("a.wav", 0.0, False, [[1, 2, 3, 4], [5, 6, 7, 31]], -1),
        ("b.wav", 1.5, True, [[8, 9, 10, 11]], 7),
    ]
    assert [source.name for source in loaded.trained_on] == ["a.wav"]
    assert not any(parameter.requires_grad for parameter in loaded.codec.parameters())
    assert not loaded.prior.training


def test_what_could_not_be_opened_again_is_not_written(model: Model, tmp_path: Path) -> None:
    """Guards against a file that is written without a word and refused when it is opened."""
    codec = small_distill.small_codec(num_quantizers=1)
    counts = torch.zeros(1, 32, dtype=torch.int64)
    header = model.header.model_copy(update={"codec": codec.config, "prior": None})
    with pytest.raises(OutputError, match="could not be opened again: its header holds values that are not"):
        save_model(tmp_path / "m.distill", Model(header, codec, counts))
    with pytest.raises(OutputError, match="could not be opened again: it has a prior but none of the recordings"):
        save_model(tmp_path / "m.distill", dataclasses.replace(model, sources=model.sources[1:]))
    assert not list(tmp_path.iterdir())


def test_a_file_is_renamed_without_its_tensors_being_built(model: Model, tmp_path: Path) -> None:
    """Guards against seconds of waiting for PyTorch, and against losing what a newer version says besides."""
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, minor=99, news=[1.5])
    code = (
        "import sys; from pathlib import Path; from distill.library import Library; from distill.library.moving import rename; "
        "library = Library(print); rename(library, library.note_model(Path(sys.argv[1])), 'Größe'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    renamed = load_model(tmp_path / "Größe.distill")
    assert not path.exists()
    assert (renamed.header.name, renamed.fingerprint) == ("Größe", model.fingerprint)
    content = (tmp_path / "Größe.distill").read_bytes()
    table = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(table["__metadata__"]["distill"])["news"] == [1.5]


def test_a_damaged_file_keeps_its_name(model: Model, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.distill", model)
    library = Library(pytest.fail)
    entry = library.note_model(path)
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(ModelFileError, match="does not match its checksum"):
        rename(library, entry, "drums")
    assert [one.name for one in tmp_path.iterdir()] == ["m.distill"]


def test_codes_stay_valid_when_only_the_decoder_learns_on(model: Model) -> None:
    """Guards against .codes files that a refined decoder refuses, and against ones that mean something else by now."""
    before, whole = model.codes_fingerprint, model.fingerprint
    with torch.no_grad():
        model.codec.decoder[0].weight.add_(1)
    assert model.codes_fingerprint == before
    assert model.fingerprint != whole
    with torch.no_grad():
        model.codec.encoder[0].weight.add_(1)
    assert model.codes_fingerprint != before


def test_a_loaded_codec_trains_on_without_a_new_start(model: Model, tmp_path: Path) -> None:
    """Guards against k-means that starts over when a loaded codec is put into training mode."""
    codec = load_model(save_model(tmp_path / "m.distill", model)).codec.train()
    before = codec.quantizer.codebooks.clone()
    codec(torch.randn(1, 1, 4096))
    assert (codec.quantizer.codebooks - before).abs().mean() < 0.5 * before.abs().mean()


def test_header_alone(model: Model, tmp_path: Path) -> None:
    header = read_header(save_model(tmp_path / "m.distill", model))
    assert header.has_prior
    assert header.corpus.split_seed == 3


def test_every_flipped_byte_is_noticed(model: Model, tmp_path: Path) -> None:
    whole = save_model(tmp_path / "whole.distill", model)
    path, content = tmp_path / "m.distill", whole.read_bytes()
    for place in torch.randint(0, len(content), (60,), generator=torch.Generator().manual_seed(0)).tolist():
        broken = bytearray(content)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        try:
            loaded = load_model(path)
        except ModelFileError:
            continue
        # A flip in the name of the header's own checksum leaves a file like those that had none yet.
        assert loaded.fingerprint == model.fingerprint
        assert loaded.header == load_model(whole).header


@pytest.mark.parametrize("length", [0, 4, 8, 100, 3000, -1])
def test_every_cut_is_noticed(model: Model, tmp_path: Path, length: int) -> None:
    path = save_model(tmp_path / "m.distill", model)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"m\.distill"):
        load_model(path)


def test_newer_major_is_refused_with_what_to_install(model: Model, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, major=2)
    with pytest.raises(ModelFileError, match=r"newer Distill \(format 2\..*Update Distill: git pull"):
        load_model(path)


@pytest.mark.parametrize("bands", [[[0.0] * 24], [[0.0] * 23] * 65, [[1e9] * 24] * 65])
def test_a_map_to_bands_that_cannot_be_is_refused(model: Model, tmp_path: Path, bands: list[list[float]]) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, bands=bands)
    with pytest.raises(ModelFileError, match="map to its bands"):
        load_model(path)


@pytest.mark.parametrize("strength", [-0.1, 11.0, float("nan")])
def test_a_strength_of_the_beat_that_cannot_be_is_refused(model: Model, tmp_path: Path, strength: float) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, beat_strength=strength)
    with pytest.raises(ModelFileError, match="not possible"):
        load_model(path)


@pytest.mark.parametrize("decibels", [1e39, -1001.0, float("nan"), "loud"])
def test_a_loudness_that_cannot_be_is_refused(model: Model, tmp_path: Path, decibels: object) -> None:
    """Guards against a stranger's file whose new audio ends as a fault in Distill: no code was left to be drawn."""
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, loudness=[0.0, decibels, decibels])
    with pytest.raises(ModelFileError, match="not possible"):
        load_model(path)


@pytest.mark.parametrize(("numbers", "words"), [(1, "balance"), (257, "balance"), ([1e9], "not possible")])
def test_a_balance_that_cannot_be_is_refused(
    model: Model, tmp_path: Path, numbers: int | list[float], words: str
) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, balance=[0.5] * numbers if isinstance(numbers, int) else numbers)
    with pytest.raises(ModelFileError, match=words):
        load_model(path)


@pytest.mark.parametrize("toll", [101.0, float("nan"), "dear"])
def test_a_toll_that_cannot_be_is_refused(model: Model, tmp_path: Path, toll: object) -> None:
    path = save_model(tmp_path / "m.distill", model)
    records = [{"name": "a.wav", "start_seconds": 0, "positions": 3, "held_out": False, "tolls": [toll]}]
    edit_header(path, sources=records)
    with pytest.raises(ModelFileError, match="not possible"):
        load_model(path)


def test_newer_minor_with_unknown_fields_loads(model: Model, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, minor=7, something_new=[1, 2])
    assert load_model(path).header.name == "tiny"


def test_a_file_that_does_not_know_near_copies_loads(model: Model, tmp_path: Path) -> None:
    """Guards against refusing what format 1.0 wrote."""
    path = save_model(tmp_path / "m.distill", model)
    records = [
        {"name": "a.wav", "start_seconds": 0, "positions": 2, "held_out": False},
        {"name": "b.wav", "start_seconds": 1.5, "positions": 1, "held_out": True},
    ]
    edit_header(path, minor=0, sources=records)
    old = load_model(path)
    assert [source.take for source in old.sources] == [-1, -1]
    assert read_header(save_model(tmp_path / "again.distill", old)).minor == FORMAT_VERSION[1]


@pytest.mark.parametrize("figure", ["low", 10**400, math.inf, math.nan], ids=["text", "huge", "infinite", "NaN"])
def test_a_figure_that_is_no_number_is_unknown(model: Model, tmp_path: Path, figure: object) -> None:
    """Guards against one strange file among many that ends their import as a fault in Distill."""
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, codec_training={"best_val_loss": figure}, prior_training={"best_perplexity": figure})
    entry = Library(print).note_model(path)
    assert (entry.codec_distance, entry.perplexity) == (None, None)
    after = {"best_perplexity": 20.0, "corpus_fingerprint": "a"}
    before = {"corpus_fingerprint": "a", **(read_header(path).prior_training or {})}
    assert reason_to_keep_prior(path, before, after, is_stopped=False) == "", "a prior that was never measured is kept"


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": []},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 10**9, "held_out": False}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 3, "held_out": True}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 0, "held_out": False}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 3, "held_out": False, "take": -2}]},
        {"codec": {"voice": "lobes", "hidden_size": 10**6}},
        {"codec": {"voice": "lobes", "hidden_size": 32, "codebook_size": 32, "latent_size": 8}},
        {"codec": {"voice": "lobes", "hop": 1000}},
        {"codec": {"voice": "lobes", "hidden_size": 16.0}},
        {"format": "other"},
        {"major": 0},
        {"major": 10**30},
        {"major": 2, "minor": "\x1b[2J"},
        {"major": True},
        {"minor": -1},
        {"minor": math.inf},
        {"minor": "1"},
        {"created": "x" * 10_000},
        {"name": "a/b"},
        {"name": "a\x1b[2Jb"},
        {"name": "\ud800"},
        {"sources": [{"name": "a\x00", "start_seconds": 0, "positions": 3, "held_out": False}]},
        {"sources": [{"name": "a", "start_seconds": math.nan, "positions": 3, "held_out": False}]},
        {"digest": "b" * 64},
        {"corpus": None},
    ],
)
def test_headers_that_lie_are_refused(model: Model, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Guards against building tensors of whatever size a stranger's file declares."""
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, **changes)
    with pytest.raises(ModelFileError):
        load_model(path)


@pytest.mark.parametrize("voice", [{}, {"voice": "tones"}], ids=["none", "another"])
def test_a_decoder_of_another_kind_is_refused_in_words(model: Model, tmp_path: Path, voice: dict[str, str]) -> None:
    """Guards against a model that is decoded wrongly, or called damaged, because its decoder is not the one there is."""
    path = save_model(tmp_path / "m.distill", model)
    sizes = dataclasses.asdict(model.header.codec)
    del sizes["voice"]
    edit_header(path, codec=sizes | voice)
    for read in (load_model, read_header):
        with pytest.raises(ModelFileError, match="decoder is of another kind") as refused:
            read(path)
        assert "Train it again" in refused.value.fix


def test_a_size_that_is_not_known_is_passed_over(model: Model, tmp_path: Path) -> None:
    """Guards against files that say one size more, as that of a decoder which is gone, and do not open for it."""
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, codec=dataclasses.asdict(model.header.codec) | {"frame_hop": 256})
    assert load_model(path).header.codec == model.header.codec


def change(path: Path, name: str, value: float) -> None:
    """Sets the first number of a tensor and makes the digest anew."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entry = json.loads(content[8 : 8 + length])[name]
    number = np.array([value], {"F32": "<f4", "I64": "<i8", "I16": "<i2"}[entry["dtype"]]).tobytes()
    body = bytearray(content[8 + length :])
    start = entry["data_offsets"][0]
    body[start : start + len(number)] = number
    path.write_bytes(content[: 8 + length] + body)
    edit_header(path, digest=hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codec.quantizer.codebooks", math.nan),
        ("codec.decoder.0.weight", math.inf),
        ("codec.decoder.0.weight", 1e30),
        ("prior.norm.weight", -math.inf),
        ("code_counts", -1),
        ("code_counts", 2**62),
        ("sources", 32),
        ("sources", -1),
    ],
)
def test_numbers_that_cannot_be_are_refused_though_the_digest_fits(
    model: Model, tmp_path: Path, name: str, value: float
) -> None:
    """Guards against a stranger's weights that end in silence, noise or an error in the middle of a piece."""
    path = save_model(tmp_path / "m.distill", model)
    change(path, name, value)
    with pytest.raises(ModelFileError, match=r"m\.distill is not a usable"):
        load_model(path)


def test_the_header_has_a_checksum_too(model: Model, tmp_path: Path) -> None:
    """Guards against a bad copy in which another recording was held out, or another sound is told."""
    path = save_model(tmp_path / "m.distill", model)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"5.5", b"7.5", 1))
    assert path.read_bytes() != content
    for read in (load_model, read_header):
        with pytest.raises(ModelFileError, match="checksum"):
            read(path)
    edit_header(save_model(path, model), sealed=False)
    for read in (load_model, read_header):
        with pytest.raises(ModelFileError, match="header cannot be understood"):
            read(path)


def with_table(content: bytes, old: str, new: str) -> bytes:
    length = int.from_bytes(content[:8], "little")
    table = content[8 : 8 + length].decode()
    assert old in table
    changed = table.replace(old, new, 1).encode()
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"shape":[4,32]', '"shape":[4.0,32]'),
        ('"shape":[4,32]', '"shape":[true,32]'),
        ('"data_offsets":[0,', '"data_offsets":[0.0,'),
        ('"data_offsets":[0,', '"data_offsets":[Infinity,'),
        ('"data_offsets":[0,', '"data_offsets":[' + "9" * 5000 + ","),
        ('"code_counts":', '"code_counts":' + '{"a":' * 100_000),
        ('"code_counts":', '"code_counts":{},"code_counts":'),
        ('"__metadata__":', '"__metadata__":{},"__metadata__":'),
        ('"dtype":"I64"', '"dtype":["I64"]'),
    ],
)
def test_tables_that_lie_are_refused(model: Model, tmp_path: Path, old: str, new: str) -> None:
    """Guards against numbers that Python takes for others, names that come twice, and depths that overflow a stack."""
    path = save_model(tmp_path / "m.distill", model)
    path.write_bytes(with_table(path.read_bytes(), old, new))
    with pytest.raises(ModelFileError, match=r"m\.distill"):
        load_model(path)


def test_a_wide_header_is_not_taken_apart(model: Model, tmp_path: Path) -> None:
    """Guards against a small file that takes a hundred times its size in memory."""
    path = save_model(tmp_path / "m.distill", model)
    content = with_table(path.read_bytes(), '"code_counts":', '"a":[' + "{}," * 1_000_000 + '{}],"code_counts":')
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        load_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Guards against a model that never opens, or that fills the memory."""
    os.mkfifo(tmp_path / "pipe.distill")
    (tmp_path / "endless.distill").symlink_to("/dev/zero")
    (tmp_path / "round.distill").symlink_to(tmp_path / "round.distill")
    for name, what in (("pipe", "cannot be read"), ("endless", "cannot be read"), ("round", "leads back to itself")):
        for read in (load_model, read_header):
            with pytest.raises(ModelFileError, match=f"{name}.distill .*{what}"):
                read(tmp_path / f"{name}.distill")


class _Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def test_a_pickle_is_not_opened(model: Model, tmp_path: Path) -> None:
    """Guards against code that comes with a model."""
    canary = tmp_path / "ran"
    trap = tmp_path / "trap.distill"
    torch.save({"weights": _Trap(canary)}, trap)
    (tmp_path / "plain.distill").write_bytes(pickle.dumps(_Trap(canary)))
    for path in (trap, tmp_path / "plain.distill"):
        with pytest.raises(ModelFileError):
            load_model(path)
        with pytest.raises(CodesFileError):
            load_codes(path, model.codes_fingerprint, model.codec)
        with pytest.raises(StateFileError):
            load_state(path, "refinement")
    assert not canary.exists()


def test_a_file_that_would_not_be_read_again_is_not_written(model: Model, tmp_path: Path) -> None:
    """Guards against hours of training in a file whose header is longer than what is read of one."""
    path = save_model(tmp_path / "m.distill", model)
    content = path.read_bytes()
    names = (f"{'a' * 4000}-{number}" for number in range(MAX_TABLE_BYTES // 4000))
    model.sources = tuple(dataclasses.replace(model.sources[0], name=name) for name in names)
    with pytest.raises(OutputError, match="takes more than"):
        save_model(path, model)
    assert path.read_bytes() == content


def test_spoilt_files() -> None:
    """A small part of ``python benchmarks/fuzz_model_file.py``, with another seed: no crash, hang or wrong model."""
    script = Path(__file__).parents[2] / "benchmarks" / "fuzz_model_file.py"
    done = subprocess.run(
        [sys.executable, script, "--count", "150", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "150 files" in done.stdout
