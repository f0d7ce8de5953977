"""Draws the demo site's pictures with numpy and Pillow: scenery, plants, textures and diagrams."""
