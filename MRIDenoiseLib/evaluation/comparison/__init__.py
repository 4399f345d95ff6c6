"""``mridenoise compare``: many volumes and many methods, cell by cell, into tables, statistics, plots and one page."""
