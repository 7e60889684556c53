"""One module for each picture of a report. They import matplotlib, and are imported where one is drawn."""
