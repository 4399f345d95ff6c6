"""How fast the program is, how much memory it takes, and how close that is to the machine's limits."""
