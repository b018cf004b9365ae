"""What the page may ask for: one router a subject, every answer a pydantic model."""
