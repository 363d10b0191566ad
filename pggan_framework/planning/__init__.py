"""From a folder and a time budget to a configuration: look at the data, measure the machine, choose."""
