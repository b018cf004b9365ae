"""Models for other people's tools: nn~ in Max and Pure Data, ONNX, a folder for Hugging Face, a page for the browser."""
