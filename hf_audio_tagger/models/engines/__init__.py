"""Engines that run a network instead of plain torch."""
