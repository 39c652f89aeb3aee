"""Between the JSON of the REST interface and the engine's values, both ways: the bodies are msgspec Structs
(`contract_*`), `x_from_json` and `x_to_json` turn them into requests and answers. Gateway and client use it.

Names are the proto's. Where JSON is poorer than protobuf: an id is a number or a string, of which one that looks like a
UUID is a UUID (`ids`); a vector is a list, a text or an object with packed bytes (`vectors`); a payload is taken and
given as the bytes it is, so that its numbers stay exact.
"""
