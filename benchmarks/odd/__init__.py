"""Files as users really have them, with the expected result for each; see benchmarks/odd_files.py."""
