"""Live streams by PyPI encypher-c2pa: it verifies, in a process of its own, what Siwa's source of test streams signs.

It reads C2PA 2.4 in two ways of its own: segment information is of the value `c2pa` (the specification says `fseg`), and
a signer binding has its payload attached (the specification detaches it). Segments with a manifest each it chains by an
assertion of its maker, so that of those every manifest is verified here, and not the chain.
"""

import base64
import os

# Nothing leaves this process: no telemetry, and no preference for it in anyone's home.
os.environ["ENCYPHER_C2PA_TELEMETRY"] = "0"
os.environ["ENCYPHER_C2PA_CONFIG_DIR"] = os.getcwd()

from encypher_c2pa import verify_stream

from siwa import say, settings


def decoded(name):
    value = settings[name]
    return [base64.b64decode(part) for part in value] if isinstance(value, list) else base64.b64decode(value)


def verified(init, segments, method):
    return verify_stream(
        init, segments, "video/mp4", encapsulation="fMP4", method=method, trust_pem=settings["root"],
        no_default_trust=True, online=False, validation_time=settings["time"],
    )


def stream(init, segments):
    report = verified(init, segments, "verifiable-segment-info")
    return {"stream": report["integrity"], "network": report["network"]}


def manifest(report):
    return [report["signature"], report["hard_binding"], report["validation_state"]]


def manifests(init, segments):
    reports = verified(init, segments, "per-segment")["segments"]
    return [manifest(segment["report"]) for segment in reports]


def changed(part):
    return part[:-1] + bytes([part[-1] ^ 1])


init, segments = decoded("init"), decoded("segments")
foreign = decoded("foreign")
plain_init, chained = decoded("plain_init"), decoded("chained")
own_form = verified(decoded("own_form"), segments[:1], "verifiable-segment-info")["stream"]
say({
    "whole": stream(init, segments)["stream"],
    "network": stream(init, segments)["network"],
    "changed": stream(init, [segments[0], changed(segments[1])])["stream"],
    "gap": stream(init, [segments[0], segments[2]])["stream"],
    "replay": stream(init, [segments[0], segments[0]])["stream"],
    "reordered": stream(init, [segments[1], segments[0]])["stream"],
    "spliced": stream(init, [segments[0], foreign])["stream"],
    "init_changed": stream(changed(init), segments)["stream"],
    "claim_of_own_form": own_form["signature"],
    "trust_of_own_form": own_form["trust"]["status"],
    "manifests": manifests(plain_init, chained),
    "manifests_changed": manifests(plain_init, [chained[0], changed(chained[1])]),
})
