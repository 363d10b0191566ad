"""Losses as sums of terms."""
