"""Densities of codes."""
