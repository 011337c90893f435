"""Version 1 of what operator and agents say to each other."""
