"""The gRPC server: a thin shell around one `Database`. It adds a door (keys), bounds (calls, bytes, time) and a log.

A call passes, in this order: the key (`router`), before a byte of its body is read; room for it (`admission`); the
body, within receive_deadline_s; an execution slot; the deadline; parsing; the service (`points`, `collections`,
`operations`). What fails is mapped to a status and logged in one place (`calls`).
"""

from vecstore.wire.loading import load_grpc

load_grpc()
