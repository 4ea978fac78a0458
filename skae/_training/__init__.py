"""The training engine: a skorch net, training steps, callbacks and checkpoints."""
