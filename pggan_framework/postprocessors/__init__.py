"""Postprocessors: save generated arrays as images and sounds."""
