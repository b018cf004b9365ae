"""The endings of file names, by what Distill does with the files."""

from typing import Literal, TypeAlias

AudioFormat: TypeAlias = Literal["wav", "flac", "ogg", "mp3"]
"""What Distill writes sound as (``files.names.SOUND_SUFFIXES``)."""
MEDIA: dict[AudioFormat, str] = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
"""What browsers and servers call these."""

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mpga"}
    | {".w64", ".caf", ".au", ".snd"}
)
"""Sound that libsndfile reads."""
EXTRA_SUFFIXES = frozenset(
    {".m4a", ".m4b", ".m4p", ".aac", ".wma", ".ape", ".wv", ".amr", ".3ga", ".mka", ".dsf", ".tta", ".spx"}
)
"""Sound that PyAV reads."""
MORE_SUFFIXES = EXTRA_SUFFIXES | {
    *(".mp2", ".eac3", ".ec3", ".mlp", ".thd", ".shn", ".tak", ".ofr", ".g722", ".vox", ".raw", ".pcm", ".ac3", ".aax"),
    *(".mpc", ".dff", ".dts", ".ra", ".rx2", ".rex", ".rcy", ".sd2", ".qcp", ".mid", ".midi"),
}
"""Sound, or taken for it, that libsndfile does not read: through PyAV, or named as left out."""
FILM_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".mpg", ".mpeg"}
    | {".flv", ".f4v", ".mts", ".m2ts", ".vob", ".ogv"}
)
"""Films, which are named as left out; some hold nothing but sound, which is used."""
PACKED_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".xz", ".dmg"})
"""Archives, as packs of samples come in."""
