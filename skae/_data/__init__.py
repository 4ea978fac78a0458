"""Arrays and tensors on their way to a model: read, validated, scaled, cut into batches."""
