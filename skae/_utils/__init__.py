"""What every layer uses and that knows nothing of data or models."""
