"""How fast: our engines beside their peers, and beside what the machine's arithmetic allows."""
