"""What this installation is."""

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import BaseModel

from distill.files.home import home
from distill.web import closed_sheets, places, sheets
from distill.web.answers import Wrong

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


class Damaged(BaseModel):
    """What cannot be read of what the page keeps, by tab; nothing of it is ever deleted."""

    recordings: list[Wrong]
    codes: list[Wrong]


@router.get("/damaged")
def damaged() -> Damaged:
    """Files of the page's own that are there and cannot be read."""
    folders, open_sounds = (
        [Wrong(what=error.what, fix=error.fix) for error in found]
        for found in (places.damaged(), [*sheets.damaged(), *closed_sheets.damaged()])
    )
    return Damaged(recordings=folders, codes=open_sounds)
