"""Labels of files, read from folders, names, tables and JSON."""
