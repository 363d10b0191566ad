"""Labels of files: from folders, names, tables and JSON."""
