"""Numbers of things in words."""


def counted(number: int, one: str, many: str = "") -> str:
    """``1 recording``, ``12 recordings``; ``many`` where the plural is not ``one`` with an s."""
    return f"{number} {one if abs(number) == 1 else many or f'{one}s'}"
