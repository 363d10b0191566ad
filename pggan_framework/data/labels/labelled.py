"""Label parameters common to all file datasets."""

from __future__ import annotations


class LabelledFiles:
    r"""Base of file datasets; documents their label parameters, which `labelling.read_labels` reads.

    Args:
        labels: attributes to condition the networks on: table columns, named groups, JSON attributes or ``folder``, the
            first folder of a file (default: all groups of the pattern, the only attribute of the table or JSON, or
            none).
        continuous_labels: labels that are numbers in a range, such as brightness or an angle.
        labels_csv: CSV table of labels with a header; the column ``file``, or the first column, contains the file names
            relative to dir_path.
        labels_pattern: regular expression with a named group for each label in a file name, such as
            ``_m(?P<pitch>\d+)_``.
        labels_json: JSON file with attributes for each file name, ``{"a.wav": {"pitch": 60}}``, or StyleGAN2-ADA's
            dataset.json with a ``class``, ``{"labels": [["a.png", 3]]}``.
    """
