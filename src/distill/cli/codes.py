"""``distill encode`` and ``distill decode``: the codec on its own."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import good, note, print_json
from distill.counted import counted
from distill.durations import duration
from distill.files.names import CODES_SUFFIX, SOUND_SUFFIXES, output_file
from distill.files.regular import absolute


def encode(
    model: options.ModelArgument,
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="An audio file.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The .codes file.", show_default="AUDIO's name + .codes")] = None,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Encode AUDIO as MODEL's codes."""
    from distill.evaluation import codec_files
    from distill.models.model_file import load_model
    from distill.training.device import choose_device

    model = options.model_file(model)
    with output_file(out, Path(f"{audio.stem}{CODES_SUFFIX}"), audio, model, endings=[CODES_SUFFIX]) as target:
        codes = codec_files.encode_file(load_model(model, choose_device(device)), audio, target, note)
    positions, levels = codes.codes.shape
    if as_json:
        print_json({"codes": absolute(target), "positions": positions, "levels": levels, "samples": codes.samples})
        return
    seconds = codes.samples / codes.sample_rate
    good(f"{target}: {counted(positions, 'position')} of {levels} levels for {duration(seconds)} of audio")


def decode(
    context: typer.Context,
    model: options.ModelArgument,
    codes: Annotated[Path, typer.Argument(metavar="CODES", help="A .codes file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="The audio file (wav, flac, ogg, mp3).", show_default="CODES' name + .wav"),
    ] = None,
    bit_depth: options.BitDepthOption = 24,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Decode CODES into audio with the MODEL that made them."""
    from distill.codes.codes_file import load_codes
    from distill.evaluation import codec_files
    from distill.models.model_file import load_model
    from distill.training.device import choose_device

    model = options.model_file(model)
    with output_file(out, Path(f"{codes.stem}.wav"), codes, model, endings=SOUND_SUFFIXES) as target:
        options.check_bit_depth(context, target, bit_depth)
        loaded = load_model(model, choose_device(device))
        read = load_codes(codes, loaded.codes_fingerprint, loaded.codec)
        codec_files.decode_file(loaded, read, target, bit_depth)
    if as_json:
        print_json({"audio": absolute(target), "samples": read.samples, "sample_rate": read.sample_rate})
        return
    good(f"{target}: {read.samples / read.sample_rate:.2f} s of audio")
