"""Between protobuf messages and the engine's values, both ways: `x_to_pb` and `x_from_pb`. Server and client use it.

What arrives is distrusted: a message that cannot be an engine value raises InvalidArgument naming the field by its
path, such as `points[3].vectors.text`. Whether the value makes sense for the collection is the engine's business.
"""
