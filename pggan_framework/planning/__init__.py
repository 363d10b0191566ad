"""Planning: choose a configuration for a folder and a time budget from the data and the machine's speed."""
