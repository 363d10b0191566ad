"""Inspection of data before training: contents, preprocessing, and the quality limit of the codec."""

from pggan_framework.inspection.decoding import Decoding
from pggan_framework.inspection.inspect import Inspection, inspect_data
from pggan_framework.inspection.report import Report
from pggan_framework.inspection.warnings import DataFacts, data_warnings

__all__ = ["DataFacts", "Decoding", "Inspection", "Report", "data_warnings", "inspect_data"]
