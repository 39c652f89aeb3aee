"""What the machine has, what a process may take of it, giving it back, and what is kept in bounded room."""
