"""``distill serve``: the same sounds as at home, bounds that hold, and nobody who is lost or left hanging."""

import gc
import io
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import torch

import distill
from distill.cli.app import main
from distill.client import Client
from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.errors import DistillError, InputError, LibraryError, SettingError
from distill.evaluation.codec_files import decode_file, encode_file
from distill.making.drawing import Sampling
from distill.models import Model, load_model, save_model
from distill.models.header import new_header
from distill.web.service import Limits, create_service

RATE = 48_000


@pytest.fixture
def studio(address: str, token: str) -> Iterator[Client]:
    with Client(address, token) as one:
        yield one


@pytest.fixture
def take(noise: Callable[..., Any], save: Any, tmp_path: Path) -> Path:
    return Path(save(tmp_path / "take.wav", noise(1.5)))


def heard(wav: bytes) -> np.ndarray:
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    assert rate == RATE
    return np.asarray(audio.T)


def test_what_is_served_is_said(studio: Client) -> None:
    tiny, other, _ = studio.models()
    assert (tiny["name"], other["name"]) == ("tiny", "other")
    assert (tiny["levels"], tiny["entries"], tiny["hop"], tiny["longest_seconds"]) == (2, 32, 1024, 8)
    assert tiny["level_names"] == ["Structure", "Detail"]


def test_codes_and_sound_are_those_of_the_command_line(
    studio: Client, served: dict[str, Path], take: Path, tmp_path: Path
) -> None:
    """The codes of ``distill encode``, and the samples of ``distill decode`` to the last bit."""
    model = load_model(served["tiny"])
    at_home = encode_file(model, take, tmp_path / "home.codes")
    codes = studio.encode("tiny", take)
    (tmp_path / "served.codes").write_bytes(codes)
    served_codes = load_codes(tmp_path / "served.codes", model.codes_fingerprint, model.codec)
    assert torch.equal(served_codes.codes, at_home.codes)
    assert served_codes.samples == at_home.samples
    wav = studio.decode("tiny", codes)
    sound = heard(decode_file(model, at_home, tmp_path / "home.wav").read_bytes())
    np.testing.assert_array_equal(heard(wav), sound)
    assert sound.shape == (1, 72_000)


def test_new_audio_is_that_of_the_same_seed(studio: Client, served: dict[str, Path]) -> None:
    parts = list(studio.generate("tiny", seconds=3.0, seed=4, temperature=[0.9, 1.1], variety=0.5))
    sampling = Sampling((0.9, 1.1), variety=0.5)
    (piece,) = distill.generate(load_model(served["tiny"]), 3.0, sampling=sampling, seed=4, voice="codec")
    np.testing.assert_allclose(heard(b"".join(parts)), piece.audio(load_model(served["tiny"])), atol=2e-5 + 2**-23)


def test_new_audio_comes_while_it_is_drawn(address: str, token: str) -> None:
    """Guards against an answer that waits for its end: the first part is there before the last is made."""
    times: list[float] = []
    with (
        httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=300) as asks,
        asks.stream("POST", "/v1/models/tiny/generate", json={"seconds": 8}) as answer,
    ):
        assert answer.headers["content-type"] == "audio/wav"
        assert 0 <= int(answer.headers["x-distill-seed"]) < 2**31
        size = int(answer.headers["content-length"])
        got = 0
        for part in answer.iter_raw():
            times.append(time.monotonic())
            got += len(part)
    assert got == size
    assert len(times) > 5
    assert times[0] < times[-1] - 0.1


def test_the_recordings_voice_is_that_of_the_same_seed(studio: Client, served: dict[str, Path]) -> None:
    """In a format that loses nothing; the model has its recordings with it."""
    flac = b"".join(studio.generate("given", seconds=2.0, seed=4, voice="recordings", format="flac"))
    model = load_model(served["given"])
    (piece,) = distill.generate(model, 2.0, seed=4, voice="recordings")
    np.testing.assert_allclose(heard(flac), piece.audio(model), atol=2**-23)
    assert flac[:4] == b"fLaC"


def test_a_voice_without_recordings(studio: Client) -> None:
    with pytest.raises(InputError, match="the server has none of this model's") as told:
        next(studio.generate("tiny", seconds=1.0, voice="recordings"))
    assert "codec" in told.value.fix


@pytest.mark.parametrize(("audio_format", "begins"), [("flac", b"fLaC"), ("ogg", b"OggS"), ("mp3", b"")])
def test_sound_in_other_formats(studio: Client, take: Path, audio_format: str, begins: bytes) -> None:
    codes = studio.encode("tiny", take)
    sound = studio.decode("tiny", codes, audio_format)
    assert sound.startswith(begins)
    there, wav = heard(sound), heard(studio.decode("tiny", codes))
    assert there.shape == wav.shape
    if audio_format == "flac":
        np.testing.assert_allclose(there, wav, atol=2**-23)  # it is rounded the other way
    with pytest.raises(SettingError, match="wav"):
        studio.decode("tiny", codes, "aiff")


def test_edits_are_those_of_the_command_line(studio: Client, served: dict[str, Path], tmp_path: Path) -> None:
    model = load_model(served["tiny"])
    grids = [np.random.default_rng(seed).integers(0, 32, (94, 2)) for seed in (0, 1)]
    paths = [
        save_codes(tmp_path / f"{n}.codes", Codes(torch.from_numpy(grid), model.codes_fingerprint, 94 * 1024, RATE))
        for n, grid in enumerate(grids)
    ]
    edits = [
        {"do": "lock", "span": "c0-c10"},
        {"do": "mirror", "span": "c0-c20", "levels": "Structure"},
        {"do": "graft", "sound": "other", "over": "c50-c60", "levels": "det"},
        {"do": "repeat", "span": "c80-c94", "times": 2},
        {"do": "reimagine", "span": "c30-c33", "seed": 3, "temperature": 0.5},
    ]
    edited = studio.edit("tiny", paths[0], edits, {"other": paths[1]})
    (tmp_path / "edited.codes").write_bytes(edited)
    after = load_codes(tmp_path / "edited.codes", model.codes_fingerprint, model.codec).codes.numpy()
    words = [
        "--lock",
        "c0-c10",
        "--mirror",
        "c0-c20",
        "--levels",
        "Structure",
        "--graft",
        str(paths[1]),
        "--over",
        "c50-c60",
    ]
    words += ["--levels", "det", "--repeat", "c80-c94", "--times", "2", "--reimagine", "c30-c33", "--seed", "3"]
    words += ["--temperature", "0.5", "--out", str(tmp_path / "home.codes"), "--json"]
    with pytest.raises(SystemExit):
        main(["edit", str(served["tiny"]), str(paths[0]), *words])
    home = load_codes(tmp_path / "home.codes", model.codes_fingerprint, model.codec).codes.numpy()
    np.testing.assert_array_equal(after, home)
    assert len(after) == 108


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"do": "rotate", "span": "all"}, "rotate needs by"),
        ({"do": "mirror", "span": "all", "times": 2}, "does not take times"),
        ({"do": "graft", "sound": "rain"}, "no other sound 'rain'"),
        ({"do": "mirror"}, "is done to span"),
        ({"do": "lock", "span": "all"}, "nothing to do"),
        ({"do": "mirror", "span": "7-9"}, "not within"),
        ({"do": "repeat", "span": "all", "times": 10_000}, "8 s are the limit"),
        ({"do": "rotate", "span": "all", "by": "c" + "9" * 30}, "needs a number"),
        ({"do": "sing", "span": "all"}, "do must be 'lock', 'mirror'"),
    ],
)
def test_what_cannot_be_edited(studio: Client, take: Path, edit: dict[str, Any], words: str) -> None:
    codes = studio.encode("tiny", take)
    with pytest.raises(DistillError, match=words):
        studio.edit("tiny", codes, [edit])


def test_who_asks_for_an_hour_is_told_the_limit(studio: Client, noise: Any, save: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 h are more than the 8 s"):
        next(studio.generate("tiny", seconds=3600))
    long = save(tmp_path / "long.wav", noise(8.2))
    with pytest.raises(InputError, match="At most 8 s"):
        studio.encode("tiny", long)
    with pytest.raises(SettingError, match="bytes are more than the"):
        studio.encode("tiny", bytes(8 * 192_000 * 8 + 2**20 + 1))


def test_a_short_file_cannot_hide_an_hour(studio: Client, save: Any, tmp_path: Path) -> None:
    """Guards against a few kilobytes of FLAC that unfold into an hour of silence, or a header that lies."""
    hidden = save(tmp_path / "hidden.flac", np.zeros((1, 3600 * RATE), np.float32))
    assert hidden.stat().st_size < 8 * RATE * 8
    with pytest.raises(InputError, match="At most 8 s"):
        studio.encode("tiny", hidden)


def test_other_things_that_cannot_be_done(studio: Client, take: Path, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no model 'mine' here"):
        studio.encode("mine", take)
    with pytest.raises(InputError) as told:
        studio.encode("tiny", b"words")
    assert "/tmp" not in str(told.value), "where files lie on the server is nothing to a client"
    with pytest.raises(InputError, match="another model"):
        studio.decode("other", studio.encode("tiny", take))
    with pytest.raises(InputError, match="cannot be read"):
        studio.encode("tiny", tmp_path / "nothing.wav")


def test_a_wrong_token_is_401_and_nothing_else(address: str) -> None:
    told = set()
    for header in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
    ):
        for method, path in (
            ("GET", "/v1/models"),
            ("GET", "/v1/openapi.json"),
            ("POST", "/v1/models/tiny/encode"),
            ("DELETE", "/"),
            ("GET", "/nothing"),
        ):
            answer = httpx.request(method, address + path, headers=header)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            told.add(answer.text)
    assert len(told) == 1
    with Client(address, "wrong") as stranger, pytest.raises(SettingError, match="needs a token"):
        stranger.models()


def test_a_hundred_clients_at_once(serving: Any, served: dict[str, Path], token: str) -> None:
    """Each is answered, or told when to come again and then answered; none is lost, and no worker does two things at once."""
    codes: list[int] = []
    waits: list[float] = []
    ends = time.monotonic() + 600
    with serving(served, Limits(longest_seconds=8, workers=1, waiting=10)) as address:

        def one(number: int) -> None:
            with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=600) as asks:
                while time.monotonic() < ends:
                    answer = asks.post("/v1/models/tiny/generate", json={"seconds": 0.5, "seed": number})
                    codes.append(answer.status_code)
                    if answer.status_code != 503:
                        assert len(answer.content) == int(answer.headers["content-length"])
                        return
                    waits.append(float(answer.headers["retry-after"]))
                    assert "fix" in answer.json()
                    time.sleep(0.2)

        clients = [threading.Thread(target=one, args=(number,)) for number in range(100)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert codes.count(200) == 100
    assert set(codes) == {200, 503}
    assert min(waits) >= 1


def test_a_client_that_goes_away_holds_nobody_up(serving: Any, served: dict[str, Path], token: str) -> None:
    """Guards against a worker that draws minutes of sound for nobody."""
    with (
        serving(served, Limits(longest_seconds=600, workers=1, waiting=0)) as address,
        Client(address, token) as studio,
    ):
        first = studio.generate("tiny", seconds=600)
        next(first)
        with Client(address, token, patience=0.5) as other, pytest.raises(DistillError, match="are taken, and were"):
            next(other.generate("tiny", seconds=0.5))
        first.close()  # type: ignore[attr-defined]
        began = time.monotonic()
        assert b"".join(studio.generate("tiny", seconds=0.5))
        assert time.monotonic() - began < 20


def test_a_name_may_hold_what_means_something_in_an_address(
    serving: Any, served: dict[str, Path], token: str, tmp_path: Path
) -> None:
    name = "wet #2? 50%41"
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.zeros(4800), 48_000)
    with serving({name: served["tiny"]}, Limits()) as there, Client(there, token) as studio:
        assert studio.encode(name, sound)


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("verb", ["encode", "edit"])
def test_a_server_without_room_says_so(
    address: str,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_disk: Callable[[int | None], None],
    verb: str,
    is_there: bool,
) -> None:
    """Guards against "something went wrong that should not have" where the server's disk is full, with the server's paths."""
    asked = {"codes": "A" * 8000, "edits": [{"do": "mirror", "span": "all"}]}
    sent: dict[str, Any] = {"json": asked} if verb == "edit" else {"content": bytes(8000)}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path if is_there else tmp_path / "none"))
    full_disk(1000)
    answer = httpx.post(
        f"{address}/v1/models/tiny/{verb}", headers={"authorization": f"Bearer {token}"}, timeout=300, **sent
    )
    full_disk(None)
    assert answer.status_code == 507
    assert answer.json() == {
        "what": "The server has no room for this: its disk is full, or cannot be written to.",
        "fix": "Try again later, or ask whoever runs the server.",
    }


def test_codes_in_base64_that_are_none(address: str, token: str) -> None:
    asked = {"codes": "€€€", "edits": [{"do": "mirror", "span": "all"}]}
    answer = httpx.post(
        f"{address}/v1/models/tiny/edit", json=asked, headers={"authorization": f"Bearer {token}"}, timeout=300
    )
    assert answer.status_code == 400
    assert "base64" in answer.json()["what"]


@pytest.mark.parametrize(
    ("verb", "asked", "words"),
    [
        ("generate", b'{"seconds": 1, "genre": "jazz"}', "genre is not known here."),
        ("generate", b'{"voice": "mine"}', "voice must be 'codec', 'recordings' or 'auto'."),
        ("generate", b'{"temperature": []}', "temperature must have 1 or more entries."),
        ("generate", b'{"temperature": 1}', "temperature must be a list."),
        ("generate", b"seconds=1", "The request is not valid JSON."),
        ("generate", b"", "The request is missing."),
        ("generate", b"[]", "The request must be an object: names with a value each."),
        ("edit", b'{"codes": "", "edits": [{"do": "mirror", "span": 5}]}', "edits.0.span must be text."),
        ("edit", b'{"codes": ""}', "edits is missing."),
        ("edit", b'{"codes": "", "others": [], "edits": []}', "others must be an object: names with a value each."),
        ("decode?format=doc", b"", "format must be 'wav', 'flac', 'ogg' or 'mp3'."),
    ],
)
def test_what_a_request_must_be_is_said_in_words_of_ours(
    verb: str, asked: bytes, words: str, address: str, token: str
) -> None:
    """Guards against "Extra inputs are not permitted"."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    answer = httpx.post(f"{address}/v1/models/tiny/{verb}", content=asked, headers=headers, timeout=300)
    assert answer.status_code == 422
    assert answer.json() == {"what": words, "fix": "Change it and try again."}


def test_a_model_whose_file_is_gone_or_damaged(
    serving: Any, served: dict[str, Path], token: str, take: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against paths of the server in what a client is told, and against one model that hides all others.

    Whoever runs the server reads why, once each time.
    """
    path = tmp_path / "mine.distill"
    path.write_bytes(served["tiny"].read_bytes())
    with serving({"mine": path, "tiny": served["tiny"]}, Limits()) as address, Client(address, token) as studio:
        codes = studio.encode("mine", take)
        whole = path.read_bytes()
        for content in (None, b"words"):
            path.unlink() if content is None else path.write_bytes(content)
            assert [one["name"] for one in studio.models()] == ["tiny"]
            with pytest.raises(LibraryError, match=r"'mine' cannot be used now.*Choose from: tiny\."):
                studio.decode("mine", codes)
        assert sum("'mine' cannot be served now" in one.getMessage() for one in caplog.records) == 2
        path.write_bytes(whole[:-100] + b"x" * 100)  # damaged where only a worker looks
        with pytest.raises(InputError, match="mine is not") as told:
            studio.decode("mine", codes)
        assert str(tmp_path) not in str(told.value)
        path.write_bytes(whole)
        assert studio.decode("mine", codes)


def test_a_model_without_a_prior_is_named_and_not_its_place(
    serving: Any, served: dict[str, Path], token: str, tmp_path: Path
) -> None:
    model = load_model(served["tiny"])
    header = new_header("mine", model.codec.config, model.header.corpus, codec_training={"seed": 0})
    path = save_model(tmp_path / "mine.distill", Model(header, model.codec, model.code_counts))
    with serving({"mine": path}, Limits()) as address, Client(address, token) as studio:
        with pytest.raises(InputError, match="no prior yet") as told:
            next(studio.generate("mine", seconds=0.5))
        assert str(tmp_path) not in str(told.value)


def test_a_server_that_ends_tells_who_is_waiting(
    serving: Any,
    served: dict[str, Path],
    token: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Guards against "Internal Server Error", pages of traceback for whoever pressed Ctrl-C, and a server that never ends
    because a client does not read."""
    answers: list[httpx.Response] = []

    def wait_in_line() -> None:
        asked, known = {"seconds": 600}, {"authorization": f"Bearer {token}"}
        answers.append(httpx.post(f"{address}/v1/models/tiny/generate", json=asked, headers=known, timeout=60))

    with ExitStack() as after_the_server:
        with serving(served, Limits(longest_seconds=600)) as address:
            studio = after_the_server.enter_context(Client(address, token))
            parts = studio.generate("tiny", seconds=600)
            next(parts)
            waiting = threading.Thread(target=wait_in_line)
            waiting.start()
            time.sleep(0.5)
        waiting.join()
        assert answers[0].status_code == 503
        assert answers[0].json()["what"] == "The server is ending."
        assert answers[0].headers["retry-after"] == "5"
    with warnings.catch_warnings():  # the connection that nobody reads from is closed with a server's own process
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert "ended unexpectedly" not in caplog.text  # of the sound that was being sent
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_that_dies_is_said_in_one_line(
    running: Any,
    served: dict[str, Path],
    token: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_service(served, token)
    with running(lambda _: app, shutdown_s=5) as address, Client(address, token) as studio:
        parts = studio.generate("tiny", seconds=600)
        next(parts)
        (worker,) = app.state.pool._workers
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(DistillError, match="broke off"):
            list(parts)
        assert b"".join(studio.generate("tiny", seconds=0.5))
    assert "A sound was cut off while it was sent: The process that makes sound ended" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_ends_waits_for_no_job(serving: Any, served: dict[str, Path], token: str) -> None:
    """Guards against Ctrl-C that takes as long as the longest sound that somebody asked for."""
    with serving(served, Limits(longest_seconds=600)) as address, Client(address, token) as studio:
        next(studio.generate("tiny", seconds=600))
        ending = time.monotonic()
    assert time.monotonic() - ending < 20
