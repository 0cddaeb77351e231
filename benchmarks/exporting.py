"""How much memory an export takes: of 1,000 variants and of 100,000, each streamed by a process of its own.

    [DATABASE_URL=postgres://…/an_empty_database] .venv/bin/python benchmarks/exporting.py

Over Django's whole way but the socket. Prints the peak of the process's memory before and after, the time and the size.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORK = tempfile.TemporaryDirectory()
os.environ |= {"DJANGO_SETTINGS_MODULE": "commercia.settings", "DEBUG": "true"}
os.environ.setdefault("DATABASE_URL", f"sqlite:///{WORK.name}/exporting.sqlite3")
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (until the end)

import django  # noqa: E402 (the settings come first)

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from storefront import models  # noqa: E402

SIZES = (1_000, 100_000)
VARIANTS = 10


def peak() -> float:
    """Megabytes, of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(products: int) -> None:
    models.Product.objects.all().delete()
    made = models.Product.objects.bulk_create(
        (
            models.Product(slug=f"p{number}", title="A title", description_html="x" * 1_000, option1_name="Size")
            for number in range(products)
        ),
        batch_size=500,
    )
    for start in range(0, products, 500):
        variants = models.ProductVariant.objects.bulk_create(
            models.ProductVariant(product=product, sku=f"{product.slug}-{number}", option1=str(number), price=1)
            for product in made[start : start + 500]
            for number in range(VARIANTS)
        )
        models.Stock.objects.bulk_create([models.Stock(variant=variant, on_hand=5) for variant in variants])


def download() -> None:
    settings.DEBUG = False  # Django would remember every statement.
    user = models.User.objects.create_superuser(f"{time.time_ns()}@example.com")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    client.get("/admin/")
    before, began = peak(), time.perf_counter()
    size = sum(len(block) for block in client.get("/exports/products.csv"))
    seconds = time.perf_counter() - began
    print(f"    {before:.0f} MB before, {peak():.0f} MB at most; {size / 1e6:.1f} MB in {seconds:.1f} s")


def main() -> None:
    call_command("migrate", verbosity=0)
    for size in SIZES:
        fill(size // VARIANTS)
        print(f"{size:,} variants", flush=True)
        subprocess.run([sys.executable, __file__, "--download"], check=True)  # noqa: S603 (itself)


if __name__ == "__main__":
    download() if "--download" in sys.argv else main()
