"""Densities over codes."""
