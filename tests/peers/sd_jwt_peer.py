"""SD-JWT by PyPI sd-jwt: it issues what the node checks, and checks what the node issues."""

import json
import time

from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from siwa import call, next_settings, post, say, settings, succeed

ISSUER, TYPE = "https://python.example", "urn:example:viewer:1"


def new_key(alg):
    kind = {"kty": "EC", "crv": "P-256"} if alg == "ES256" else {"kty": "OKP", "crv": "Ed25519"}
    return JWK.generate(**kind, kid=alg)


issuers = {alg: new_key(alg) for alg in ("ES256", "EdDSA")}
holders = {alg: new_key(alg) for alg in ("ES256", "EdDSA")}
say({"issuer": ISSUER, "type": TYPE, "jwks": {"keys": [key.export_public(as_dict=True) for key in issuers.values()]}})
next_settings()
TENANT = settings["tenant"]


def check(credential, holder_alg, show, change=lambda shown: shown):
    challenge = succeed("/v1/identity/challenges", {"tenant": TENANT})
    holder = SDJWTHolder(credential)
    holder.create_presentation(
        {name: True for name in show}, challenge["nonce"], challenge["audience"], holders[holder_alg], holder_alg
    )
    shown = change(holder.sd_jwt_presentation)
    request = {"tenant": TENANT, "check": "age_over_18", "nonce": challenge["nonce"], "presentation": shown}
    answer = post("/v1/identity/credentials/check", request)
    return {name: answer.get(name) for name in ("status", "answer", "type", "detail")}


def checked(alg, holder_alg, age_over_18=True, show=("age_over_18",), change=lambda shown: shown):
    """This library issues and presents, the node checks."""
    now = int(time.time())
    claims = {
        "iss": ISSUER, "vct": TYPE, "iat": now, "exp": now + 3600,
        SDObj("age_over_18"): age_over_18,
        SDObj("address"): {SDObj("locality"): "Aarhus", "nationalities": [SDObj("DK"), SDObj("SE")]},
    }
    header = {"typ": "dc+sd-jwt", "kid": alg}
    credential = SDJWTIssuer(claims, issuers[alg], holders[holder_alg], alg, True, extra_header_parameters=header)
    return check(credential.sd_jwt_issuance, holder_alg, show, change)


def remove_disclosure(shown):
    credential, _, binding = shown.split("~")
    return f"{credential}~{binding}"


theirs = {
    "es256": checked("ES256", "ES256"),
    "eddsa": checked("EdDSA", "EdDSA"),
    "mixed": checked("EdDSA", "ES256", show=("age_over_18", "address")),
    "minor": checked("ES256", "EdDSA", age_over_18=False),
    "not_shown": checked("ES256", "ES256", show=("address",)),
    "changed": checked("ES256", "ES256", change=remove_disclosure),
}

# The node issues; this library verifies by the node's published keys, presents, and the node checks.
published = json.loads(call("/.well-known/jwt-vc-issuer")[2])


def node_key(issuer, header):
    assert (issuer, header["typ"], header["alg"]) == (published["issuer"], "dc+sd-jwt", "EdDSA"), (issuer, header)
    return JWK(**next(key for key in published["jwks"]["keys"] if key["kid"] == header["kid"]))


def issued(holder_alg):
    challenge = succeed("/v1/identity/challenges", {"tenant": TENANT})
    holder_jwk = {k: v for k, v in holders[holder_alg].export_public(as_dict=True).items() if k != "kid"}
    proof = JWS(json.dumps({"aud": challenge["audience"], "iat": int(time.time()), "nonce": challenge["nonce"]}))
    header = {"alg": holder_alg, "typ": "openid4vci-proof+jwt", "jwk": holder_jwk}
    proof.add_signature(holders[holder_alg], alg=holder_alg, protected=json.dumps(header))
    bearer = f"Bearer {settings['access']}"
    request = {"proof": proof.serialize(compact=True)}
    credential = succeed("/v1/identity/credentials", request, authorization=bearer)["credential"]
    claims = SDJWTVerifier(credential, node_key).get_verified_payload()
    return {
        "claims": {name: claims[name] for name in ("iss", "vct", "age_over_18", "subscriber_tier")},
        "holder": claims["cnf"]["jwk"] == holder_jwk,
        "checked": check(credential, holder_alg, ["age_over_18"]),
    }


def presented():
    """A presentation that Siwa's own holder made. The library's constructor takes ES256 alone for key bindings."""
    verifier = SDJWTVerifier(settings["presented"], node_key)
    verifier._verify_key_binding_jwt("https://verifier.example", "nonce-3", "EdDSA")
    claims = verifier.get_verified_payload()
    return [claims["age_over_18"], claims.get("subscriber_tier")]


say({"theirs": theirs, "ours": {"es256": issued("ES256"), "eddsa": issued("EdDSA")}, "presented": presented()})
