"""New audio: codes drawn by the prior, made to sound, judged, and written."""
