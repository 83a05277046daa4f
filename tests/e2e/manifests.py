# SPDX-License-Identifier: Apache-2.0
"""Manifests as Python values: short builders for what the tests need."""
import base64
import subprocess

GATEWAY_API = "gateway.networking.k8s.io/v1"
CONTROLLER = "tidegate.io/gateway-controller"


def obj(kind, name, spec=None, ns="default", api=GATEWAY_API, labels=None, **top):
    meta = {"name": name}
    if ns:
        meta["namespace"] = ns
    if labels:
        meta["labels"] = labels
    result = {"apiVersion": api, "kind": kind, "metadata": meta}
    if spec is not None:
        result["spec"] = spec
    result.update(top)
    return result


def gateway_class(name="tidegate", controller=CONTROLLER):
    return obj("GatewayClass", name, {"controllerName": controller}, ns=None)


def namespace(name, labels=None):
    return obj("Namespace", name, ns=None, api="v1", labels=labels or {})


def listener(name, port, hostname=None, certs=None, routes="All", kinds=None, **extra):
    result = {"name": name, "port": port, "protocol": "HTTPS" if certs else "HTTP"}
    if hostname:
        result["hostname"] = hostname
    if certs:
        result["tls"] = {"mode": "Terminate", "certificateRefs": [
            cert if isinstance(cert, dict) else {"name": cert} for cert in certs]}
    result["allowedRoutes"] = {"namespaces": routes if isinstance(routes, dict)
                               else {"from": routes}}
    if kinds:
        result["allowedRoutes"]["kinds"] = kinds
    result.update(extra)
    return result


def gateway(name, *listeners, ns="default", **extra):
    return obj("Gateway", name, dict(gatewayClassName="tidegate", listeners=list(listeners),
                                     **extra), ns=ns)


def parent(name="gw", **extra):
    return dict(name=name, **extra)


def route(name, rules=None, hostnames=(), parents=None, ns="default", created=None,
          kind="HTTPRoute", **extra):
    spec = {"parentRefs": parents or [parent()]}
    if hostnames:
        spec["hostnames"] = list(hostnames)
    if rules is not None:
        spec["rules"] = rules
    result = obj(kind, name, spec, ns=ns, **extra)
    if created:
        result["metadata"]["creationTimestamp"] = created
    return result


def both_ways(host):
    """A route that HAProxy decides itself, to a, and one that it asks the agent for, to b."""
    return route("both", [rule("a"), rule("b", matches=[match(
        headers=[("x-v", "b.*", "RegularExpression")])])], hostnames=[host])


def rule(*refs, matches=None, filters=None, timeouts=None, **extra):
    result = {"backendRefs": [ref(item) if isinstance(item, str) else item for item in refs]}
    if not refs:
        del result["backendRefs"]
    if matches:
        result["matches"] = list(matches)
    if filters:
        result["filters"] = filters
    if timeouts:
        result["timeouts"] = timeouts
    result.update(extra)
    return result


def ref(name, weight=None, ns=None, filters=None, kind="Backend", port=None):
    result = {"name": name}
    if kind == "Backend":
        result.update(group="tidegate.io", kind="Backend")
    if port:
        result["port"] = port
    if weight is not None:
        result["weight"] = weight
    if ns:
        result["namespace"] = ns
    if filters:
        result["filters"] = filters
    return result


def service_ref(name, port=80, **extra):
    return ref(name, kind="Service", port=port, **extra)


# ---- matches ----

def match(path=None, kind="PathPrefix", method=None, headers=(), queries=()):
    """headers, queries: (name, value) or (name, value, "RegularExpression")."""
    result = {}
    if path is not None:
        result["path"] = {"type": kind, "value": path}
    if method:
        result["method"] = method
    for field, items in (("headers", headers), ("queryParams", queries)):
        if items:
            result[field] = [{"name": item[0], "value": item[1],
                              "type": item[2] if len(item) > 2 else "Exact"} for item in items]
    return result


def grpc_match(service=None, method=None, kind=None, headers=()):
    """headers: as those of match()."""
    wanted = {key: value for key, value in (("type", kind), ("service", service),
                                            ("method", method)) if value is not None}
    result = match(headers=headers)
    if wanted:
        result["method"] = wanted
    return result


def prefix(path, **extra):
    return match(path, **extra)


def exact(path, **extra):
    return match(path, "Exact", **extra)


def regex(path, **extra):
    return match(path, "RegularExpression", **extra)


# ---- filters ----

def pairs(items):
    return [{"name": name, "value": value} for name, value in items]


def header_filter(direction, set=(), add=(), remove=()):
    field = "requestHeaderModifier" if direction == "Request" else "responseHeaderModifier"
    body = {}
    if set:
        body["set"] = pairs(set)
    if add:
        body["add"] = pairs(add)
    if remove:
        body["remove"] = list(remove)
    return {"type": direction + "HeaderModifier", field: body}


def path_modifier(full=None, prefix=None):
    if full is not None:
        return {"type": "ReplaceFullPath", "replaceFullPath": full}
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": prefix}


def redirect(**fields):
    return {"type": "RequestRedirect", "requestRedirect": fields}


def rewrite(**fields):
    return {"type": "URLRewrite", "urlRewrite": fields}


# ---- backends ----

def backend(name, *ports, ns="default", host="127.0.0.1", protocol=None):
    addresses = [{"host": host, "port": port} if isinstance(port, int) else port
                 for port in ports]
    spec = {"addresses": addresses}
    if protocol:
        spec["appProtocol"] = protocol
    return obj("Backend", name, spec, ns=ns, api="tidegate.io/v1alpha1")


def service(name, port=80, protocol=None, ns="default"):
    entry = {"name": "main", "port": port, "targetPort": port, "protocol": "TCP"}
    if protocol:
        entry["appProtocol"] = protocol
    return obj("Service", name, {"ports": [entry]}, ns=ns, api="v1")


def endpoint_slice(name, service_name, port, addresses=("127.0.0.1",), ready=True, ns="default"):
    result = obj("EndpointSlice", name, ns=ns, api="discovery.k8s.io/v1",
                 labels={"kubernetes.io/service-name": service_name})
    result.update(addressType="IPv4",
                  endpoints=[{"addresses": [address], "conditions": {"ready": ready}}
                             for address in addresses],
                  ports=[{"name": "main", "port": port, "protocol": "TCP"}])
    return result


def grant(name, ns, from_ns, to_kind="Backend", to_group="tidegate.io", to_name=None,
          from_kind="HTTPRoute"):
    to = {"group": to_group, "kind": to_kind}
    if to_name:
        to["name"] = to_name
    return obj("ReferenceGrant", name, {
        "from": [{"group": "gateway.networking.k8s.io", "kind": from_kind, "namespace": from_ns}],
        "to": [to]}, ns=ns, api="gateway.networking.k8s.io/v1beta1")


# ---- certificates ----

def make_certificate(*names, days=30, start=None):
    """(certificate PEM, key PEM), self-signed, for these DNS names."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + names[0][:60],
               "-addext", "subjectAltName=" + ",".join("DNS:" + name for name in names),
               "-keyout", "-", "-out", "-", "-days", str(days)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, universal_newlines=True).stdout
    cut = text.index("-----BEGIN CERTIFICATE")
    return text[cut:], text[:cut]


def tls_secret(name, *hosts, ns="default", pem=None, **options):
    cert, key = pem or make_certificate(*hosts, **options)
    return obj("Secret", name, ns=ns, api="v1", type="kubernetes.io/tls", data={
        "tls.crt": base64.b64encode(cert.encode()).decode(),
        "tls.key": base64.b64encode(key.encode()).decode()})
