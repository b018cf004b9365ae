"""Tags in front of a file of any kind, and behind it, which programs put there for their own players (id3.org; APEv2)."""

from distill.formats.content import Content

VERSION_3 = b"ID3\x03\0\0"
"""How a tag of version 2.3 without further flags begins."""
_MOST_TAGS = 16
_SHORT_TAG = 128
_APE_HEAD = 32


def tag_size(head: bytes) -> int:
    """How long a tag is that begins so (ten bytes are enough); 0 if none does."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = (head[6] & 0x7F) << 21 | (head[7] & 0x7F) << 14 | (head[8] & 0x7F) << 7 | head[9] & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def tag_of(frames: bytes) -> bytes:
    """A tag of version 2.3 that holds these frames; its size is told in seven bits a byte."""
    return VERSION_3 + bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames


def after_id3(content: Content) -> int:
    """Where the sound begins, behind the tags; one that claims to be longer than the file is not passed over."""
    at = 0
    for _ in range(_MOST_TAGS):
        size = tag_size(content[at : at + 10])
        if not size or at + size > len(content):
            break
        at += size
    return at


def past_tags(content: Content, at: int) -> int:
    """Where something else begins behind the tags that lie there, of the file before and of the one that follows."""
    for _ in range(_MOST_TAGS):
        head = content[at : at + _APE_HEAD]
        if head.startswith(b"TAG"):
            size = _SHORT_TAG
        elif head.startswith(b"APETAGEX"):
            size = _APE_HEAD + int.from_bytes(head[12:16], "little")
        else:
            size = tag_size(head)
        if not size or at + size > len(content):
            break
        at += size
    return at
