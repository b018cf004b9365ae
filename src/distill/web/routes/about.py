"""What this installation is."""

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import BaseModel

from distill.files.home import home

router = APIRouter(tags=["about"])


class About(BaseModel):
    """This installation."""

    version: str
    home: str
    """Distill's own folder."""


@router.get("/about")
def about() -> About:
    """Which version this is, and where it keeps its own files."""
    return About(version=version("distill-audio"), home=str(home()))
