"""Files of the kinds that people really have, and what should become of each; see benchmarks/odd_files.py."""
