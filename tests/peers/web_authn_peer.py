"""WebAuthn by PyPI fido2: it writes registrations as authenticators do, and its own server takes what the node is shown."""

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fido2.attestation import AttestationVerifier, NoneAttestation, PackedAttestation
from fido2.attestation.base import InvalidAttestation
from fido2.cose import ES256
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from siwa import next_settings, post, say, settings, succeed

PARTY = "demo.example"
MODEL = bytes.fromhex("00112233445566778899aabbccddeeff")
OTHER_MODEL = bytes(range(16))
START = datetime.datetime(2026, 1, 1)
END = datetime.datetime(2076, 1, 1)
HERE = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT


def certificate(subject, issuer, key, issuer_key, *extensions):
    name = lambda parts: x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(START).not_valid_after(END)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256())


class Maker:
    """Who makes authenticators of one model, and certifies a batch's key."""

    def __init__(self, name):
        root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = [(NameOID.COMMON_NAME, name)]
        batch = [
            (NameOID.COUNTRY_NAME, "NO"),
            (NameOID.ORGANIZATION_NAME, "Keys Ltd"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            (NameOID.COMMON_NAME, "A batch of keys"),
        ]
        model = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"), b"\x04\x10" + MODEL)
        self.root = certificate(root, root, root_key, root_key, x509.BasicConstraints(True, None))
        self.batch = certificate(batch, root, self.key, root_key, x509.BasicConstraints(False, None), model)
        self.root_der = self.root.public_bytes(serialization.Encoding.DER)


class Server(AttestationVerifier):
    """The library's own relying party."""

    def __init__(self, maker):
        super().__init__([PackedAttestation(), NoneAttestation()])
        self.maker = maker
        party = {"id": PARTY, "name": "A demo"}
        self.server = Fido2Server(party, attestation="direct", verify_attestation=self.verify_attestation)

    def ca_lookup(self, attestation_result, auth_data):
        return self.maker.root_der

    def takes(self, nonce, client_data, attestation):
        _, state = self.server.register_begin({"id": b"1", "name": "a", "displayName": "A"}, challenge=nonce.encode())
        response = {"clientDataJSON": websafe_encode(client_data), "attestationObject": websafe_encode(attestation)}
        credential = attestation.auth_data.credential_data.credential_id
        try:
            self.server.register_complete(state, {"rawId": websafe_encode(credential), "response": response})
        except (InvalidAttestation, ValueError) as error:
            return str(error) if isinstance(error, ValueError) else type(error).__name__
        return "taken"


def registration(nonce, statement, model=MODEL, party=PARTY, origin="https://" + PARTY, flags=HERE):
    """A new credential, and what `statement` says of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    client_data = CollectedClientData.create("webauthn.create", nonce.encode(), origin)
    credential = AttestedCredentialData.create(model, b"credential", ES256.from_cryptography_key(key.public_key()))
    data = AuthenticatorData.create(hashlib.sha256(party.encode()).digest(), flags, 0, credential)
    return client_data, AttestationObject.create(*statement(key, data, client_data))


def none(key, data, client_data):
    return "none", data, {}


def signed_by(key, data, client_data):
    return {"alg": -7, "sig": key.sign(data + client_data.hash, ec.ECDSA(hashes.SHA256()))}


def by_self(key, data, client_data):
    return "packed", data, signed_by(key, data, client_data)


def by(maker, chain_of=None):
    chain = [(chain_of or maker).batch.public_bytes(serialization.Encoding.DER)]
    return lambda key, data, client_data: ("packed", data, {**signed_by(maker.key, data, client_data), "x5c": chain})


maker, other = Maker("A maker of keys"), Maker("Another maker")
server = Server(maker)
say({"root": maker.root.public_bytes(serialization.Encoding.PEM).decode()})
next_settings()


def challenge():
    return succeed("/v1/attestation/challenges", {"tenant": settings["tenant"]})["nonce"]


def show(nonce, client_data, attestation):
    evidence = {
        "kind": "web-authn",
        "attestation_object": websafe_encode(attestation),
        "client_data": websafe_encode(client_data),
    }
    return post("/v1/attestation/devices", {"tenant": settings["tenant"], "nonce": nonce, "evidence": evidence})


def both(statement, made_for=None, **parts):
    """What the node says, and what the library's server does."""
    nonce = challenge()
    made = registration(made_for or nonce, statement, **parts)
    return {"nonce": nonce, "node": show(nonce, *made), "library": server.takes(nonce, *made)}


nonce = challenge()
made = registration(nonce, by(maker))
say({
    "by_maker": both(by(maker)),
    "by_self": both(by_self),
    "none": both(none),
    "twice": [show(nonce, *made)["status"], show(nonce, *made)["type"]],
    "other_maker": both(by(other)),
    "other_key": both(by(other, chain_of=maker)),
    "other_model": both(by(maker), model=OTHER_MODEL),
    "other_nonce": both(by(maker), made_for="another"),
    "other_party": both(by(maker), party="another.example"),
    "other_page": both(by(maker), origin="https://another.example"),
    "nobody": both(by(maker), flags=AuthenticatorData.FLAG.AT),
})
