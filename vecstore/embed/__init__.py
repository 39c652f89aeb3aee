"""Models that turn texts into vectors, named by the settings and by the fields of a schema; and requests with texts
into requests with vectors. A kind of model is one file and one line in `registry`; its library is imported in that file
only."""
