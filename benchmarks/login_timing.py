"""Whether the time of a refused login tells if an e-mail has an account: 500 that have one against 500 that have not.

    .venv/bin/python benchmarks/login_timing.py [how many]

Over HTTP's whole way through Django but the socket, with the shop's own password hasher, in turns so that a busy
machine slows both alike. Exits with 1 if the medians are more than 5 % apart. Uses a database of its own.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WORK = tempfile.TemporaryDirectory()
os.environ |= {"DJANGO_SETTINGS_MODULE": "commercia.settings", "DEBUG": "true", "LOG_LEVEL": "ERROR"}
os.environ["DATABASE_URL"] = f"sqlite:///{WORK.name}/timing.sqlite3"
sys.path.insert(0, str(Path(__file__).parent.parent))

import django  # noqa: E402 (the settings come first)

django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from domain.accounts import throttle  # noqa: E402
from storefront.models import User  # noqa: E402

LOGIN = """mutation ($email: String!) { login(input: { email: $email, password: "not the password" }) {
  accessToken userErrors { code } } }"""


def seconds(client: Client, email: str) -> float:
    body = json.dumps({"query": LOGIN, "variables": {"email": email}})
    began = time.perf_counter()
    answer = client.post("/graphql/", body, content_type="application/json").json()
    took = time.perf_counter() - began
    assert answer["data"]["login"]["userErrors"] == [{"code": "INVALID_CREDENTIALS"}], answer
    return took


def main(count: int) -> int:
    call_command("migrate", verbosity=0)
    throttle.LIMITS["login"] = throttle.Limit(900, address=10**6, account=10**6, account_from_address=10**6)
    hashed = User()
    hashed.set_password("the password of everybody")
    User.objects.bulk_create(User(email=f"known{n}@example.com", password=hashed.password) for n in range(count))
    client = Client(SERVER_NAME="localhost")
    seconds(client, "warm@example.com")
    known, unknown = [], []
    for n in range(count):
        known.append(seconds(client, f"known{n}@example.com"))
        unknown.append(seconds(client, f"nobody{n}@example.com"))
    ratio = median(known) / median(unknown)
    print(f"{count} known: median {median(known) * 1e3:.1f} ms; as many unknown: {median(unknown) * 1e3:.1f} ms")
    print(f"{ratio=:.3f}")
    return abs(ratio - 1) > 0.05


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
