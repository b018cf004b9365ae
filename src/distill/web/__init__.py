"""The dashboard: a local page, and the HTTP interface it stands on. Start reading in ``app.py``."""
