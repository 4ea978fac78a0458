"""The engine: a skorch net, its steps, callbacks and checkpoints."""
