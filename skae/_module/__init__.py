"""The diagram of an autoencoder as one torch module."""
