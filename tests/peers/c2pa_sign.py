"""C2PA by PyPI c2pa-python: it signs clips in its own process, and the node says what it makes of them."""

import base64
import hashlib
import io
import json

from c2pa import Builder, C2paSignerInfo, Signer

from siwa import call, say, settings

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
signer = Signer.from_info(C2paSignerInfo("es256", settings["chain"].encode(), settings["key"].encode(), None))


def sign(media_type, source_type):
    action = {"action": "c2pa.created", "digitalSourceType": SOURCES + source_type}
    manifest = {
        "claim_generator_info": [{"name": "a python signer"}],
        "title": "A clip by another",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    clip = io.BytesIO(base64.b64decode(settings["clips"][media_type]))
    signed = io.BytesIO()
    store = Builder(json.dumps(manifest)).sign(signer, media_type, clip, signed)
    return signed.getvalue(), bytes(store)


def ask(body, media_type, nonce="nonce-1"):
    headers = {"authorization": "Bearer " + settings["apiKey"], "content_type": media_type}
    status, _, answer = call(f"/v1/content/provenance?nonce={nonce}", body, **headers)
    return {"status": status, **json.loads(answer)}


def changed(clip, at):
    return clip[:at] + bytes([clip[at] ^ 1]) + clip[at + 1 :]


def outcome(media_type):
    clip, store = sign(media_type, "trainedAlgorithmicMedia")
    digest = hashlib.sha256(clip).hexdigest()
    manifest = {"digest": digest, "media_type": media_type, "manifest": base64.urlsafe_b64encode(store).decode().rstrip("=")}
    altered = {
        "assertion": clip.index(b"trainedAlgorithmicMedia"),
        "claim": clip.index(b"A clip by another"),
        "media": settings["mediaAt"][media_type] + len(clip),
    }
    return {
        "digest": digest,
        "good": ask(clip, media_type),
        "captured": ask(sign(media_type, "digitalCapture")[0], media_type),
        "altered": {part: ask(changed(clip, at), media_type) for part, at in altered.items()},
        "alone": ask(json.dumps(manifest).encode(), "application/json"),
    }


say({media_type: outcome(media_type) for media_type in settings["clips"]})
