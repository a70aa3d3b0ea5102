"""What goes between Stripe's SDK and the stand-in, seen on its way.

Every operation that the suite calls is noted, and tried once beforehand with a parameter that Stripe does not know.
"""

import json
import re

import stripe

UNKNOWN = "unheard_of"


class Record:
    """Which operations were called, and which of them refused the unknown parameter."""

    def __init__(self, operations):
        self.patterns = {
            operation: re.compile("^" + re.sub(r"\{[^}]*\}", "[^/]+", operation) + "$") for operation in operations
        }
        self.called = set()
        self.strict = set()

    def operation(self, method, path):
        """A path without `{…}` is itself before it is somebody's id."""
        fitting = [name for name, pattern in self.patterns.items() if pattern.match(f"{method} {path}")]
        return min(fitting, key=lambda name: name.count("{"), default=None)


class Wire(stripe.RequestsClient):
    """The SDK's ordinary client, with the record beside it."""

    def __init__(self, record):
        super().__init__()
        self.record = record

    def request(self, method, url, headers, post_data=None):
        path = url.split("?")[0].partition("//")[2].partition("/")[2]
        operation = self.record.operation(method.upper(), f"/{path}")
        if operation and operation not in self.record.strict:
            self.probe(operation, method, url, headers, post_data)
        answer = super().request(method, url, headers, post_data)
        if operation and answer[1] == 200:
            self.record.called.add(operation)
        return answer

    def probe(self, operation, method, url, headers, post_data):
        """Another fault may be told first (an object that is not there); what must not be is that it works."""
        headers = {name: value for name, value in headers.items() if name.lower() != "idempotency-key"}
        if method == "post":
            post_data = f"{post_data}&{UNKNOWN}=1" if post_data else f"{UNKNOWN}=1"
        else:
            url += ("&" if "?" in url else "?") + f"{UNKNOWN}=1"
        body, status, _ = super().request(method, url, headers, post_data)
        assert status >= 400, f"{operation} took a parameter that Stripe does not know"
        error = json.loads(body)["error"]
        if error.get("code") == "parameter_unknown":
            assert error["param"] == UNKNOWN and UNKNOWN in error["message"], error
            self.record.strict.add(operation)
