"""Files in and out: each format reads into batches of points by column, and writes points that were scrolled."""
