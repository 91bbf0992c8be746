"""ESP and AH: headers on the wire, sequence numbers, flows."""
