"""The app without a server: requests go straight to it, as the page's own would."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from distill.web.app import create_app
from distill.web.guard import Door

PAGE = "http://127.0.0.1:8765"


class Client:
    """Asks an app one thing after the other, and keeps its cookies."""

    def __init__(self, app: FastAPI, page: str = PAGE) -> None:
        self._app, self._page, self._cookies = app, page, httpx.Cookies()

    def request(self, method: str, path: str, **told: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._page, cookies=self._cookies) as asks:
                answer = await asks.request(method, path, **told)
                self._cookies = asks.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **told: Any) -> httpx.Response:
        return self.request("GET", path, **told)

    def post(self, path: str, **told: Any) -> httpx.Response:
        return self.request("POST", path, **told)

    def put(self, path: str, **told: Any) -> httpx.Response:
        return self.request("PUT", path, **told)

    def delete(self, path: str, **told: Any) -> httpx.Response:
        return self.request("DELETE", path, **told)


@pytest.fixture
def ask() -> type[Client]:
    return Client


@pytest.fixture
def client() -> Client:
    return Client(create_app(Door()))
