"""Oblivious HTTP (RFC 9458) on PyPI pyhpke, around binary HTTP (RFC 9292) of either framing, written by hand."""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from siwa import call, say, settings

GATEWAY = "/.well-known/ohttp-gateway"
suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)
_, keys_type, configs = call(GATEWAY)
# RFC 9458 §3.2: length, key id, KEM, public key (32), length of suites, KDF, AEAD.
header = configs[2:5] + configs[39:43]
public = KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(configs[5:37]))


def vector(value):
    """A value behind its length (RFC 9000 §16)."""
    assert len(value) < 16384
    return (bytes([len(value)]) if len(value) < 64 else (0x4000 | len(value)).to_bytes(2, "big")) + value


def read_vector(data):
    """A value, and what follows it."""
    width = 1 << (data[0] >> 6)
    length = int.from_bytes(data[:width], "big") & ((1 << (8 * width - 2)) - 1)
    return data[width : width + length], data[width + length :]


def binary_request(path, body, fields, indeterminate):
    authority = settings["issuer"].removeprefix("https://").encode()
    control = b"".join(map(vector, (b"POST", b"https", authority, path.encode())))
    lines = b"".join(vector(name) + vector(value) for name, value in fields.items())
    if indeterminate:
        chunks = vector(body[:5]) + vector(body[5:])
        return b"\x02" + control + lines + b"\0" + chunks + b"\0" + b"\0"
    return b"\0" + control + vector(lines) + vector(body) + b"\0"


def binary_response(data):
    """Status, fields and content of a response of known length without informational ones; padding is zeros."""
    assert data[0] == 1
    status = int.from_bytes(data[1:3], "big") & 0x3FFF
    lines, rest = read_vector(data[3:])
    body, rest = read_vector(rest)
    assert not rest.strip(b"\0")
    fields = {}
    while lines:
        name, lines = read_vector(lines)
        fields[name.decode()], lines = read_vector(lines)
    return status, fields, body


def oblivious(path, value, indeterminate=False, **fields):
    fields = {b"content-type": b"application/json", **{name.encode(): text.encode() for name, text in fields.items()}}
    plain = binary_request(path, json.dumps(value).encode(), fields, indeterminate) + bytes(100)
    enc, context = suite.create_sender_context(public, info=b"message/bhttp request\0" + header)
    status, media_type, message = call(GATEWAY, header + enc + context.seal(plain), content_type="message/ohttp-req")
    assert status == 200, message
    secret = context.export(b"message/bhttp response", 16)
    extracted = hmac.new(enc + message[:16], secret, hashlib.sha256).digest()
    derive = lambda label, length: hmac.new(extracted, label + b"\x01", hashlib.sha256).digest()[:length]
    opened = AESGCM(derive(b"key", 16)).decrypt(derive(b"nonce", 12), message[16:], b"")
    status, answered, body = binary_response(opened)
    return {"mediaType": media_type, "bytes": len(message), "status": status, **json.loads(body)}


def redeem():
    return oblivious("/v1/identity/tokens/redeem", {"nonce": "nonce-1"}, authorization=settings["authorization"])


say({
    "keys": keys_type,
    "challenge": oblivious("/v1/identity/challenges", {"tenant": settings["tenant"]}),
    "indeterminate": oblivious("/v1/identity/challenges", {"tenant": settings["tenant"]}, indeterminate=True),
    "redeemed": redeem(),
    "again": redeem(),
})
