"""The file system: locations, safe opening, atomic writing, and free names."""
