"""Documents as what questions are asked about: read, cut into chunks, laid out as points; passages chosen from hits and
packed for a reader. Pure: what talks to a database is `vecstore.client._async.documents`."""
