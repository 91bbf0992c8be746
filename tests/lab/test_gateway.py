"""Configurations: left and right filled in, nothing left open, secrets where they belong and only there."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
from cryptography import x509

from ipsecanalyze.lab import load_scenario, scenario_names
from ipsecanalyze.lab.credentials import Credentials, identity
from ipsecanalyze.lab.gateway import File, gateway_files, swanctl_conf
from ipsecanalyze.lab.scenario import read_scenario
from ipsecanalyze.lab.wiring import READY, SCRIPT, start_script, sysctls

from .conftest import plan_for


@pytest.mark.parametrize("name", scenario_names())
def test_every_template_is_filled(name: str) -> None:
    scenario = load_scenario(name)
    plan, credentials = plan_for(scenario), Credentials()
    for node in scenario.topology.gateways:
        files = gateway_files(scenario, plan, node, credentials, "userspace")
        for path, file in files.items():
            text = file.content.decode()
            assert "${" not in text, path
            assert text.count("{") == text.count("}"), path
            assert file.mode == 0o600 or path in ("/etc/strongswan.conf", "/etc/ipsec.conf")


@pytest.mark.parametrize("name", scenario_names())
def test_both_sides_mirror_each_other(name: str) -> None:
    scenario = load_scenario(name)
    plan, credentials = plan_for(scenario), Credentials()
    for initiator, responder in scenario.topology.tunnels:
        if "libreswan" in scenario.implementations.values():
            continue
        left = swanctl_conf(scenario, plan, initiator, credentials)
        right = swanctl_conf(scenario, plan, responder, credentials)
        assert f"local_addrs = {plan.wan_address(initiator)}" in left
        assert f"remote_addrs = {plan.wan_address(responder)}" in left
        assert f"local_addrs = {plan.wan_address(responder)}" in right
        assert f"id = {identity(initiator)}" in left
        assert f"id = {identity(initiator)}" in right


def secret_of(conf: str) -> list[str]:
    return re.findall(r"secret = (\S+)", conf)


def test_the_same_secret_on_both_sides_unless_they_differ() -> None:
    scenario, credentials = load_scenario("ikev2-psk"), Credentials()
    plan = plan_for(scenario)
    moon, sun = (secret_of(swanctl_conf(scenario, plan, node, credentials)) for node in ("moon", "sun"))
    assert moon == sun
    assert secret_of(swanctl_conf(scenario, plan, "moon", Credentials())) != moon
    wrong = load_scenario("wrong-psk")
    moon, sun = (secret_of(swanctl_conf(wrong, plan, node, credentials)) for node in ("moon", "sun"))
    assert moon != sun


def test_each_tunnel_has_a_secret_of_its_own() -> None:
    scenario, credentials = load_scenario("three-tunnels"), Credentials()
    secrets = secret_of(swanctl_conf(scenario, plan_for(scenario), "moon", credentials))
    assert len(set(secrets)) == 2


def test_settings_reach_the_configuration() -> None:
    values = {
        "title": "T",
        "ike": {"version": 1, "aggressive": True, "rekey_seconds": 7, "dpd_seconds": 3, "proposals": ["x", "y"]},
        "child": {"rekey_seconds": 5, "proposals": ["z"]},
        "differs": {"sun": {"child": {"selectors": ["10.77.0.0/16"]}}},
    }
    scenario = read_scenario(values, "mine")
    plan, credentials = plan_for(scenario), Credentials()
    conf = swanctl_conf(scenario, plan, "moon", credentials)
    for line in ("version = 1", "aggressive = yes", "reauth_time = 7s", "dpd_delay = 3s", "proposals = x, y"):
        assert line in conf
    assert "rekey_time = 5s" in conf
    assert "esp_proposals = z" in conf
    assert f"local_ts = {plan.prefix('lan-a')}" in conf
    assert "local_ts = 10.77.0.0/16" in swanctl_conf(scenario, plan, "sun", credentials)


def test_road_warrior() -> None:
    scenario, credentials = load_scenario("roadwarrior-eap"), Credentials()
    plan = plan_for(scenario)
    carol, sun = (swanctl_conf(scenario, plan, node, credentials) for node in ("carol", "sun"))
    assert "vips = 0.0.0.0" in carol
    assert "auth = eap-mschapv2" in carol
    assert "pools = travellers" in sun
    assert "remote_addrs = %any" in sun
    files = gateway_files(scenario, plan, "carol", credentials, "userspace")
    assert "/etc/swanctl/x509ca/authority.pem" in files
    assert not any("/private/" in path for path in files)


def test_data_plane_is_what_is_loaded() -> None:
    scenario = load_scenario("ikev2-psk")
    for plane, loaded in (("userspace", True), ("kernel", False)):
        files = gateway_files(scenario, plan_for(scenario), "moon", Credentials(), plane)
        assert (b"kernel-libipsec" in files["/etc/strongswan.conf"].content) is loaded


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_certificates(kind: str) -> None:
    credentials = Credentials()
    issuer = x509.load_pem_x509_certificate(credentials.authority(kind))
    one = x509.load_pem_x509_certificate(credentials.certified("moon", kind).certificate)
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [identity("moon")]
    one.verify_directly_issued_by(issuer)
    assert credentials.certified("moon", kind) is credentials.certified("moon", kind)


def test_secrets_are_in_no_repr() -> None:
    credentials = Credentials()
    octets = credentials.secret("shared")
    told = repr(credentials) + repr(File(octets)) + repr(credentials.certified("moon", "ecdsa"))
    assert octets.hex() not in told
    assert b64encode(octets).decode() not in told
    assert "PRIVATE" not in told


@pytest.mark.parametrize("name", scenario_names())
def test_start_scripts(name: str) -> None:
    scenario = load_scenario(name)
    plan = plan_for(scenario)
    for node in scenario.topology.nodes.values():
        script = start_script(scenario, plan, node)
        text = script.content.decode()
        assert text.startswith("#!/bin/sh\nset -eu")
        assert READY in text
        assert str(SCRIPT).startswith("/lab/")
        assert ("charon-systemd" in text or "pluto" in text) is node.speaks_ike
        assert sysctls(node, "ipv4")["net.ipv4.ip_forward"] == ("0" if node.role == "host" else "1")


def test_router_of_nat_and_of_loss() -> None:
    nat, loss = load_scenario("nat-traversal"), load_scenario("loss-reorder")
    router = nat.topology.node("router")
    assert "masquerade" in start_script(nat, plan_for(nat), router).content.decode()
    text = start_script(loss, plan_for(loss), router).content.decode()
    assert "shaper.py shaper 12 9 2 10 0" in text
    assert "masquerade" not in text
