"""Stripe's official SDK against the stand-in: a second client that is not ours, and that reads its documentation as Stripe meant it.

`pip install -r .ci/requirements.txt`, then `pytest tools/stripe-stand-in/python`. Each test has a stand-in with nothing in it. After
each, the stand-in's judge is asked what was against Stripe's published description; after all, whether each operation was called.
"""

import datetime
import http.server
import threading

import pytest
import stripe

from program import Program, built
from wire import Record, Wire

DAY = 86_400


@pytest.fixture(scope="session")
def program():
    binary = built("stripe-stand-in", "stripe-stand-in", "--features", "conformance")
    program = Program(binary, "--listen", "127.0.0.1:0", "--judge")
    yield program
    program.end()


@pytest.fixture(scope="session")
def record(program, request):
    record = Record(program.test("GET", "/operations")["operations"])
    request.config.stash[RECORD] = record
    return record


RECORD = pytest.StashKey()


def pytest_sessionfinish(session, exitstatus):
    """An operation that no test has called fails the suite. Whoever runs a part of it is not asked for the whole."""
    record = session.config.stash.get(RECORD, None)
    is_whole = not session.config.option.keyword and all("::" not in a and ".py" not in a for a in session.config.args)
    if record is None or not is_whole or exitstatus != pytest.ExitCode.OK:
        return
    session.config.stash[MISSED] = [
        *(f"never called: {operation}" for operation in record.patterns.keys() - record.called),
        *(f"never seen to refuse an unknown parameter: {operation}" for operation in record.called - record.strict),
    ]
    if session.config.stash[MISSED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


MISSED = pytest.StashKey()


def pytest_terminal_summary(terminalreporter, config):
    for line in sorted(config.stash.get(MISSED, [])):
        terminalreporter.write_line(line, red=True)
    if RECORD in config.stash and MISSED in config.stash and not config.stash[MISSED]:
        terminalreporter.write_line(f"all {len(config.stash[RECORD].called)} operations were called")


@pytest.fixture(autouse=True)
def conformance(program):
    yield
    violations = program.test("GET", "/violations")["violations"]
    program.test("DELETE", "/violations")
    assert not violations, "\n".join(violations)


class Shop:
    """A seller at an empty stand-in."""

    def __init__(self, program, record):
        self.program = program
        self.record = record
        self.client = self.client_with()
        self.v1 = self.client.v1

    def client_with(self, key="sk_test_python", **options):
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.program.url},
            max_network_retries=0,
            http_client=Wire(self.record),
            **options,
        )

    def now(self):
        return int(datetime.datetime.fromisoformat(self.program.test("GET", "/clock")["now"]).timestamp())

    def advance(self, seconds):
        """Moves the clock; what falls due on the way has happened when this returns."""
        to = datetime.datetime.fromtimestamp(self.now() + seconds, datetime.timezone.utc)
        self.program.test("POST", "/clock", {"set": to.isoformat()})

    def price(self, unit_amount=1000, interval="month"):
        return self.v1.prices.create(
            {
                "currency": "usd",
                "unit_amount": unit_amount,
                "recurring": {"interval": interval},
                "product_data": {"name": "Number"},
            }
        )

    def customer(self, **more):
        return self.v1.customers.create({"email": "ada@example.com", **more})

    def session(self, customer, price, quantity=3, **more):
        return self.v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "ui_mode": "embedded_page",
                "return_url": "https://app.example.com/done",
                "customer": customer.id,
                "line_items": [{"price": price.id, "quantity": quantity}],
                **more,
            }
        )

    def completes(self, session, payment="succeed"):
        """What the payer does on the page."""
        self.program.test("POST", f"/checkout/sessions/{session.id}/complete", {"payment": payment})
        return self.v1.checkout.sessions.retrieve(session.id)

    def subscriber(self, price=None):
        """A customer who has paid for three numbers by the month, and the subscription."""
        customer = self.customer()
        paid = self.completes(self.session(customer, price or self.price()))
        return customer, self.v1.subscriptions.retrieve(paid.subscription)


@pytest.fixture
def shop(program, record):
    program.test("POST", "/reset")
    return Shop(program, record)


class Listener:
    """A webhook endpoint that keeps what it hears and answers what it is told to."""

    def __init__(self):
        listener = self
        self.heard = []
        self.status = 200

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.heard.append((body, self.headers["stripe-signature"]))
                self.send_response(listener.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()
