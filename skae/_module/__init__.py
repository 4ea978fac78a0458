"""The autoencoder as one torch module."""
