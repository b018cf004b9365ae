"""Shapes of answers that several routes share."""

from pydantic import BaseModel, Field


class Wrong(BaseModel):
    """An error in the words of ``errors.py``."""

    what: str = Field(description="What came, and what was needed.")
    fix: str = Field(description="What to do about it.")


class Done(BaseModel):
    """Something was done and there is nothing more to say."""

    done: bool = True
