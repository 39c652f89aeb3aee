"""Text into tokens, and tokens into the terms that text fields are searched by. Knows languages, nothing of rows."""
