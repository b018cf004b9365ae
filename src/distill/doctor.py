"""Checks this computer and Distill's own folder, by trying things out.

A device can compute wrong codes without any error. So each one quantises vectors whose codes are known, measures a tone whose
spectrum is known, and decodes a sound that the CPU decodes too.
"""

import contextlib
import platform
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from distill.audio.distance import Magnitude
from distill.counted import bytes_in_words, counted
from distill.durations import about
from distill.errors import LibraryError, OutputError
from distill.evaluation.opus import has_opus
from distill.files.atomic import ensure_writable
from distill.files.home import home
from distill.files.installing import installing, installing_extra
from distill.files.names import command, run_folders
from distill.files.regular import is_file, is_folder
from distill.library import Library
from distill.library.trash import KINDS, trashed
from distill.models.config import VQVAEConfig
from distill.models.quantizer import ResidualQuantizer
from distill.models.sketch import SketchExamples, fitted_maps
from distill.models.vqvae import ConvVQVAE
from distill.training.codec_loss import CodecLoss
from distill.training.device import choose_device
from distill.training.plan import CodecPlan

READ = ("WAV", "AIFF", "FLAC", "OGG", "MP3")
LITTLE_ROOM = 2 << 30
"""Bytes: an hour of stereo, decoded, takes 1.4 GB."""
CORPUS_SECONDS = 600.0
PASSES = 25
"""Over a corpus of ten minutes: 15 000 s of audio, about what the codecs in docs/codec.md were trained on in ten minutes."""
PROBE_SECONDS = 1.5
SLOW = 0.5
"""Seconds of audio trained per second; below that even a small corpus takes hours."""
TOLERANCE = 1e-2
"""Between devices; the arithmetic of GPUs differs from the CPU's in the fourth decimal, a wrong kernel's in the first."""

_PACKAGES = ("numpy", "pydantic", "safetensors", "soundfile", "soxr", "vector-quantize-pytorch", "lightning-fabric")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    section: str
    name: str
    value: str
    """What was found."""
    fix: str = ""
    """What to do about it; empty where all is well."""
    number: float | None = None
    """The figure behind the value, if there is one: bytes, seconds, seconds per second."""

    @property
    def is_well(self) -> bool:
        return not self.fix


def examine(tell: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Checks everything, one finding after the other; ``tell`` is called with what is checked next."""
    parts: dict[str, Callable[[], Iterable[Finding]]] = {
        "versions": versions,
        "devices": devices,
        "disk": disk,
        "speed": speed,
        "Distill's folder": data_folder,
        "library": library,
    }
    for name, part in parts.items():
        if tell is not None:
            tell(name)
        yield from part()


def versions(formats: Collection[str] | None = None) -> Iterator[Finding]:
    """Versions of Distill and of what it depends on, and whether all kinds of audio files can be read.

    Args:
        formats: what libsndfile can read; asked if not given.
    """
    section = "Versions"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Finding(section, "Distill", version("distill-audio"))
    yield Finding(section, "Python", f"{platform.python_version()} on {system}")
    threads = torch.get_num_threads()
    yield Finding(section, "PyTorch", f"{torch.__version__}, {counted(threads, 'thread')}")
    formats = soundfile.available_formats() if formats is None else formats
    missing = [name for name in READ if name not in formats]
    yield Finding(
        section,
        "libsndfile",
        soundfile.__libsndfile_version__ + (f", cannot read {', '.join(missing)}" if missing else ""),
        f"Install soundfile with its own library: {installing('--force-reinstall', 'soundfile')}" if missing else "",
    )
    for package in _PACKAGES:
        try:
            yield Finding(section, package, version(package))
        except PackageNotFoundError:
            yield Finding(section, package, "not installed", f"Install it: {installing(package)}")
    try:
        yield Finding(section, "PyAV", version("av"))
    except PackageNotFoundError:
        yield Finding(
            section,
            "PyAV",
            f"not installed; only M4A (AAC), WMA and the like need it: {installing_extra('more-formats')}",
        )
    yield Finding(
        section, "opus-tools", "installed" if has_opus() else "not installed; only distill evaluate uses them"
    )


def devices(
    found: Mapping[str, str] | None = None, test: Callable[[torch.device], Sequence[str]] | None = None
) -> Iterator[Finding]:
    """The CPU, and each GPU kind that PyTorch finds, with what its self-test says.

    Args:
        found: devices by name, as :func:`available_devices` gives them.
        test: says what a device computes wrongly; :func:`self_test` if not given.
    """
    for name, title in (available_devices() if found is None else found).items():
        try:
            faults = (test or self_test)(torch.device(name))
        except RuntimeError as error:  # what PyTorch raises when a driver or a kernel fails or is missing
            faults = [_failure(error)]
        said = "codes, spectrum and sound are right" if not faults else "; ".join(faults)
        yield Finding("Devices", name, f"{title}: {said}", _instead_of(name) if faults else "")


def available_devices() -> dict[str, str]:
    """The devices on this computer, by name, with a description of each."""
    found = {"cpu": platform.processor() or platform.machine()}
    if torch.cuda.is_available():
        try:
            memory = torch.cuda.get_device_properties(0).total_memory
            found["cuda"] = f"{torch.cuda.get_device_name(0)}, {bytes_in_words(memory)}"
        except RuntimeError as error:  # its self-test says the rest
            found["cuda"] = f"a GPU that does not say its name, {_failure(error)}"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


@torch.no_grad()
def self_test(device: torch.device) -> list[str]:
    """What the device computes wrongly; empty if everything is right."""
    return [*_wrong_codes(device), *_wrong_spectrum(device), *_wrong_sound(device), *_wrong_start(device)]


def disk(little_room: int = LITTLE_ROOM) -> Iterator[Finding]:
    """Free space where Distill keeps decoded audio and runs, and where results go by default.

    Args:
        little_room: bytes below which something should be done.
    """
    for name, place in (("own folder", _existing(home())), ("this folder", Path.cwd())):
        free = shutil.disk_usage(place).free
        fix = f"Free some space on the disk of {place}." if free < little_room else ""
        yield Finding("Disk", name, f"{bytes_in_words(free)} free ({place})", fix, free)


def speed(measured: Callable[[torch.device], float] | None = None) -> Iterator[Finding]:
    """How fast a codec of the default size is trained, and what follows from it.

    Args:
        measured: gives the speed of a device; :func:`training_speed`, a second or two of training, if not given.
    """
    device = choose_device("auto")
    try:
        rate = (measured or training_speed)(device)
    except RuntimeError as error:  # a device that is broken, of which all else is to be known too
        yield Finding("Speed", "training", f"{device}: {_failure(error)}", _instead_of(device.type))
        return
    is_slow = rate < SLOW
    yield Finding(
        "Speed",
        "training",
        f"{rate:.1f} s of audio a second on {device}, measured on noise, at the default size in stereo",
        "Close what else is running, and try again; or use a computer with a GPU." if is_slow else "",
        rate,
    )
    seconds = PASSES * CORPUS_SECONDS / rate
    yield Finding(
        "Speed",
        "10 min corpus",
        f"about {about(seconds)} for the codec: {PASSES} passes at that speed",
        number=seconds,
    )


def training_speed(device: torch.device, seconds: float = PROBE_SECONDS) -> float:
    """Seconds of audio that the codec is trained on per second: the steps of the training loop, in the same sizes."""
    config = VQVAEConfig(channels=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = ConvVQVAE(config)
        codec.quantizer.set_codebooks(torch.randn(config.num_quantizers, config.codebook_size, config.vector_size))
        plan = CodecPlan()
        audio = 0.1 * torch.randn(plan.batch_size, config.channels, plan.window_positions * config.hop)
        codec, audio = codec.to(device).train(), audio.to(device)
        criterion = CodecLoss(config.sample_rate, plan.scales_per_step).to(device)
        optimizer = torch.optim.AdamW(codec.parameters(), lr=1e-5, fused=True)
        steps, draw = 0, np.random.default_rng(0)
        started = time.monotonic()
        while steps < 3 or time.monotonic() - started < seconds:
            output, predicted = codec.forward_with_predicted(audio)
            parts = criterion(codec, output.reconstruction, predicted, audio, draw)
            loss = torch.stack(list(parts.values())).sum() + output.commitment_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            float(loss.detach())  # waits for the device
            steps += 1
            if steps == 2:  # the first ones prepare what all others use
                started = time.monotonic()
    return (steps - 2) * audio.shape[0] * audio.shape[-1] / config.sample_rate / (time.monotonic() - started)


def data_folder() -> Iterator[Finding]:
    """Whether Distill's own folder can be written to, and what is in it."""
    section, place = "Distill's folder", home()
    try:
        ensure_writable(place)
    except OutputError as error:
        yield Finding(section, "place", error.what, f"{error.fix} DISTILL_HOME says where it is.")
        return
    yield Finding(section, "place", f"{place}, can be written to")
    runs = run_folders()
    size = sum(_size(folder) for folder in runs)
    yield Finding(section, "runs", f"{len(runs)}, {bytes_in_words(size)}", number=size)
    cache = _size(place / "cache")
    yield Finding(section, "decoded audio", f"{bytes_in_words(cache)}, made again when needed", number=cache)
    in_trash = {kind: len(trashed(kind)) for kind in KINDS}
    size = _size(place / "trash")
    held = ", ".join(counted(number, kind) for kind, number in in_trash.items())
    emptied = " and ".join(f"distill {kind}s delete --empty-trash" for kind, number in in_trash.items() if number)
    value = f"{held}, {bytes_in_words(size)}; emptied for good by {emptied}" if emptied else "empty"
    yield Finding(section, "trash", value, number=size)


def library() -> Iterator[Finding]:
    """Whether the library can be read, and whether every model in it is there."""
    section = "Library"
    said: list[str] = []
    try:
        index = Library(said.append)
        entries, runs, pieces = index.models(), index.runs(), index.generations()
    except LibraryError as error:
        yield Finding(section, "database", error.what, error.fix)
        return
    there = sum(entry.is_there for entry in entries)
    yield Finding(section, "database", f"models {there}, trainings {len(runs)}, new pieces {len(pieces)}", number=there)
    for words in said:  # a library that was damaged and made anew, a model file that was spoilt since
        yield Finding(
            section, "notice", words, "If a model is missing from the list: distill models import ITS-FILE --in-place"
        )
    for entry in entries:
        if not entry.is_there:
            yield Finding(
                section,
                entry.name,
                f"was in {entry.path.parent} and is gone or damaged",
                "If it was moved: distill models import ITS-FILE --in-place. If it is no longer wanted: "
                + command("distill", "models", "delete", entry.path),
            )


def _wrong_codes(device: torch.device) -> list[str]:
    """Sums of codebook entries, a tenth as large at each level, must give back the codes they were made of."""
    draw = torch.Generator().manual_seed(0)
    levels, size, width = 4, 256, 64
    scale = 10.0 ** -torch.arange(levels)
    codebooks = torch.randn(levels, size, width, generator=draw) * scale[:, None, None]
    codes = torch.randint(0, size, (8, 128, levels), generator=draw)
    latents = codebooks[torch.arange(levels), codes].sum(dim=-2)
    with torch.random.fork_rng(devices=[]):
        quantizer = ResidualQuantizer(width, levels, size)
    quantizer.set_codebooks(codebooks)
    quantizer = quantizer.to(device).eval()
    quantized, found, _ = quantizer(latents.to(device))
    wrong = float((found.cpu() != codes).float().mean())
    return [
        *([f"{100 * wrong:.2g} % of the codes are wrong"] if wrong else []),
        *_differs("what codes stand for", quantized, latents),
        *_differs("decoded codes", quantizer.decode(codes.to(device)), latents),
    ]


def _wrong_spectrum(device: torch.device) -> list[str]:
    """A tone in the middle of a bin has its peak there, as high as half the sum of the taper."""
    window, hop, tone = 1024, 256, 100
    sound = torch.sin(2 * torch.pi * tone / window * torch.arange(16 * window, dtype=torch.float64)).float()
    spectrum = Magnitude(window, hop).to(device)(sound.to(device)).cpu()[8:-8]
    expected = torch.zeros(window // 2 + 1)
    taper_sum = float(torch.hann_window(window).sum())
    expected[tone - 1 : tone + 2] = taper_sum * torch.tensor([0.25, 0.5, 0.25])
    return _differs("spectrum", spectrum / taper_sum, (expected / taper_sum).expand_as(spectrum))


def _wrong_sound(device: torch.device) -> list[str]:
    """The same codes sound the same as on the CPU: convolutions, perceptrons, drawn phases and inverse Fourier transforms."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = VQVAEConfig(channels=2, hidden_size=64, encoder_blocks=1, decoder_blocks=2, codebook_size=64)
        codec = ConvVQVAE(config).eval()
        codec.quantizer.set_codebooks(torch.randn(config.num_quantizers, config.codebook_size, config.vector_size))
        codes = torch.randint(0, config.codebook_size, (2, 32, config.num_quantizers))
    here = codec.decode(codes)
    return _differs("sound", codec.to(device).decode(codes.to(device)), here)


def _wrong_start(device: torch.device) -> list[str]:
    """A new codec begins as on the CPU: with the principal components of what the recordings sound like."""
    draw = torch.Generator().manual_seed(0)
    described = torch.randn(200, 16, generator=draw) * 0.5 ** torch.arange(16)
    examples = described, torch.zeros(200, 16), torch.randn(200, 8, generator=draw)
    made = [fitted_maps(SketchExamples(*(one.to(place) for one in examples)), 4, 8) for place in ("cpu", device)]
    # A component may point either way; its reading then does too.
    here, there = (reading.weight @ projection.weight for projection, reading in made)
    return _differs("the start of a codec", there, here)


def _differs(what: str, found: Tensor, expected: Tensor) -> list[str]:
    off = float((found.cpu() - expected).abs().max() / expected.abs().max())
    return [] if off <= TOLERANCE else [f"{what} off by {off:.2g} of the largest value"]  # NaN is off too


def _failure(error: RuntimeError) -> str:
    """What PyTorch says of a device that fails, in a line."""
    first, _, _ = str(error).partition("\n")
    return f"it fails ({first[:200]})"


def _instead_of(device: str) -> str:
    """What to do about a device that fails or computes wrongly."""
    if device == "cpu":
        return "Install PyTorch again, or another version of it: what is trained here cannot be trusted."
    return "Compute with --device cpu until PyTorch or the driver is updated."


def _existing(place: Path) -> Path:
    return next(folder for folder in (place, *place.absolute().parents) if is_folder(folder))


def _size(folder: Path) -> int:
    """Bytes in all files below a folder; one that is gone by now, a training's half-written state, counts nothing."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size if is_file(path) else 0
    return size
