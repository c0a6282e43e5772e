"""The identity provider of the run: one ES256 key, the people of the cases, and tokens that must not work."""

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER = "https://id.e2e.example"
KEY_ID = "e2e"


def prepare(work: Path):
    """Writes the private key, for the cases, and the public key set, for the gateway."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (work / "issuer.pem").write_bytes(pem)
    public = json.loads(ECAlgorithm(ECAlgorithm.SHA256).to_jwk(key.public_key()))
    (work / "jwks.json").write_text(json.dumps({"keys": [public | {"kid": KEY_ID, "alg": "ES256", "use": "sig"}]}))


def person(subject, roles, organization="acme", app="shop", regions=(), **more):
    claims = {"sub": subject, "roles": roles, "org_id": organization, "app_id": app, "regions": list(regions)}
    return claims | more


PEOPLE = {
    "ana": person("ana-acme-shop", ["rep"], regions=["EMEA"]),
    "marta": person("marta-acme-shop", ["manager"], reports=["ana-acme-shop", "bo-acme-shop"]),
    "vic": person("ana-globex-shop", ["rep"], organization="globex", regions=["EMEA", "APAC", "AMER"]),
    "support": person("sam", ["support"]),
    "auditor": person("lou", ["auditor"]),
    "eve": person("eve", ["root"]),
    "initech": person("ana-initech-shop", ["rep"], organization="initech"),
    "max": {
        "sub": "max",
        "roles": ["support"],
        "regions": [],
        "tenants": [{"organization_id": "acme", "app_id": "shop"}, {"organization_id": "acme", "app_id": "desk"}],
    },
}


def signed(work: Path, claims):
    """The token of somebody who is none of the cases' people."""
    now = int(time.time())
    registered = {"iss": ISSUER, "aud": "crm", "iat": now, "nbf": now - 5, "exp": now + 3600}
    return jwt.encode(claims | registered, (work / "issuer.pem").read_bytes(), algorithm="ES256", headers={"kid": KEY_ID})


def tokens(work: Path):
    """The bearer token of each person and of each impostor; nobody's is None."""
    key = (work / "issuer.pem").read_bytes()
    public = json.loads((work / "jwks.json").read_text())
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    registered = {"iss": ISSUER, "aud": "crm", "iat": now, "nbf": now - 5, "exp": now + 3600}
    ana = PEOPLE["ana"] | registered

    def sign(claims, key=key, algorithm="ES256", kid=KEY_ID):
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})

    return {name: sign(claims | registered) for name, claims in PEOPLE.items()} | {
        "no": None,
        "expired": sign(ana | {"exp": now - 600}),
        "immature": sign(ana | {"nbf": now + 600}),
        "forged": sign(ana, stranger),
        "unsigned": jwt.encode(ana, None, algorithm="none", headers={"kid": KEY_ID}),
        "misdirected": sign(ana | {"aud": "billing"}),
        "symmetric": sign(ana, public["keys"][0]["x"], "HS256"),
        "unknown": sign(ana | {"iss": "https://other.example"}),
    }
