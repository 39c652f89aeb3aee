"""Who may do what: API keys with roles, for every door (gRPC, REST). Nothing here knows a protocol.

A door gives the credentials of a call (`credentials.given`), what it is going to do (`Action`) and to which collection;
`Access.check` returns the `Principal` or raises Unauthenticated or PermissionDenied. Keys come from the setting
`server.api_key` (one key, an admin's) and from the file `server.keys_file` (`vecstore keys`), which holds only hashes.
"""

from vecstore.access.access import Access
from vecstore.access.credentials import Headers
from vecstore.access.principal import Action, Principal

__all__ = ["Access", "Action", "Headers", "Principal"]
