"""Reading, validation, scaling and batching of arrays and tensors."""
