"""Patches of maps: cuts between them, quilts, the nearest ones, and transport of their moments. Arrays alone."""
