"""Many boards at once: which is next, a process for each, and a report of all of them."""
