"""The HTTP interface is what its description says: every answer to made-up requests is one that is promised there."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from distill.web.app import create_app
from distill.web.guard import Door

APP = create_app(Door(names=frozenset({"testserver"})))
schema = schemathesis.openapi.from_asgi("/api/openapi.json", APP).exclude(path_regex="/demo$")


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_what_is_answered_is_what_was_promised(case: schemathesis.Case, promised: list[Any]) -> None:
    case.call_and_validate(checks=promised)


def test_every_answer_has_a_shape() -> None:
    for path, methods in APP.openapi()["paths"].items():
        for method, told in methods.items():
            assert told["summary"], path
            content = told["responses"]["200"].get("content", {})
            assert content, f"{method} {path} promises nothing"
            if "application/json" in content:
                assert content["application/json"]["schema"], f"{method} {path}"
