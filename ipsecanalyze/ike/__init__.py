"""IKE messages of both versions on the wire: header, chain of payloads, fragments. No keys, no state of exchanges."""
