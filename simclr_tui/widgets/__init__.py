"""The regions of the screen, one widget a module."""
