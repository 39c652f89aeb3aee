"""What the machine has, what a process may take of it, and giving it back."""
