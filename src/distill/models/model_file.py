"""One ``.distill`` file holds codec and prior: safetensors with a JSON header. Opening one can never run code.

The header is checked field by field, then every tensor's name, type and shape against the sizes the header declares, then
the digest of the bytes (``files/tensors.py``). Only after that is a tensor built. What is built is checked once more: weights
are finite, codes and counts are possible ones, and the recordings' sound, where it is there, is as long as it says.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from distill.audio.mixing import Mix
from distill.errors import MissingPriorError, OutputError
from distill.files.atomic import written_aside
from distill.files.names import command
from distill.files.regular import open_regular
from distill.files.tensors import UnusableError, encode, read_table, read_tensors
from distill.models.header import (
    FORMAT_VERSION,
    KEY,
    Header,
    SourceRecord,
    checked_header,
    errors_in_words,
    possible_header,
)
from distill.models.prior import CodePrior
from distill.models.sound import Sound, check_sounds
from distill.models.vqvae import ConvVQVAE

_CODEBOOKS = "codec.quantizer.codebooks"
_MOST_COUNTS = 1 << 48
_LARGEST_WEIGHT = 1e5
"""Far beyond what training leads to, and small enough that no layer of any size can overflow."""

M = TypeVar("M", ConvVQVAE, CodePrior)


@dataclass(frozen=True)
class Source:
    """One stretch of the recordings as codes: what new audio is compared with and begins with."""

    name: str
    """The recording's name."""
    start_seconds: float
    """Where in the recording the stretch begins, in seconds; 0 for whole recordings."""
    held_out: bool
    """Whether it was held out when the models were trained."""
    codes: Tensor
    """``[S, Q]`` int64, at least one position."""
    take: int = -1
    """Near-copies of one take share this number; -1 where it is not known (format 1.0)."""
    sha256: str = ""
    """SHA-256 of the recording's file, by which it is found again; empty where it is not known."""
    gain: float = 1.0
    """What brought the recording down to full scale."""
    mix: Mix = "mean"
    """How one channel was made of two."""
    tolls: tuple[float, ...] = ()
    """What grains of equal parts of it cost, so that none is used too often (``making/tolls.py``)."""

    @classmethod
    def of(cls, record: SourceRecord, codes: Tensor) -> "Source":
        """The source that a header has this record of."""
        told = {name: value for name, value in record if name != "positions"}
        return cls(**told | {"codes": codes, "sha256": record.sha256 or ""})

    @property
    def recording(self) -> str:
        """What its recording is known by, which is the same for all stretches of it: the SHA-256, or the name without one."""
        return self.sha256 or self.name

    @property
    def record(self) -> SourceRecord:
        """What the header says of it."""
        told = {name: value for name, value in vars(self).items() if name != "codes"}
        return SourceRecord(**told | {"positions": len(self.codes), "sha256": self.sha256 or None})


@dataclass
class Model:
    """A loaded model file: frozen codec, prior if there is one, and what the file says of itself."""

    header: Header
    codec: ConvVQVAE
    code_counts: Tensor
    """How often the corpus uses each codebook entry: ``[Q, K]`` int64."""
    prior: CodePrior | None = None
    sources: tuple[Source, ...] = ()
    """The recordings as codes; there is at least one that was trained on where there is a prior."""
    sounds: tuple[Sound, ...] = ()
    """The sound of recordings, in a model that was exported with them."""
    path: Path | None = None
    """The file it was read from; None for a model that is in no file."""

    @property
    def device(self) -> torch.device:
        """The device that the codec is on."""
        return next(self.codec.parameters()).device

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the codec."""
        return codec_fingerprint(self.codec)

    @property
    def codes_fingerprint(self) -> str:
        """SHA-256 of encoder and codebooks: codes belong to them, whatever prior or refined decoder there is now."""
        return codes_fingerprint(self.codec)

    def require_prior(self) -> CodePrior:
        """The prior.

        Raises:
            MissingPriorError: if the model has none.
        """
        if self.prior is None:
            raise MissingPriorError(
                f"The model '{self.header.name}' has a codec but no prior yet, and new audio needs one.",
                f"Run: {command('distill', 'train-prior', self.path or 'MODEL', 'FOLDER')}",
            )
        return self.prior

    @property
    def trained_on(self) -> tuple[Source, ...]:
        """The sources that were not held out."""
        return tuple(source for source in self.sources if not source.held_out)

    def with_header(self, **fields: Any) -> "Model":
        """The same model with other values in these fields of its header."""
        return replace(self, header=self.header.model_copy(update=fields))


def codec_fingerprint(codec: ConvVQVAE) -> str:
    """SHA-256 over the codec's tensors in the order of their names."""
    return _fingerprint(_codec_tensors(codec))


def codes_fingerprint(codec: ConvVQVAE) -> str:
    """SHA-256 over everything of the codec but its decoder: where it is equal, equal sound has equal codes."""
    tensors = _codec_tensors(codec)
    return _fingerprint({name: tensor for name, tensor in tensors.items() if not name.startswith("decoder.")})


def save_model(path: Path, model: Model) -> Path:
    """Writes the model whole or not at all.

    Raises:
        OutputError: if the file system refuses, or the file could not be opened again.
    """
    tensors = {f"codec.{name}": tensor for name, tensor in _codec_tensors(model.codec).items()}
    tensors["code_counts"] = model.code_counts
    if model.prior is not None:
        tensors |= {f"prior.{name}": tensor for name, tensor in _prior_tensors(model.prior).items()}
        tensors["sources"] = torch.cat([source.codes for source in model.sources]).short()
    records = tuple(source.record for source in model.sources)
    named = {record.sha256 for record in records}
    # A prior of other recordings has no use for them.
    sounds = [sound for sound in model.sounds if sound.sha256 in named]
    tensors |= {f"sounds.{number}": sound.flac for number, sound in enumerate(sounds)}
    major, minor = FORMAT_VERSION  # of this file, whatever an older codec's was
    changes: dict[str, Any] = {"major": major, "minor": minor, "sources": records}
    changes["sounds"] = tuple(sound.record for sound in sounds)

    def header(digest: str) -> str:
        text = model.header.model_copy(update={**changes, "digest": digest}).model_dump_json()
        try:
            possible_header(text)
        except UnusableError as error:
            raise OutputError(
                f"{path} is not written, as it could not be opened again: {error}.", "Change what its header says."
            ) from error
        return text

    try:
        content = encode(tensors, KEY, header)
    except UnusableError as error:
        raise OutputError(f"{path} cannot be written: {error}.", "Use fewer recordings, or shorter names.") from error
    with written_aside(path) as temporary:
        temporary.write_bytes(content)
    return path


def load_model(path: Path, device: torch.device | str = "cpu") -> Model:
    """Reads and checks a ``.distill`` file; the models come in eval mode with all gradients off.

    Raises:
        ModelFileError: if the file is missing, damaged, foreign or from a newer version.
    """
    with errors_in_words(path), open_regular(path) as file:
        table = read_table(file, KEY)
        header = checked_header(path, table)
        if header.prior is not None and table.body < 4 * header.prior.hidden_size**2:
            raise UnusableError("its tensors have other sizes than its header declares")
        with _WeightsWithoutMemory():
            codec = ConvVQVAE(header.codec)
            prior = CodePrior(header.prior) if header.prior is not None else None
        tensors = read_tensors(file, table, _expected_tensors(header, codec, prior), header.digest or "")
        _check_content(tensors, header.codec.codebook_size)
        sounds = tuple(
            Sound(record.sha256, record.channels, record.samples, tensors[f"sounds.{number}"])
            for number, record in enumerate(header.sounds)
        )
        check_sounds(sounds)
    codec = ConvVQVAE(header.codec)
    codebooks = tensors.pop(_CODEBOOKS)
    codec.load_state_dict(_below("codec.", tensors), strict=False)
    codec.quantizer.set_codebooks(codebooks)
    model = Model(header, _frozen(codec, device), tensors["code_counts"], sounds=sounds, path=path)
    if header.prior is not None:
        prior = CodePrior(header.prior)
        prior.load_state_dict(_below("prior.", tensors), strict=False)
        model.prior = _frozen(prior, device)
        parts = tensors["sources"].long().split([record.positions for record in header.sources])
        model.sources = tuple(Source.of(record, part) for record, part in zip(header.sources, parts, strict=True))
    return model


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class _WeightsWithoutMemory(TorchFunctionMode):
    """Makes modules whose weights have shapes and nothing else, whatever sizes a stranger's header declares.

    PyTorch's own way, ``torch.device("meta")``, puts the small tables there as well (tapers, frequencies) and draws first
    values; for both it imports a second's worth of modules.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]  # there is nothing to draw
        if isinstance(kwargs.get("out"), Tensor) and kwargs["out"].is_meta:
            return kwargs["out"]
        if func in (torch.empty, torch.zeros, torch.ones, torch.full) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _frozen(model: M, device: torch.device | str) -> M:
    model.requires_grad_(False)
    return model.eval().to(device)


def _fingerprint(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _codec_tensors(codec: ConvVQVAE) -> dict[str, Tensor]:
    # The quantizer library's own names and statistics stay out of the file: only the codebooks are ours to keep.
    tensors = {
        name: tensor.detach().cpu() for name, tensor in codec.state_dict().items() if not name.startswith("quantizer.")
    }
    tensors["quantizer.codebooks"] = codec.quantizer.codebooks.detach().cpu().contiguous()
    return tensors


def _prior_tensors(prior: CodePrior) -> dict[str, Tensor]:
    # What marks transposed views is of use in training alone, whose state keeps it.
    return {name: tensor for name, tensor in prior.state_dict().items() if name != "transposed"}


def _expected_tensors(header: Header, codec: ConvVQVAE, prior: CodePrior | None) -> dict[str, tuple[str, list[int]]]:
    """Name to (type, shape) of every tensor that a file with this header must hold, no more and no less."""
    config = header.codec
    expected = {
        f"codec.{name}": ("F32", list(tensor.shape))
        for name, tensor in codec.state_dict().items()
        if not name.startswith("quantizer.")
    }
    expected[_CODEBOOKS] = (
        "F32",
        [config.num_quantizers, config.codebook_size, config.vector_size],
    )
    expected["code_counts"] = ("I64", [config.num_quantizers, config.codebook_size])
    if prior is not None:
        expected |= {f"prior.{name}": ("F32", list(tensor.shape)) for name, tensor in _prior_tensors(prior).items()}
        positions = sum(record.positions for record in header.sources)
        expected["sources"] = ("I16", [positions, config.num_quantizers])
    expected |= {f"sounds.{number}": ("U8", [record.bytes]) for number, record in enumerate(header.sounds)}
    return expected


def _check_content(tensors: dict[str, Tensor], codebook_size: int) -> None:
    for name, tensor in tensors.items():
        # A value that is not a number fails every comparison.
        if tensor.is_floating_point() and not bool((tensor.abs() <= _LARGEST_WEIGHT).all()):
            raise UnusableError(f"the weights '{name}' hold values that are not numbers, or far too large")
    counts = tensors["code_counts"]
    if not 0 <= int(counts.min()) <= int(counts.max()) < _MOST_COUNTS:
        raise UnusableError("it counts its codes in numbers that cannot be")
    codes = tensors.get("sources")
    if codes is not None and not 0 <= int(codes.min()) <= int(codes.max()) < codebook_size:
        raise UnusableError(f"it holds recordings in codes outside 0..{codebook_size - 1}")
