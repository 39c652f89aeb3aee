"""The REST gateway: HTTP and JSON over an `AsyncTransport`, in a server's process or alone in front of one.

A route is a value (`route.Route`): method, path, the action it takes, the bodies it reads and gives, examples, and the
coroutine that answers. Dispatch, the check of keys, the OpenAPI document and its tests are all made from the table of
routes (`routes.ROUTES`). A call passes, in this order: the route, the key (before a byte of its body is read), room for
it, the body within its bounds, a slot, the deadline, decoding, the route's coroutine (`app`).
"""
