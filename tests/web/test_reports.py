"""Reports beside a model stay its own when it gets another name."""

from pathlib import Path
from typing import Any

from distill.library import Library, RunRecord
from distill.web import places


def test_a_renamed_model_keeps_its_reports(client: Any, tiny: Path) -> None:
    """Guards against a library that shows no report of a model that was renamed."""
    library = Library(lambda _: None)
    entry = library.note_model(tiny)
    begun = ("prior", str(tiny), "/none", str(tiny.parent / "prior.jsonl"), "2026-01-01T12:00:00.000000+00:00")
    library.save_run(RunRecord(*begun, {}, origin=entry.origin, outcome="finished"))
    (tiny.parent / "tiny-report.html").write_text("<p>how it learned</p>")
    (tiny.parent / "other-report.html").write_text("<p>of another one</p>")
    renamed = client.post(f"/api/models/{places.model_id(entry)}/rename", json={"name": "my [best] one"}).json()
    (tiny.parent / "my [best] one-report.html").write_text("<p>later</p>")
    told = client.get(f"/api/models/{renamed['id']}").json()
    assert told["reports"] == ["my [best] one-report.html", "tiny-report.html"]
    assert client.get(f"/api/reports/{renamed['id']}/tiny-report.html").text == "<p>how it learned</p>"
    tiny.write_bytes(b"another model of that name")
    assert client.get(f"/api/models/{renamed['id']}").json()["reports"] == ["my [best] one-report.html"]
