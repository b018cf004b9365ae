"""Opens thousands of model files and codes files that were spoilt on purpose.

    python benchmarks/fuzz_model_file.py --count 20000
    python benchmarks/fuzz_model_file.py --only 1234 --keep spoilt.distill     # one of them again, and the file itself

A spoilt file must be refused with a ModelFileError (CodesFileError) within a second of work and 500 MB of memory (``cage.py``).
One that loads all the same is right only if it is

    equal        all it says and every tensor is as in the file it was made from, bit for bit
    consistent   its checksums were made anew, as anyone can who writes a whole model: what loads is saved, loaded again and
                 comes out the same, its sizes agree, and a piece is made with it or refused in words
"""

import io
import json
import random
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from cage import Attempt, Opened, open_many
from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.errors import CodesFileError, DistillError, ModelFileError
from distill.making.sampling import generate
from distill.models import CodePrior, ConvVQVAE, Model, PriorConfig, Source, VQVAEConfig, load_model, save_model
from distill.models.header import CorpusRecord, new_header

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 5, 7, 2**31, 2**31 - 1, 2**32, 2**53, 2**63, 2**64, -(2**63), 10**30, 10**4000, 0.5,
    1e-300, 1e300, -0.0, float("nan"), float("inf"), -float("inf"), "", "0", "1", "nan", "x" * 300, "x" * 20_000, "\x00",
    "a\x00b", "\x1b[2J\x1b]0;mine\x07", "../../elsewhere", "/etc/passwd", "C:\\nul", "..", ".", "\u202e", "\ud800", "a\nb",
    "😀" * 80, [], {}, [[]], [None], [1, 2, 3], ["a"], {"a": 1}, {"": {}}, [1e300] * 1000, "0" * 64, "f" * 64, "F" * 64, "F32",
]  # fmt: skip
SIZES = [1, 2, 3, 4, 8, 16, 64, 100, 256, 1000, 1024, 2048, 4096, 8192, 16_384, 65_536, 10**6, 2**31, 2**40]
PLAIN = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
}


@dataclass
class Parts:
    """A file taken apart: its header, its table, its tensor bytes."""

    about: dict[str, Any]
    table: dict[str, Any]
    body: bytearray
    key: str
    """Under which the table keeps the header."""

    def joined(self, *, table: bytes | None = None, about: str | None = None, new_digest: bool = False) -> bytes:
        """A file again; ``table`` or ``about`` replace what would be written for them."""
        if new_digest:
            self.about["digest"] = sha256(self.body).hexdigest()
        text = json.dumps(self.about) if about is None else about
        said = {self.key: text, "sha256": sha256(text.encode(errors="replace")).hexdigest()}
        whole = json.dumps({"__metadata__": said, **self.table}).encode() if table is None else table
        return struct.pack("<Q", len(whole)) + whole + self.body

    def place(self, name: str) -> slice:
        return slice(*self.table[name]["data_offsets"])


@dataclass(frozen=True)
class Spoilt:
    """A file that was spoilt, and whether its digest fits all the same."""

    content: bytes
    has_own_digest: bool = False


class Payload:
    """What runs when a pickle of it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was opened",))


def parts(content: bytes) -> Parts:
    length = struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8 : 8 + length])
    said = table.pop("__metadata__")
    (key,) = said.keys() - {"sha256"}
    return Parts(json.loads(said[key]), table, bytearray(content[8 + length :]), key)


# What is done to a file: each takes the whole content and a source of chance.


def cut(content: bytes, draw: random.Random) -> Spoilt:
    return Spoilt(content[: draw.choice([draw.randrange(200), draw.randrange(len(content)), len(content) - 1])])


def made_longer(content: bytes, draw: random.Random) -> Spoilt:
    place = draw.choice([len(content), draw.randrange(len(content))])
    return Spoilt(content[:place] + draw.randbytes(draw.choice([1, 8, 4096])) + content[place:])


def bits_flipped(content: bytes, draw: random.Random) -> Spoilt:
    spoilt = bytearray(content)
    end = draw.choice([8, 8 + struct.unpack("<Q", content[:8])[0], len(content)])
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        spoilt[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return Spoilt(bytes(spoilt))


def a_piece_overwritten(content: bytes, draw: random.Random) -> Spoilt:
    start = draw.randrange(len(content))
    size = draw.choice([1, 4, 64, 2000])
    other = draw.choice([bytes(size), b"\xff" * size, draw.randbytes(size), content[: size or 1]])
    return Spoilt((content[:start] + other + content[start + size :])[: len(content)])


def a_length_that_lies(content: bytes, draw: random.Random) -> Spoilt:
    true = struct.unpack("<Q", content[:8])[0]
    lie = draw.choice(
        [0, 1, 2, true - 1, true + 1, len(content), len(content) - 8, 2**31, 2**63, 2**64 - 1, draw.randrange(2**40)]
    )
    return Spoilt(struct.pack("<Q", lie) + content[8:])


def a_field_changed(content: bytes, draw: random.Random) -> Spoilt:
    taken = parts(content)
    holder, key = draw.choice(list(_fields(taken.about)))
    how = draw.randrange(10)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[draw.choice(["unknown", "", "x" * 1000, "__class__"])] = draw.choice(ODD)
    elif how == 2 and isinstance(holder[key], int | float):
        holder[key] = draw.choice(
            [holder[key] + 1, holder[key] - 1, -holder[key], float(holder[key]), str(holder[key])]
        )
    else:
        holder[key] = draw.choice(ODD)
    return Spoilt(taken.joined(), True)


def sizes_changed(content: bytes, draw: random.Random) -> Spoilt:
    """The header declares other sizes, and half the time the table agrees with them."""
    taken = parts(content)
    for _ in range(draw.choice([1, 2, 6])):
        config = taken.about[draw.choice(["codec", "prior"])] or taken.about["codec"]
        config[draw.choice(list(config))] = draw.choice(SIZES)
    if draw.random() < 0.5:
        taken.table = _table_for(taken.about) or taken.table
    return Spoilt(taken.joined(), True)


def an_entry_changed(content: bytes, draw: random.Random) -> Spoilt:
    taken = parts(content)
    name = draw.choice(list(taken.table))
    entry = taken.table[name]
    match draw.randrange(9):
        case 0:
            entry["dtype"] = draw.choice([*PLAIN, "X", "", "f32"])
        case 1:
            entry["shape"] = draw.choice(
                [entry["shape"][::-1], [*entry["shape"], 1], [], [0], [2**62, 4], [1.0], [True], ODD]
            )
        case 2:
            entry["shape"] = [float(size) for size in entry["shape"]]
        case 3:
            place = draw.randrange(2)
            entry["data_offsets"][place] = draw.choice(
                [entry["data_offsets"][place] + draw.choice([-4, -1, 1, 4]), *ODD]
            )
        case 4:
            entry["data_offsets"] = draw.choice([[], [0], [0, 1, 2], entry["data_offsets"][::-1], *ODD])
        case 5:
            entry["data_offsets"] = [float(place) for place in entry["data_offsets"]]
        case 6:
            holder, key = draw.choice([(taken.table, name), (entry, draw.choice(list(entry)))])
            del holder[key]
        case 7:
            taken.table[draw.choice(["extra", name.upper(), "__metadata__", ""])] = draw.choice([entry, *ODD])
        case _:
            taken.table[name] = draw.choice(ODD)
    return Spoilt(taken.joined(), True)


def tensors_swapped(content: bytes, draw: random.Random) -> Spoilt:
    """Two names for each other's bytes; equal sizes make a whole model, though another one."""
    taken = parts(content)
    one, other = draw.sample(list(taken.table), 2)
    alike = [name for name in taken.table if taken.table[name]["shape"] == taken.table[one]["shape"] and name != one]
    if alike and draw.random() < 0.7:
        other = draw.choice(alike)
    keys = ["data_offsets"] if draw.random() < 0.5 else ["data_offsets", "shape", "dtype"]
    for key in keys:
        taken.table[one][key], taken.table[other][key] = taken.table[other][key], taken.table[one][key]
    return Spoilt(taken.joined(), True)


def other_numbers(content: bytes, draw: random.Random) -> Spoilt:
    """Weights, counts or codes are changed and the digest is made anew: only what the numbers mean can tell."""
    taken = parts(content)
    name = draw.choice(list(taken.table))
    place, kind = taken.place(name), taken.table[name]["dtype"]
    count = (place.stop - place.start) // PLAIN[kind]
    letter = {"F32": "f", "I64": "q", "I16": "h"}[kind]
    odd: dict[str, list[float]] = {
        "F32": [float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45, 0.0, 1e5, -1e5, 20.0],
        "I64": [-1, 2**63 - 1, -(2**63), 2**53, 0, 7],
        "I16": [-1, 31, 32, 32_767, -32_768, 0],
    }
    numbers = list(struct.unpack(f"<{count}{letter}", taken.body[place]))
    for _ in range(draw.choice([1, 3, count])):
        numbers[draw.randrange(count)] = draw.choice(odd[kind])
    taken.body[place] = struct.pack(f"<{count}{letter}", *numbers)
    return Spoilt(taken.joined(new_digest=True), True)


def json_that_is_odd(content: bytes, draw: random.Random) -> Spoilt:
    taken = parts(content)
    about = json.dumps(taken.about)
    deep = draw.choice([10, 500, 2000, 100_000, 1_000_000])
    wide = draw.choice([1000, 100_000, 1_000_000])
    odd = draw.choice(
        [
            "[" * deep, "[" * deep + "]" * deep, '{"a":' * deep, '{"a":' * deep + "1" + "}" * deep, "9" * wide, "1e" + "9" * 20,
            "NaN", "Infinity", "-Infinity", "[" + "[]," * wide + "[]]", "[" + "{}," * wide + "{}]", '"' + "x" * wide + '"', "",
            "tru", "\x00", '"\\ud800"', "'a'", "01", "1.", "// x", "[1,]",
        ]
    )  # fmt: skip
    match draw.randrange(6):
        case 0:
            return Spoilt(taken.joined(about=odd), True)
        case 1:
            return Spoilt(taken.joined(table=odd.encode()), True)
        case 2:
            return Spoilt(taken.joined(about=f'{about[:-1]}, "new": {odd}}}'), True)
        case 3:
            return Spoilt(taken.joined(about=about.replace('"minor": 1', f'"minor": {odd}')), True)
        case 4:  # a name that comes twice
            key = draw.choice(list(taken.about))
            return Spoilt(
                taken.joined(about=f"{about[:-1]}, {json.dumps(key)}: {draw.choice([odd, '1', 'null'])}}}"), True
            )
        case _:
            whole = json.dumps({"__metadata__": {taken.key: about}, **taken.table})
            name = draw.choice(list(taken.table))
            twice = f"{whole[:-1]}, {json.dumps(name)}: {json.dumps(draw.choice(list(taken.table.values())))}}}"
            return Spoilt(taken.joined(table=twice.encode()), True)


def letters_of_another_kind(content: bytes, draw: random.Random) -> Spoilt:
    taken = parts(content)
    whole = json.dumps({"__metadata__": {taken.key: json.dumps(taken.about)}, **taken.table})
    kind = draw.choice(["utf-16", "utf-32", "utf-8-sig", "utf-16-be", "cp037", "utf-7"])
    return Spoilt(taken.joined(table=whole.encode(kind)), True)


def something_else(content: bytes, draw: random.Random) -> Spoilt:
    written = io.BytesIO()
    match draw.randrange(6):
        case 0:
            torch.save({"weights": Payload()}, written)  # exactly what must never be opened
        case 1:
            written.write(b"\x80\x04cbuiltins\nprint\n(S'a pickle was opened'\ntR.")
        case 2:
            written.write(draw.randbytes(draw.randrange(10_000)))
        case 3:
            written.write(b"PK\x03\x04" + content)
        case 4:
            written.write(struct.pack("<Q", 2) + b"{}" + content[:100])
        case _:
            written.write(content[8:] + content[:8])
    return Spoilt(written.getvalue())


SPOILERS: list[Callable[[bytes, random.Random], Spoilt]] = [
    cut, made_longer, bits_flipped, a_piece_overwritten, a_length_that_lies, a_field_changed, a_field_changed, a_field_changed,
    a_field_changed, sizes_changed, an_entry_changed, an_entry_changed, tensors_swapped, other_numbers, json_that_is_odd,
    letters_of_another_kind, something_else,
]  # fmt: skip


def _fields(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON tree, as (what holds it, its key)."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [(tree, key) for key in keys] + [place for key in keys for place in _fields(tree[key])]


def _table_for(about: Mapping[str, Any]) -> dict[str, Any] | None:
    """The table that a model of the declared sizes has, however large; none if there can be none."""
    try:
        with torch.device("meta"):
            codec = ConvVQVAE(TypeAdapter(VQVAEConfig).validate_python(about["codec"]))
            prior = CodePrior(TypeAdapter(PriorConfig).validate_python(about["prior"]))
            shapes = {f"codec.{name}": tensor for name, tensor in codec.state_dict().items() if "quantizer" not in name}
            shapes |= {f"prior.{name}": tensor for name, tensor in prior.state_dict().items()}
    except ValueError:
        return None
    table, place = {}, 0
    for name, tensor in shapes.items():
        stop = place + 4 * tensor.numel()
        table[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [place, stop]}
        place = stop
    return table


def tiny_model() -> Model:
    """A model that was never trained, with a prior and the codes of three recordings."""
    torch.manual_seed(0)
    config = VQVAEConfig(
        hidden_size=16,
        encoder_blocks=1,
        decoder_blocks=1,
        latent_size=4,
        sketch_size=4,
        codebook_size=32,
        num_quantizers=2,
    )
    codec = ConvVQVAE(config)
    codec.quantizer.set_codebooks(torch.randn(2, 32, 8))
    sizes = PriorConfig(codebook_size=32, num_quantizers=2, hidden_size=16, num_layers=1, num_heads=2, context=32)
    header = new_header(
        "tiny",
        config,
        CorpusRecord(fingerprint="0" * 64, file_count=3, seconds=3.5, split_seed=0),
        codec_training={"seed": 0, "epochs_trained": 1, "best_val_loss": 2.5},
        prior=sizes,
        prior_training={"best_perplexity": 20.0, "epochs_trained": 1, "device": "cpu"},
        curves={"codec_val_loss": [3.0, 2.5], "prior_val_loss": [3.0]},
    )
    sources = tuple(
        Source(f"take-{number}.wav", 0.0, number == 2, torch.randint(0, 32, (50, 2)), take=number)
        for number in range(3)
    )
    counts = torch.ones(2, 32, dtype=torch.int64)
    return Model(header, codec.eval(), counts, CodePrior(sizes).eval(), sources)


def contents(model: Model) -> tuple[bytes, ...]:
    """Everything that a model says and everything that sounds."""
    prior = [] if model.prior is None else list(model.prior.state_dict().values())
    tensors = [*prior, model.code_counts, *(source.codes for source in model.sources)]
    said = model.header.model_dump_json(exclude={"major", "minor", "digest"})
    return (said.encode(), model.fingerprint.encode(), *(tensor.numpy().tobytes() for tensor in tensors))


def prepared(given: tuple[int, str, str | None]) -> Attempt:
    """In the child: the files that are spoilt, and the way to spoil number n of them."""
    seed, folder, keep = given
    torch.set_num_threads(1)
    path, again = Path(folder) / "a.distill", Path(folder) / "again.distill"
    model = load_model(save_model(path, tiny_model()))
    whole, original = path.read_bytes(), contents(model)
    codes_path = save_codes(
        Path(folder) / "a.codes", Codes(model.sources[0].codes, model.codes_fingerprint, 51_000, 48_000)
    )
    whole_codes, codes = codes_path.read_bytes(), load_codes(codes_path, model.codes_fingerprint, model.codec)
    generate(model, 0.5)  # what is imported only now would look like memory later

    def open_model(spoilt: Spoilt) -> Opened:
        try:
            loaded = load_model(path)
        except ModelFileError as error:
            return "refused", error.what.partition("file: ")[2] or error.what.partition(".distill")[2], 0.0
        if contents(loaded) == original:
            return "equal", "", 0.0
        if not spoilt.has_own_digest:
            return "unnoticed", "it is another model, and no checksum told", 0.0
        return "consistent", "", 0.0

    def prove() -> str:
        loaded = load_model(path)
        twin = load_model(save_model(again, loaded))
        if contents(twin) != contents(loaded):
            return "saved and loaded again it is another"
        try:
            (piece,) = generate(loaded, 0.5)
            piece.audio(loaded)
        except DistillError:
            pass
        return ""

    def open_codes(spoilt: Spoilt) -> Opened:
        try:
            loaded = load_codes(codes_path, model.codes_fingerprint, model.codec)
        except CodesFileError as error:
            return "refused", error.what.partition(".codes")[2], 0.0
        if torch.equal(loaded.codes, codes.codes) and loaded.samples == codes.samples:
            return "equal", "", 0.0
        if not spoilt.has_own_digest:
            return "unnoticed", "they are other codes, and no checksum told", 0.0
        fits = loaded.codes.shape == (-(-loaded.samples // 1024), 2) and int(loaded.codes.max()) < 32
        return ("consistent" if fits else "inconsistent"), "" if fits else str(loaded.codes.shape), 0.0

    def attempt(number: int) -> tuple[str, Callable[[], Opened], Callable[[], str]]:
        draw = random.Random(f"{seed}:{number}")
        spoil = draw.choice(SPOILERS)
        is_codes = spoil not in (sizes_changed, tensors_swapped) and draw.random() < 0.1
        spoilt = spoil(whole_codes if is_codes else whole, draw)
        target = codes_path if is_codes else path
        target.write_bytes(spoilt.content)
        if keep is not None:
            Path(keep).write_bytes(spoilt.content)
        kind = spoil.__name__.replace("_", " ") + (" (codes)" if is_codes else "")
        return kind, lambda: (open_codes if is_codes else open_model)(spoilt), (lambda: "") if is_codes else prove

    return attempt


if __name__ == "__main__":
    sys.exit(open_many(prepared, str(__doc__), 20_000))
