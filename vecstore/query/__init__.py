"""Filters and their evaluation to bitmaps from payload indexes. Knows payloads and rows, nothing of storage."""
