"""Algorithms by registry number, key schedules, the opening of IKE, ESP and AH. It takes keys, and looks for none.

    encryption.py  integrity.py  prf.py     tables by IANA's number; what each algorithm needs and makes
    ciphers.py                              modes of operation, made once for a key
    material.py    suite.py                 keys as data; what was negotiated, as far as keys depend on it
    ikev2.py       ikev1.py                 from shared secrets to keys; AUTH and HASH values
    signatures.py                           AUTH and SIG payloads that are signatures
    ike.py  esp.py  ah.py                   openers: keys and octets to what was inside, or a DecryptError
    extended.py    ipcomp.py                the high half of sequence numbers; IPComp and BEET's header

Nothing here is imported before it is needed: the cryptographic library is slow to load.
"""
