"""How a dataset of files takes its labels: parameters that all such datasets have."""

from __future__ import annotations


class LabelledFiles:
    r"""Base of datasets of files; it describes their parameters for labels, which `labelling.read_labels` reads.

    Args:
        labels: attributes to condition networks on: columns, groups, JSON attributes or ``folder``, the first folder of
            a file (default: none, all of the pattern's, or the only one of the table or JSON).
        continuous_labels: labels that are numbers in a range, such as brightness or an angle.
        labels_csv: CSV table of labels with a header; the column ``file``, or the first, has the names relative to
            dir_path.
        labels_pattern: regular expression whose named groups match labels in file names, such as
            ``_m(?P<pitch>\d+)_``.
        labels_json: JSON with attributes by file name, ``{"a.wav": {"pitch": 60}}``, or StyleGAN2-ADA's dataset.json
            with a ``class``, ``{"labels": [["a.png", 3]]}``.
    """
