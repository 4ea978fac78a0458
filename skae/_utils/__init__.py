"""Utilities of all layers, independent of data and models."""
