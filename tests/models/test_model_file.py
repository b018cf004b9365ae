"""The model file: what goes in comes out, and what is not right is refused before a tensor is built."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.errors import ModelFileError
from distill.models import CodePrior, ConvVQVAE, Model, PriorConfig, VQVAEConfig, load_model, save_model
from distill.models.model_file import CorpusRecord, Source, new_header, read_header


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    codec = ConvVQVAE(VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=32))
    codec.quantizer.set_codebooks(torch.randn(4, 32, 8))
    prior = CodePrior(PriorConfig(codebook_size=32, hidden_size=16, num_layers=1, num_heads=2, context=32))
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


def edit_header(path: Path, **changes: Any) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table["__metadata__"]["distill"]) | changes
    table["__metadata__"]["distill"] = json.dumps(header)
    encoded = json.dumps(table).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + length :])


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


def test_codes_stay_valid_when_only_the_decoder_learns_on(model: Model) -> None:
    """Guards against .codes files that a refined decoder refuses, and against ones that mean something else by now."""
    before, whole = model.alphabet, model.fingerprint
    with torch.no_grad():
        model.codec.decoder[0].weight.add_(1)
    assert model.alphabet == before
    assert model.fingerprint != whole
    with torch.no_grad():
        model.codec.encoder[0].weight.add_(1)
    assert model.alphabet != before


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
    path = save_model(tmp_path / "m.distill", model)
    content = bytearray(path.read_bytes())
    for place in torch.randint(0, len(content), (60,), generator=torch.Generator().manual_seed(0)).tolist():
        broken = bytearray(content)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        try:
            loaded = load_model(path)
        except ModelFileError:
            continue
        # A flip inside the header's free text or numbers can leave a valid file, but never other tensors.
        assert loaded.fingerprint == model.fingerprint


@pytest.mark.parametrize("length", [0, 4, 8, 100, 3000, -1])
def test_every_cut_is_noticed(model: Model, tmp_path: Path, length: int) -> None:
    path = save_model(tmp_path / "m.distill", model)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"m\.distill"):
        load_model(path)


def test_newer_major_is_refused_with_what_to_install(model: Model, tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.distill", model)
    edit_header(path, major=2)
    with pytest.raises(ModelFileError, match=r"distill-audio 2\.0"):
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
    assert read_header(save_model(tmp_path / "again.distill", old)).minor == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": []},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 10**9, "held_out": False}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 3, "held_out": True}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 0, "held_out": False}]},
        {"sources": [{"name": "a", "start_seconds": 0, "positions": 3, "held_out": False, "take": -2}]},
        {"codec": {"hidden_size": 10**6}},
        {"codec": {"hidden_size": 32, "codebook_size": 32, "latent_size": 8}},
        {"codec": {"hop": 1000}},
        {"format": "other"},
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
