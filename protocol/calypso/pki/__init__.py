"""The Calypso PKI: keys, certificates, their verification and their issuing.

    key_reference    the name of an RSA key
    ca_certificate   type 90: a key that signs other certificates
    card_certificate type 91: the key of a card
    iso9796          the signature of both
    card_key         the card's own key and signature
    verification     a certificate against the key of its issuer
    issuing          new certificates
    sizes            what a carrier of these objects must know
    public_test_keys a chain whose private keys everybody knows, for tests

The package imports nothing by itself: a card without PKI does not pay for it.
"""
