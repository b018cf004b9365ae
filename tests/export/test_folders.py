"""ONNX, the folder for Hugging Face and the page for the browser: they say what Python says, and are whole or not there."""

import dataclasses
import functools
import hashlib
import http.server
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from playwright.sync_api import Browser

from distill.codes.codes_file import Codes, save_codes
from distill.errors import OutputError, SettingError
from distill.export import onnx_files, web
from distill.export.hub import export_hub
from distill.export.onnx_files import decoded, export_onnx
from distill.export.outcome import NO_COMPOSING, NO_PRIOR, Outcome, decibels
from distill.export.web import VENDORED, export_web
from distill.files.names import command
from distill.making.drawing import Sampling
from distill.models import Model, load_model
from distill.models.model_file import save_model
from distill.models.sound import sound_from

BALANCE = tuple(0.01 * one for one in range(32))
PLAYER = Path(web.__file__).parent / "player"


@pytest.mark.parametrize("channels", [1, 2])
def test_onnx_says_what_python_says(channels: int, tmp_path: Path, make_model: Callable[..., Model]) -> None:
    outcome = export_onnx(make_model(channels), tmp_path / "new")
    assert sorted(path.name for path in outcome.path.iterdir()) == [
        "decoder.onnx", "distill.json", "encoder.onnx", "prior.onnx",
    ]  # fmt: skip
    assert outcome.null_db < -80
    assert outcome.equal_codes == 1
    assert outcome.prior_db is not None
    assert outcome.prior_db < -80
    table = json.loads((outcome.path / "distill.json").read_text())
    assert table["decoder"]["inputs"]["codes"] == ["int64", 1, 16, 3]
    assert table["null_test"]["decoder_db"] == outcome.null_db


def test_a_model_without_a_prior_gives_its_codec(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    outcome = export_onnx(make_model(with_prior=False), tmp_path / "new")
    assert outcome.remarks == (NO_PRIOR,)
    assert not (outcome.path / "prior.onnx").exists()
    assert outcome.prior_db is None
    assert export_web(make_model(with_prior=False), tmp_path / "page").remarks == (NO_COMPOSING,)


def test_a_folder_whose_name_is_no_text(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    """Guards against a TypeError where an old disk, or a locale of before Unicode, has names that are no UTF-8."""
    folder = tmp_path / os.fsdecode(b"nl\xff") / "new"
    assert export_onnx(make_model(with_prior=False), folder).null_db < -80


def test_onnx_that_is_not_installed(tmp_path: Path, make_model: Callable[..., Model], monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    for export in (export_onnx, export_web):
        with pytest.raises(SettingError, match=r"distill-audio\[export\]"):
            export(make_model(), tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nats", [(), BALANCE])
def test_the_page_keeps_the_measured_balance(
    nats: tuple[float, ...], exported: Outcome, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    """Guards against a page that plays some recordings for twice as long as it should, and says of nothing that it is left
    out."""
    outcome = export_web(make_model().with_header(balance=nats), tmp_path / "page") if nats else exported
    table = json.loads((outcome.path / "distill.json").read_text())
    assert table["balance"] == pytest.approx(nats or [0.0] * 32)
    (remark,) = outcome.remarks
    assert "level" in remark


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Model]) -> Outcome:
    """A page."""
    return export_web(make_model(), tmp_path_factory.mktemp("exported") / "page")


def test_the_page_begins_with_how_distill_draws(exported: Outcome) -> None:
    """Guards against a top-p of the page's own, below which new audio stands still."""
    usual = Sampling()
    table = json.loads((exported.path / "distill.json").read_text())
    assert table["sampling"] == {"temperature": usual.temperature, "top_p": usual.top_p}


def test_it_is_said_how_the_page_is_opened(exported: Outcome) -> None:
    """Guards against "Opening the model …" for ever where the page was opened as a file, as browsers load no modules there."""
    to_try = command("python", "-m", "http.server", "--directory", exported.path)
    assert dict(exported.facts)["to try it"] == to_try
    assert "python -m http.server" in (exported.path / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the page's own files, and a page without graphs."""
    player = tmp_path / "package" / "player"
    (player / "ort").mkdir(parents=True)
    (player / "ort" / "ort.wasm").write_bytes(bytes(5000))
    monkeypatch.setattr(web, "files", lambda _: player.parent)
    monkeypatch.setattr(web, "write_graphs", lambda *_, **__: {})
    monkeypatch.setattr(web, "null_test", lambda _model, _aside, _table, place: Outcome(place, -np.inf))
    return player


def test_a_page_from_an_installation_that_is_only_read(
    installed: Path, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    """Guards against folders to which nothing can be added, as those of an installation that many share are."""
    for path in (installed / "ort" / "ort.wasm", installed / "ort", installed):
        path.chmod(0o555)
    page = export_web(make_model(with_prior=False), tmp_path / "page").path
    assert all(path.stat().st_mode & stat.S_IWUSR for path in (page, *page.rglob("*")))
    assert (page / "ort" / "ort.wasm").read_bytes() == bytes(5000)


def test_a_page_on_a_full_disk(
    installed: Path, tmp_path: Path, make_model: Callable[..., Model], full_disk: Callable[[int | None], None]
) -> None:
    """Guards against a list of all files, each with its reason, in the place of one reason."""
    model = make_model(with_prior=False)
    full_disk(1000)
    with pytest.raises(OutputError) as told:
        export_web(model, tmp_path / "page")
    assert told.value.what == f"{tmp_path / 'page'} cannot be written: file too large."
    assert list(tmp_path.iterdir()) == [installed.parent]


@pytest.mark.parametrize("export", [export_hub, export_onnx, export_web])
def test_a_folder_that_is_there_stays(export: Any, tmp_path: Path, make_model: Callable[..., Model]) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        export(make_model(), tmp_path / "mine")
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_nothing_is_left_of_an_export_that_fails(
    tmp_path: Path, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no room for a graph")

    monkeypatch.setattr(onnx_files, "null_test", fail)
    with pytest.raises(RuntimeError, match="no room"):
        export_onnx(make_model(), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_folder_for_hugging_face(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    model = make_model()
    outcome = export_hub(model, tmp_path / "hub")
    assert outcome.null_db == -np.inf
    assert sorted(path.name for path in outcome.path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    with safetensors.safe_open(outcome.path / "model.safetensors", "pt") as file:
        assert "codec.quantizer.codebooks" in file.keys()  # noqa: SIM118 - it is no dictionary
    again = load_model(outcome.path / "model.safetensors")
    assert torch.equal(again.codec.decode(torch.ones(1, 3, 3).long()), model.codec.decode(torch.ones(1, 3, 3).long()))
    assert json.loads((outcome.path / "config.json").read_text())["codec"]["voice"] == "lobes"
    card = (outcome.path / "README.md").read_text()
    for words in (
        "license: other",
        "**Licence.**",
        "public domain",
        "| best val loss | 2.5 |  |",
        "can decode and hear",
    ):
        assert words in card
    assert "pypi.org" not in card, "nothing is published there under that name, or a stranger's"
    assert "trained on 3 recordings," in card
    rows = [line.split(" | ")[0] for line in card.splitlines() if line.startswith("| ")]
    assert len(rows) == len(set(rows)), "two figures of one name: nobody could tell the codec's from the prior's"
    assert "hear them" in outcome.remarks[0]
    bare_model = make_model(with_prior=False)
    one_recording = bare_model.header.corpus.model_copy(update={"file_count": 1})
    bare_model.header = bare_model.header.model_copy(update={"corpus": one_recording})
    bare = export_hub(bare_model, tmp_path / "bare")
    assert bare.remarks == (NO_PRIOR,)
    assert "holds no recordings" in (bare.path / "README.md").read_text()
    assert "trained on 1 recording," in (bare.path / "README.md").read_text()


def test_a_folder_to_publish_holds_no_sound_of_the_recordings(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    """Guards against recordings that are published unseen, as the model was given away with them."""
    model = make_model()
    sound = sound_from("a" * 64, np.zeros((1, 480), np.float32))
    sources = tuple(dataclasses.replace(source, sha256=sound.sha256) for source in model.sources)
    model = dataclasses.replace(model, sources=sources, sounds=(sound,))
    save_model(tmp_path / "given.distill", model)
    given = load_model(tmp_path / "given.distill")
    assert len(given.sounds) == 1
    outcome = export_hub(given, tmp_path / "hub")
    again = load_model(outcome.path / "model.safetensors")
    assert not again.sounds
    assert not again.header.sounds
    assert len(again.sources) == len(sources)
    assert any("left out" in remark for remark in outcome.remarks)


def test_what_is_vendored_is_what_npm_has() -> None:
    taken = {name: digest for name, digest in VENDORED.items() if "/" not in name}
    assert taken.keys() | {"LICENSE"} == {path.name for path in (PLAYER / "ort").iterdir()}
    for name, digest in taken.items():
        assert hashlib.sha256((PLAYER / "ort" / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (PLAYER / "ort" / "LICENSE").read_text()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hosted(tmp_path: Path, make_model: Callable[..., Model]) -> Iterator[tuple[Model, Path, str]]:
    """A model, its folder, and where a plain file server shows it."""
    model = make_model(channels=2).with_header(balance=BALANCE)
    folder = export_web(model, tmp_path / "site").path
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield model, folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.browser
def test_the_page_composes_decodes_and_sounds(
    browser: Browser, hosted: tuple[Model, Path, str], tmp_path: Path
) -> None:
    """In a browser: sound is heard behind what plays, codes sound as in Python, and nobody else is asked for anything."""
    model, folder, address = hosted
    assert not (folder / "encoder.onnx").exists()
    codes = model.trained_on[0].codes
    save_codes(tmp_path / "take.codes", Codes(codes, model.codes_fingerprint, len(codes) * 1024, 48_000))
    save_codes(tmp_path / "foreign.codes", Codes(codes, "0" * 64, len(codes) * 1024, 48_000))
    page = browser.new_page()
    page.set_default_timeout(120_000)
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]", state="attached")
    assert page.title() == "tiny"
    usual = Sampling()
    assert float(page.input_value("#temperature")) == usual.temperature
    assert float(page.input_value("#top-p")) == usual.top_p
    page.click("#play")
    page.wait_for_selector("#state[data-sounds=yes]", state="attached")
    page.click("#stop")

    page.set_input_files("#codes", str(tmp_path / "foreign.codes"))
    page.get_by_text("Another model").wait_for()
    page.set_input_files("#codes", str(tmp_path / "take.codes"))
    page.wait_for_selector("#state[data-sounds=yes]", state="attached")
    page.click("#stop")
    script = """async (codes) => {
        const { Model } = await import("./player.js");
        const model = await Model.open(new URL("./", location.href));
        const sides = model.table.channels, sound = Array.from({ length: sides }, () => []);
        for await (const block of model.spoken(codes, codes.length))
            block.forEach((samples, side) => sound[side].push(...samples));
        const drawn = [], usual = { temperature: model.table.sampling.temperature, topP: model.table.sampling.top_p };
        for await (const code of model.composed(7, () => usual)) {
            drawn.push(code);
            if (drawn.length === 40) break;
        }
        let tilt = null;
        model.prior = { run: async ({ bias }) => { tilt = Array.from(bias.data); throw new Error("enough"); } };
        await model.composed(7, () => usual).next().catch(() => {});
        return [sound, drawn, tilt];
    }"""
    sound, drawn, tilt = page.evaluate(script, codes.tolist())
    page.close()
    assert errors == []
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)
    spoken = torch.tensor(sound)[None]
    assert decibels(spoken, model.codec.decode(codes[None])) < -80
    table = json.loads((folder / "distill.json").read_text())
    assert decibels(spoken, decoded(folder, table, codes)) < -80
    assert np.shape(drawn) == (40, 3)
    assert drawn[0] in table["openings"]
    assert tilt == pytest.approx(BALANCE)
    assert len(np.unique(np.array(drawn)[:, 0])) > 5


@pytest.mark.browser
def test_fields_and_files_that_the_page_cannot_use(
    browser: Browser, hosted: tuple[Model, Path, str], tmp_path: Path
) -> None:
    """Guards against the least likely codes while a field is empty, against "Invalid typed array length" of a file that holds
    no codes, and against a file that cannot be chosen a second time."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(hosted[2])
    page.wait_for_selector("body[data-ready=yes]", state="attached")
    page.evaluate("""async () => {
        const { Model } = await import("./player.js");
        Model.prototype.composed = (_, settings) => { window.asked = settings; throw new Error("enough"); };
    }""")
    page.click("#play")
    page.get_by_text("enough").wait_for()
    page.fill("#top-p", "0.9")
    for text in ("", "0", "1.5"):
        page.fill("#top-p", text)
        assert page.evaluate("asked().topP") == 0.9
    (tmp_path / "take.wav").write_bytes(b"RIFF" + bytes(2000))
    for _ in range(2):
        page.evaluate("document.getElementById('state').textContent = ''")
        page.set_input_files("#codes", str(tmp_path / "take.wav"))
        page.get_by_text("This is not a .codes file").wait_for()
        assert page.input_value("#codes") == ""
    page.close()
