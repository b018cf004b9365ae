"""The service is what its description says: every answer to made-up requests is one that is promised there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from distill.web.service import Limits, create_service

TOKEN = "a-token-of-the-tests-0123456789"
HEADERS = {"authorization": f"Bearer {TOKEN}"}
APP = create_service({"gone": Path("gone.distill")}, TOKEN, Limits(longest_seconds=2))
schema = schemathesis.openapi.from_asgi("/v1/openapi.json", APP, headers=HEADERS)


@pytest.mark.filterwarnings("ignore")
@schema.exclude(path_regex="models$").parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_what_is_answered_is_what_was_promised(case: schemathesis.Case, promised: list[Any]) -> None:
    case.call_and_validate(checks=promised, headers=HEADERS)


def test_neither_server_nor_client_loads_pytorch() -> None:
    """Guards against half a gigabyte in a process that only hands things on."""
    code = "import sys, distill.web.service, distill.client; sys.exit('torch' in sys.modules or 'httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_description_is_whole() -> None:
    told = APP.openapi()
    assert set(told["paths"]) == {
        "/v1/models",
        *(f"/v1/models/{{model}}/{verb}" for verb in ("encode", "decode", "generate", "edit")),
    }
    assert told["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            assert one["summary"], path
            assert {"200", "401", "503"} <= set(one["responses"]), f"{method} {path}"
            assert one["security"], path
