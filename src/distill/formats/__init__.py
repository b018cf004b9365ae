"""Sound files: what their bytes really hold, reading all of it or saying what is left out, and writing."""
