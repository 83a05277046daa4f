# SPDX-License-Identifier: Apache-2.0
"""The cluster's certificate authority, what it signs, and the kubeconfigs that use that."""
import base64
import datetime
import ipaddress
import os

import packages  # noqa: F401
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)


def write(path, data, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(data)
    return path


def key_bytes(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def name_of(common_name, organisation):
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def builder(subject, key):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + LIFETIME))


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs into one directory: NAME.crt and NAME.key; ca.crt is its own."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = name_of("tidegate-test-cluster", "")
        self.certificate = (builder(subject, self.key).issuer_name(subject)
                            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
                            .sign(self.key, hashes.SHA256()))
        self.path = write(os.path.join(directory, "ca.crt"),
                          self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        write(os.path.join(directory, "ca.key"), key_bytes(self.key))

    def sign(self, file, common_name, organisation="", names=()):
        """Returns the paths of certificate and key. With `names` it also serves for those."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        request = builder(name_of(common_name, organisation), key).issuer_name(
            self.certificate.subject)
        if names:
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
            request = request.add_extension(
                x509.SubjectAlternativeName([alternative(name) for name in names]), False)
        request = request.add_extension(x509.ExtendedKeyUsage(uses), False)
        certificate = request.sign(self.key, hashes.SHA256())
        base = os.path.join(self.directory, file)
        return (write(base + ".crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644),
                write(base + ".key", key_bytes(key)))

    def sign_key_pair(self, file):
        """Of no certificate: what service accounts' tokens are signed with."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        base = os.path.join(self.directory, file)
        return write(base + ".pub", public, 0o644), write(base + ".key", key_bytes(key))

    def kubeconfig(self, path, server, file):
        """For the client whose certificate `file` is."""
        def inline(name):
            with open(os.path.join(self.directory, name), "rb") as source:
                return base64.b64encode(source.read()).decode()

        return write(path, KUBECONFIG.format(
            server=server, ca=inline("ca.crt"), certificate=inline(file + ".crt"),
            key=inline(file + ".key")).encode())


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: tidegate
contexts:
- name: tidegate
  context: {{cluster: tidegate, user: tidegate}}
clusters:
- name: tidegate
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: tidegate
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""
