"""Stripe's description against Stripe's SDK: the description is of the version before, and what that version changed is written down
in a patch beside it. The SDK knows the parameters of its own version, so what the patch forgets is found here.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing

import stripe
import typing_extensions

from program import WORKSPACE

OPENAPI = WORKSPACE / "tools/stripe-stand-in/openapi"

# What differs for a reason.
LEFT_OUT_BY_THE_SDK = "deprecated, and still taken"
CUT = "the description is cut to what is used here"
KNOWN = {
    "POST /v1/accounts.bank_account": LEFT_OUT_BY_THE_SDK,
    "POST /v1/accounts.external_account": CUT,
    "POST /v1/customers/{}.bank_account": LEFT_OUT_BY_THE_SDK,
    "POST /v1/customers/{}.card": LEFT_OUT_BY_THE_SDK,
    "POST /v1/customers/{}.default_alipay_account": LEFT_OUT_BY_THE_SDK,
    "POST /v1/customers/{}.default_bank_account": LEFT_OUT_BY_THE_SDK,
    "POST /v1/customers/{}.default_card": LEFT_OUT_BY_THE_SDK,
}


def description():
    described = json.loads((OPENAPI / "openapi-subset.json").read_text())
    return merged(described, json.loads((OPENAPI / "2026-09-30.endive.json").read_text()))


def merged(target, patch):
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


def nameless(template):
    """A path without the names of its parameters, which differ."""
    return re.sub(r"\{\w+\}", "{}", template)


def sent_by_the_sdk():
    """The parameters of every operation, by method and path, as a type."""
    sent = {}
    for module in pkgutil.walk_packages(stripe.__path__, "stripe."):
        if not module.name.endswith("_service"):
            continue
        module = importlib.import_module(module.name)
        source = inspect.getsource(module)
        for _, service in inspect.getmembers(module, inspect.isclass):
            if service.__module__ != module.__name__:
                continue
            for _, method in inspect.getmembers(service, inspect.isfunction):
                asked = re.search(r'self\._request\(\s*"(\w+)",\s*"(/v1/[^"]+)"', inspect.getsource(method))
                params = inspect.signature(method).parameters.get("params")
                kind = params and re.search(r"\w+Params", str(params.annotation))
                if asked and kind:
                    home = re.search(rf"from (stripe\.params\S*) import \(?\s*{kind[0]}\b", source)
                    params = getattr(importlib.import_module(home[1]), kind[0])
                    sent[asked[1].upper(), nameless(asked[2])] = params
    return sent


def described(operation):
    """The parameters of an operation as one schema."""
    form = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
    members = dict(form.get("schema", {}).get("properties", {}))
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            members[parameter["name"]] = parameter["schema"]
    return {"type": "object", "properties": members}


def alternatives(kind):
    """What a type may be: its own alternatives, and those of its elements."""
    origin = typing.get_origin(kind)
    if origin is typing.Union or str(origin) == "<class 'types.UnionType'>":
        return [one for part in typing.get_args(kind) for one in alternatives(part)]
    if origin in (list, typing.List):
        return alternatives(typing.get_args(kind)[0])
    return [kind]


def choices(schema):
    """What a schema may be, likewise."""
    if "anyOf" in schema:
        return [one for part in schema["anyOf"] for one in choices(part)]
    if schema.get("type") == "array":
        return choices(schema["items"])
    return [schema]


def differences(schema, kind, at):
    # Some carry the SDK's own options, whose types their modules do not import.
    names = {**vars(typing), "StripeContext": str, **vars(sys.modules[kind.__module__])}
    types = typing.get_type_hints(kind, names)
    for name, member in schema.get("properties", {}).items():
        path = f"{at}.{name}"
        if name not in types:
            yield path, "the SDK does not have it"
            continue
        wanted, given = choices(member), alternatives(types[name])
        objects = [one for one in wanted if one.get("type") == "object"]
        kinds = [one for one in given if typing_extensions.is_typeddict(one)]
        maps = [one for one in given if typing.get_origin(one) in (dict, typing.Dict)]
        if bool(objects) != bool(kinds or maps):
            yield path, f"the description says {member}, the SDK {types[name]}"
        elif len(objects) == len(kinds) == 1:
            yield from differences(objects[0], kinds[0], path)
        words = {word for one in wanted for word in one.get("enum", [])} - {""}
        known = {word for one in given if typing.get_origin(one) is typing.Literal for word in typing.get_args(one)}
        if words - known and known - {""}:
            yield path, f"the SDK does not know {sorted(words - known)}"


def test_the_description_is_what_the_sdk_of_this_version_sends():
    sent = sent_by_the_sdk()
    found, compared = {}, 0
    for template, methods in description()["paths"].items():
        for method, operation in methods.items():
            asked = (method.upper(), nameless(template))
            if asked in sent:
                compared += 1
                found.update(differences(described(operation), sent[asked], " ".join(asked)))
    unexpected = {path: problem for path, problem in found.items() if path not in KNOWN}
    assert not unexpected, unexpected
    assert found.keys() == KNOWN.keys(), "what is known to differ does not"
    assert compared > 70, "the operations of the SDK were not found"
