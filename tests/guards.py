"""How long a test waits for what would otherwise never end."""

# Seconds, a hundred times what anything that is waited for takes: they end a test that hangs, never one on a slow or
# busy machine. No test has a limit of its own.
HANGS = 900
