"""A look at data before training: what there is, what is done to it, and how good it can get."""

from pggan_framework.inspection.decoding import Decoding
from pggan_framework.inspection.inspect import Inspection, inspect_data
from pggan_framework.inspection.report import Report

__all__ = ["Decoding", "Inspection", "Report", "inspect_data"]
