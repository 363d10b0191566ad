"""How a dataset of files takes its labels: parameters that all such datasets have."""

from __future__ import annotations


class LabelledFiles:
    r"""Base of datasets of files; it describes their parameters for labels, which `labelling.read_labels` reads.

    Args:
        labels: names of the attributes that networks are to be conditioned on: columns of the table, groups of the
            pattern, attributes in the JSON, or ``folder``, the first folder a file is in. By default none, or all of
            the pattern's, or the only one of the table or the JSON.
        continuous_labels: those of the labels that are numbers in a range, such as a brightness or an angle, and not
            one of several values.
        labels_csv: a table of labels: CSV with a header, one column the files' names relative to dir_path, called
            ``file`` or the first.
        labels_pattern: a regular expression with named groups that finds labels in the files' names relative to
            dir_path, such as ``_m(?P<pitch>\d+)_``.
        labels_json: a JSON file that maps the files' names to attributes, ``{"a.wav": {"pitch": 60}}``, or as
            StyleGAN2-ADA's dataset.json to a ``class``, ``{"labels": [["a.png", 3]]}``.
    """
