"""Pre-shared keys of configurations."""

from __future__ import annotations

SWANCTL = r"""
connections { gw { local { auth = psk } } }
secrets {
  ike-1 {
    id-1 = moon.example   # a comment
    id-2 = "sun example"
    secret = "with \"quotes\" and { braces }"
  }
  ike-hex { secret = 0x00ff }
  ike-base64 { secret = 0sc2VjcmV0
  }
  eap-carol { id = carol
    secret = nothing }
  ppk-1 { id = ppk1
   secret = "quantum" }
  ike-broken { secret = 0xabc }
}
"""
SECRETS = """# comment : PSK "no"
moon.example sun.example : PSK "top secret"
192.0.2.1 %any : PSK 0x0102
2001:db8::1 : PSK 0sc2VjcmV0
: PSK bare
%any : PPKS "ppk-id" "quantum"
: RSA moonKey.pem
"""


def test_swanctl(ring_of) -> None:
    ring = ring_of(SWANCTL)
    first, hexadecimal, base64, ppk = ring.psks
    assert first.value == b'with "quotes" and { braces }'
    assert first.identities == ("moon.example", "sun example")
    assert (hexadecimal.value, base64.value) == (b"\x00\xff", b"secret")
    assert (ppk.value, ppk.is_ppk, ppk.identities) == (b"quantum", True, ("ppk1",))
    assert [problem.line for problem in ring.problems] == [16]


def test_on_one_line(ring_of) -> None:
    assert [psk.value for psk in ring_of('secrets { ike-a { secret = "x y" } ike-b { secret = z } }').psks] == [
        b"x y",
        b"z",
    ]


def test_ipsec_secrets(ring_of) -> None:
    ring = ring_of(SECRETS)
    assert [psk.value for psk in ring.psks] == [b"top secret", b"\x01\x02", b"secret", b"bare", b"quantum"]
    assert ring.psks[0].identities == ("moon.example", "sun.example")
    assert ring.psks[1].identities == ("192.0.2.1",)
    assert ring.psks[2].identities == ("2001:db8::1",)
    assert (ring.psks[4].is_ppk, ring.psks[4].identities) == (True, ("ppk-id",))


def test_secrets_that_are_not_utf8(tmp_path) -> None:
    from ipsecanalyze.keys import load_keys

    (tmp_path / "ipsec.secrets").write_bytes(b': PSK "gr\xfc\xdfe"\n')
    assert load_keys(tmp_path).psks[0].value == b"gr\xfc\xdfe"
