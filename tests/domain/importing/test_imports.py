"""Files of staff's: looked at, then taken, a slice at a time, whoever dies meanwhile."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier, Event

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from domain.base import outbox
from domain.base.errors import InvalidInput, NotFound
from domain.catalog import products
from domain.importing import imports, shopify_csv, stock_csv
from domain.jobs.handlers import HANDLERS
from domain.sales import cart as carts
from domain.sales import orders
from storefront import models
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

PRODUCTS, STOCK = models.ImportKind.PRODUCTS, models.ImportKind.STOCK
COLUMNS = ["Handle", "Title", "Variant SKU", "Variant Inventory Tracker", "Variant Inventory Qty", "Variant Price"]
COLUMNS += [name for name in shopify_csv.FORMAT.expected if name not in COLUMNS]


def csv_of(number, **cells):
    """So many products, one line each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    for each in range(number):
        writer.writerow(
            {
                "Handle": f"mug-{each}",
                "Title": "Mug",
                "Variant SKU": f"MUG-{each}",
                "Variant Inventory Tracker": "shopify",
                "Variant Inventory Qty": "5",
                "Variant Price": "14.50",
                **{name.replace("_", " "): cell for name, cell in cells.items()},
            }
        )
    return text.getvalue()


def begin(content, kind=PRODUCTS, *, dry_run=False, actor=None, name="export.csv"):
    file = ContentFile(content if isinstance(content, bytes) else content.encode(), name)
    return imports.begin(kind=kind, file=file, dry_run=dry_run, actor=actor, now=NOW)


def counts(row):
    row.refresh_from_db()
    return row.created, row.updated, row.unchanged, row.failed


def work_on(**clock):
    """Delivers what is due."""
    now = NOW + timedelta(**clock)
    outbox.relay(handlers=HANDLERS, clock=lambda: now)


def message():
    """What is owed next."""
    return models.OutboxMessage.objects.get(delivered_at=None)


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(imports, "SLICE_LINES", 10)


# ── looked at, then taken ────────────────────────────────────────────────────────────────────────────


def test_a_file_is_taken_in_the_background():
    actor = UserFactory()
    row = begin(csv_of(3), actor=actor)
    assert (row.state, row.total, row.done, row.header_lines) == ("RUNNING", 4, 1, 1)
    assert not models.Product.objects.exists()
    work_on()
    assert (counts(row), row.state, row.done, row.finished_at) == ((3, 0, 0, 0), "DONE", 4, NOW)
    assert models.StockMovement.objects.first().actor == actor
    assert not models.ImportPart.objects.exists(), "nobody needs the file any more"


def test_a_file_that_is_looked_at_changes_nothing_before_it_is_run():
    row = begin(csv_of(3), dry_run=True)
    assert row.state == "CHECKING"
    work_on()
    assert (counts(row), row.state) == ((3, 0, 0, 0), "CHECKED")
    assert not models.Product.objects.exists()
    assert not models.Category.objects.exists()
    owner = UserFactory()
    assert imports.run(kind=PRODUCTS, key=row.pk, actor=owner, now=NOW).state == "RUNNING"
    assert counts(row) == (0, 0, 0, 0)
    work_on()
    assert (counts(row), row.state, row.actor) == ((3, 0, 0, 0), "DONE", owner)
    assert models.Product.objects.count() == 3


def test_running_once_more_changes_nothing():
    row = begin(csv_of(3), dry_run=True)
    with pytest.raises(InvalidInput, match="still being checked"):
        imports.run(kind=PRODUCTS, key=row.pk, actor=None, now=NOW)
    work_on()
    for _ in range(2):
        imports.run(kind=PRODUCTS, key=row.pk, actor=None, now=NOW)
    assert models.OutboxMessage.objects.filter(delivered_at=None).count() == 1
    work_on()
    assert imports.run(kind=PRODUCTS, key=row.pk, actor=None, now=NOW).state == "DONE"
    assert not models.OutboxMessage.objects.filter(delivered_at=None).exists()


def test_an_import_of_another_kind_is_not_run():
    row = begin("SKU,Counted\n", STOCK)
    for kind, key in ((PRODUCTS, row.pk), (STOCK, row.pk + 1)):
        with pytest.raises(NotFound):
            imports.run(kind=kind, key=key, actor=None, now=NOW)


def test_the_report_says_of_each_line_what_there_is_to_tell():
    text = csv_of(3).replace("mug-1,Mug,MUG-1,shopify,5,14.50", "mug-1,Mug,MUG-1,shopify,-5,NaN")
    row = begin(text + "\r\n,,,,,1\r\n")
    work_on()
    assert counts(row) == (3, 0, 0, 2)
    assert [(note.line, note.handle, note.message, note.failed) for note in row.rows.all()] == [
        (3, "mug-1", "Variant Price: 'NaN' is not a price.", True),
        (6, "", "The handle is missing.", True),
    ]


def test_the_report_of_the_run_takes_the_place_of_that_of_the_dry_run():
    row = begin(csv_of(2, Variant_Price="abc"), dry_run=True)
    work_on()
    assert row.rows.count() == 2
    imports.run(kind=PRODUCTS, key=row.pk, actor=None, now=NOW)
    assert row.rows.count() == 0
    work_on()
    assert row.rows.count() == 2


def test_a_report_is_bounded_and_its_count_is_not(monkeypatch, small_slices):
    monkeypatch.setattr(imports, "MAX_ROWS", 15)
    row = begin(csv_of(40, Variant_Price="abc"))
    work_on()
    assert (counts(row)[3], row.rows.count(), row.state) == (40, 15, "DONE")


def test_columns_that_are_not_there_are_told_since_what_they_hold_becomes_empty(small_slices):
    row = begin(
        "\n".join(["Handle,Title,Variant Price,Vendor", *(f"mug-{number},Mug,5,Harrow" for number in range(35))])
    )
    work_on()
    (note,) = row.rows.all()
    assert (note.line, note.failed) == (1, False)
    assert note.message.startswith("Missing columns: `Body (HTML)`, `Type`, `Tags`, `Published`, ")
    assert "`Vendor`" not in note.message


def test_pictures_are_counted():
    text = (
        "Handle,Title,Variant Price,Image Src\nmug,Mug,5,https://example.com/a.png\nmug,,,https://example.com/b.png\n"
    )
    row = begin(text)
    work_on()
    assert (counts(row), row.pictures_left) == ((1, 0, 0, 0), 2)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", ["", "\n", "Title,Price\nMug,5\n", "\x00", b"\xff\xfeH\x00", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_export_is_refused_and_not_kept(content):
    with pytest.raises(InvalidInput, match="this is not a Shopify product export"):
        begin(content)
    assert not models.Import.objects.exists()
    assert not models.OutboxMessage.objects.exists()


def test_a_first_line_alone_is_nothing():
    row = begin("Handle,Title\n")
    work_on()
    assert (counts(row), row.state, row.total, row.done) == ((0, 0, 0, 0), "DONE", 1, 1)


def test_sixty_columns_are_read_by_their_names():
    extra = [f"Custom {number}" for number in range(57)]
    row = begin(",".join([*extra, "Handle", "Title", "Variant Price"]) + "\n" + "x," * 57 + "mug,Mug,5\n")
    work_on()
    assert counts(row) == (1, 0, 0, 0)


def test_a_formula_is_a_text():
    row = begin(csv_of(1, Title='=HYPERLINK("http://evil.example")'))
    work_on()
    assert counts(row) == (1, 0, 0, 0)
    assert models.Product.objects.get().title == '=HYPERLINK("http://evil.example")'


def test_lines_of_latin_1_are_told_and_the_others_taken():
    text = csv_of(3).replace("mug-1,Mug", "caf\xe9,Caf\xe9")
    row = begin(text.encode("latin-1"), name="ex\udce9port.csv")
    work_on()
    assert (counts(row), row.file_name) == ((2, 0, 0, 1), "ex?port.csv")
    (note,) = row.rows.all()
    assert (note.line, note.handle) == (3, "caf?")
    assert note.message == "This line is not valid UTF-8. Save the file as “CSV UTF-8”."


def test_a_nul_is_told():
    row = begin(csv_of(2, Title="a\x00b", Handle="m\x00g"))
    work_on()
    assert (counts(row)[3], row.rows.first().handle) == (2, "m\ufffdg")


def test_a_column_may_have_a_name_that_no_database_takes():
    row = begin(b"Handle,Title,Variant Price,x\x00y,\xff\nmug,Mug,5,a,b\n")
    work_on()
    assert counts(row) == (1, 0, 0, 0)


def test_a_line_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(imports, "MAX_LINE_LENGTH", 100)
    for text in ("Handle," + "x" * 200, "Handle,Title\n" + "x" * 200):
        with pytest.raises(InvalidInput, match="A line has more than 100 characters"):
            begin(text)
    assert not models.Import.objects.exists()


def test_a_product_of_too_many_rows_is_refused_and_the_next_is_taken(monkeypatch):
    monkeypatch.setattr(shopify_csv, "MAX_ROWS", 3)
    rows = "".join(f"mug,Mug,MUG-{number},shopify,5,1\r\n" for number in range(9))
    row = begin(",".join(COLUMNS) + "\r\n" + rows + "cup,Cup,CUP,shopify,5,1\r\n")
    work_on()
    assert counts(row) == (1, 0, 0, 1)
    assert row.rows.get().message == "The product was not imported. It has more than 3 rows."


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(ending, small_slices):
    row = begin(csv_of(35).replace("\r\n", ending).rstrip())
    work_on()
    assert (counts(row), row.total) == ((35, 0, 0, 0), 36)


def test_a_cell_with_line_breaks_is_cut_by_no_slice(small_slices, monkeypatch):
    monkeypatch.setattr(imports, "PART_LENGTH", 100)
    row = begin(csv_of(9, Title='one "thing"\r\nand\nanother\rand one\n\n\nmore'))
    work_on()
    assert (counts(row), row.done) == ((9, 0, 0, 0), row.total)
    titles = set(models.Product.objects.values_list("title", flat=True))
    assert titles == {'one "thing"\r\nand\nanother\rand one\n\n\nmore'}
    assert models.OutboxMessage.objects.count() > 4


# ── slices ───────────────────────────────────────────────────────────────────────────────────────────


def test_progress_is_told_slice_by_slice(small_slices, monkeypatch):
    monkeypatch.setattr(imports, "PART_LENGTH", 300)
    row, seen = begin(csv_of(35)), []
    while row.state == "RUNNING":
        outbox.relay(handlers=HANDLERS, clock=lambda: NOW, limit=1)
        seen.append((counts(row)[0], row.done))
    assert seen == [(10, 11), (20, 21), (30, 31), (35, 36)]


def test_a_product_is_cut_by_no_slice(small_slices):
    rows = "".join(f"mug,{'Mug' if not number else ''},M-{number},shopify,5,1\r\n" for number in range(25))
    # Its variants have no options, and only one of them can be; what matters is that it is one product.
    row = begin(",".join(COLUMNS) + "\r\n" + rows + csv_of(2).partition("\r\n")[2])
    outbox.relay(handlers=HANDLERS, clock=lambda: NOW, limit=1)
    assert (counts(row), row.done) == ((1, 0, 0, 24), 26)
    work_on()
    assert (counts(row), row.state) == ((3, 0, 0, 24), "DONE")


def test_mails_go_before_the_next_slice(small_slices, mailoutbox):
    begin(csv_of(35))
    outbox.relay(handlers=HANDLERS, clock=lambda: NOW, limit=1)
    outbox.put(kind="account_known", payload={"to": "ada@example.com"}, now=NOW)
    outbox.relay(handlers=HANDLERS, clock=lambda: NOW, limit=1)
    assert len(mailoutbox) == 1


def test_a_slice_that_was_noted_is_not_taken_again(small_slices):
    """The worker died after the slice, before its message was marked as delivered."""
    row = begin(csv_of(35))
    first = message()
    outbox.relay(handlers=HANDLERS, clock=lambda: NOW, limit=1)
    imports.process_slice(first.payload, "again", NOW)
    assert counts(row) == (10, 0, 0, 0)
    assert models.OutboxMessage.objects.filter(delivered_at=None).count() == 1


class Killed(BaseException):
    """As SIGKILL: nothing of ours runs after it."""


def test_whoever_dies_in_the_middle_leaves_what_another_takes_up(small_slices, monkeypatch):
    row = begin(csv_of(35))
    saved, save = [], shopify_csv.products.save

    def dying(**given):
        if len(saved) == 14:
            saved.append(None)
            raise Killed
        saved.append(given)
        return save(**given)

    monkeypatch.setattr(shopify_csv.products, "save", dying)
    with pytest.raises(Killed):
        work_on()
    models.Import.objects.update(claimed_until=NOW + outbox.lease() * 0.9)  # Who is killed gives nothing back.
    assert (counts(row), models.Product.objects.count()) == ((10, 0, 0, 0), 14)
    work_on(seconds=1)
    assert counts(row) == (10, 0, 0, 0), "its lease is not over"
    work_on(seconds=121)
    assert (counts(row), row.state) == ((31, 0, 4, 0), "DONE")
    assert models.Product.objects.count() == 35
    assert models.StockMovement.objects.count() == 35


def test_nobody_else_takes_what_somebody_works_on(small_slices):
    row = begin(csv_of(35))
    models.Import.objects.update(claimed_until=NOW + timedelta(seconds=60))
    work_on()
    assert counts(row) == (0, 0, 0, 0)
    assert "ImportClaimed" in message().error
    work_on(seconds=61)
    assert counts(row) == (35, 0, 0, 0)


def test_a_claim_ends_before_the_message_is_due_again(small_slices):
    """Else whoever takes it up after a death would find it claimed, and wait once more."""
    row = begin(csv_of(35))
    due_again = NOW + outbox.lease()
    models.OutboxMessage.objects.update(attempts=1, due_at=due_again)
    models.Import.objects.update(claimed_until=NOW + outbox.lease() * 0.9)
    outbox.relay(handlers=HANDLERS, clock=lambda: due_again)
    assert counts(row) == (35, 0, 0, 0)


def test_what_goes_wrong_is_tried_again_by_anybody(small_slices, monkeypatch):
    row = begin(csv_of(35))
    with monkeypatch.context() as broken:
        broken.setattr(products, "save", lambda **_: 1 / 0)
        work_on()
    assert "ZeroDivisionError" in message().error
    row.refresh_from_db()
    assert (row.claimed_until, row.done) == (None, 1)
    work_on(seconds=31)
    assert counts(row) == (35, 0, 0, 0)


def test_a_relay_ends_in_time_however_many_slices_there_are(small_slices):
    begin(csv_of(35))
    clock = iter(NOW + timedelta(seconds=40) * tick for tick in range(100))
    assert 0 < outbox.relay(handlers=HANDLERS, clock=lambda: next(clock)) < 4


# ── what is over ─────────────────────────────────────────────────────────────────────────────────────


def test_what_was_over_a_fortnight_ago_is_deleted():
    begin(csv_of(1), dry_run=True)
    work_on()
    running = begin(csv_of(1))
    assert imports.prune(now=NOW + timedelta(days=13)) == 0
    assert imports.prune(now=NOW + timedelta(days=15)) == 2
    assert list(models.Import.objects.all()) == [running]


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────


def test_staff_import_what_they_may_write():
    assert imports.allowed_kinds(user=UserFactory(is_staff=True)) == []
    assert imports.allowed_kinds(user=UserFactory(is_superuser=True)) == []
    assert imports.allowed_kinds(user=UserFactory(is_superuser=True, is_staff=True)) == ["PRODUCTS", "STOCK"]
    assert imports.allowed_kinds(user=UserFactory(is_superuser=True, is_staff=True, is_active=False)) == []


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_take_each_slice_once(small_slices):
    row = begin(csv_of(60))
    at_once = 4
    start = Barrier(at_once, timeout=30)

    def relay(_):
        try:
            start.wait()
            for _ in range(20):
                outbox.relay(handlers=HANDLERS, clock=lambda: NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(relay, range(at_once)))
    assert (counts(row), row.state) == ((60, 0, 0, 0), "DONE")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("claimed", [True, False], ids=["within the lease", "when a lease was outlived"])
def test_the_same_slice_at_once_is_counted_once(small_slices, monkeypatch, claimed):
    """The second comes while the first is in the middle: it comes back later, or does it all, and the first nothing."""
    row = begin(csv_of(10))
    payload, in_the_middle, go_on = message().payload, Event(), Event()
    save = products.save

    def slow(**given):
        in_the_middle.set()
        assert go_on.wait(30)
        return save(**given)

    def first():
        try:
            imports.process_slice(payload, "", NOW)
        finally:
            connections.close_all()

    monkeypatch.setattr(products, "save", slow)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first)
        assert in_the_middle.wait(30)
        monkeypatch.setattr(products, "save", save)
        if claimed:
            with pytest.raises(imports.ImportClaimed):
                imports.process_slice(payload, "", NOW)
        else:
            imports.process_slice(payload, "", NOW + timedelta(hours=1))
        go_on.set()
        running.result(30)
    assert (counts(row), row.state) == ((10, 0, 0, 0), "DONE")
    assert models.StockMovement.objects.count() == 10


# ── stock ────────────────────────────────────────────────────────────────────────────────────────────


def listed(**counted):
    """The list that goes out, filled in: `listed(MUG="3")`."""
    rows = list(csv.DictReader(io.StringIO("".join(stock_csv.export_stock()).removeprefix("\ufeff"))))
    text = io.StringIO()
    writer = csv.DictWriter(text, stock_csv.COLUMNS)
    writer.writeheader()
    writer.writerows(row | {"Counted": counted.get(row["SKU"], "")} for row in rows)
    return text.getvalue()


def stock(sku):
    return models.Stock.objects.get(variant__sku=sku)


def taken(text, **options):
    row = begin(text, STOCK, **options)
    work_on()
    return counts(row)[1:], [(note.line, note.handle, note.message, note.failed) for note in row.rows.all()]


@pytest.fixture
def shelf():
    models.Stock.objects.filter(variant=VariantFactory(sku="MUG", product__title="Mug", option1="Red")).update(
        reserved=4
    )
    VariantFactory(sku="CUP", product__title="=Cup", stock__on_hand=0, stock__policy="BACKORDER")
    VariantFactory(sku="VOUCHER", stock__policy="UNTRACKED", stock__on_hand=0)


def test_a_list_to_count_by_holds_what_is_counted(shelf):
    assert "".join(stock_csv.export_stock()) == (
        "\ufeffSKU,Title,On hand,Reserved,Available,Counted\r\nCUP,'=Cup,0,0,0,\r\nMUG,Mug / Red,10,4,6,\r\n"
    )


def test_a_list_that_nobody_filled_in_changes_nothing(shelf):
    assert taken(listed()) == ((0, 0, 0), [])
    assert not models.StockMovement.objects.exists()


def test_counts_are_what_is_on_hand_then_and_the_ledger_says_who(shelf):
    clerk = UserFactory()
    assert taken(listed(MUG="12", CUP="3.0"), actor=clerk) == ((2, 0, 0), [])
    assert (stock("MUG").on_hand, stock("MUG").reserved, stock("CUP").on_hand) == (12, 4, 3)
    moves = models.StockMovement.objects.values_list("variant__sku", "on_hand_change", "reason", "actor")
    assert set(moves) == {("MUG", 2, "COUNTED", clerk.pk), ("CUP", 3, "COUNTED", clerk.pk)}
    assert stock("CUP").policy == "BACKORDER"


def test_a_sku_and_a_count_are_enough(shelf):
    assert taken("Counted,SKU\n7,'MUG\n10,NONE\n,CUP\n") == (
        (1, 0, 1),
        [(3, "NONE", "This SKU does not exist.", True)],
    )
    assert stock("MUG").on_hand == 7


def test_looking_at_counts_changes_nothing(shelf):
    assert taken(listed(MUG="12"), dry_run=True) == ((1, 0, 0), [])
    assert stock("MUG").on_hand == 10
    assert not models.StockMovement.objects.exists()


def test_the_same_count_again_is_no_change(shelf):
    assert taken("SKU,Counted\nMUG,10\n") == ((0, 1, 0), [])


def test_a_count_is_never_below_what_orders_hold(shelf):
    message = "Counted 1, but orders have reserved 4. The stock is set to 4."
    assert taken(listed(MUG="1")) == ((1, 0, 0), [(3, "MUG", message, False)])
    assert (stock("MUG").on_hand, stock("MUG").reserved) == (4, 4)


def test_a_sale_since_the_list_was_written_does_no_harm(shelf):
    text = listed(MUG="9")
    models.Stock.objects.filter(variant__sku="MUG").update(reserved=6)
    assert taken(text) == ((1, 0, 0), [])
    assert (stock("MUG").on_hand, stock("MUG").reserved) == (9, 6)


def test_what_left_since_the_list_was_written_has_to_be_counted_again(shelf):
    text = listed(MUG="9")
    models.Stock.objects.filter(variant__sku="MUG").update(on_hand=8, reserved=2)
    message = "The list says 10 on hand, but now 8 are. Export a new list and count again."
    assert taken(text) == ((0, 0, 1), [(3, "MUG", message, True)])
    assert stock("MUG").on_hand == 8


def test_a_list_is_taken_once_and_again_it_is_old(shelf):
    text = listed(MUG="12")
    assert taken(text)[0] == (1, 0, 0)
    assert taken(text)[0] == (0, 0, 1)
    assert models.StockMovement.objects.count() == 1


@pytest.mark.parametrize(
    "cell", ["many", "-1", "1.5", "1e3", "NaN", "10000001", "9" * 30, "=1+1", "²", "1,000", "0x10"]
)
def test_a_count_that_is_no_whole_number_fails_its_line(shelf, cell):
    changed, notes = taken(f'SKU,Counted\nMUG,"{cell}"\nCUP,1\n')
    assert changed == (1, 0, 1)
    assert notes[0][:2] == (2, "MUG")
    assert notes[0][2].startswith("Counted: ")


def test_what_is_not_counted_is_not_counted(shelf):
    assert taken("SKU,Counted\nVOUCHER,1\n") == (
        (0, 0, 1),
        [(2, "VOUCHER", "This variant's stock is not tracked.", True)],
    )


@pytest.mark.parametrize("text", ["SKU\nMUG\n", "Counted\n1\n", "", "Handle,Title\nmug,Mug\n"])
def test_what_is_no_list_of_counts_is_refused(text):
    with pytest.raises(InvalidInput, match="this is not a list of counts"):
        begin(text, STOCK)


def test_little_that_is_left_by_a_count_is_told(shelf, settings):
    models.WebhookEndpoint.objects.create(url="https://erp.example/", topics=["stock.low"])
    taken(listed(MUG="5"), dry_run=True)
    assert not models.WebhookDelivery.objects.exists()
    begin(listed(MUG="5"), STOCK)
    outbox.relay(handlers=HANDLERS | {"webhook": lambda *_: None}, clock=lambda: NOW, limit=1)
    assert models.WebhookDelivery.objects.get().topic == "stock.low"


@pytest.mark.django_db(transaction=True)
def test_counts_and_sales_at_once_never_oversell(ready_cart):
    """20 buyers of one unit each and 10 counts of 10: reserved is never above what is on hand."""
    mug, shipping = VariantFactory(sku="MUG", stock__on_hand=10), ShippingMethodFactory()
    placing = []
    for _ in range(20):
        cart = ready_cart({mug: 1}, shipping=shipping)
        key, total = carts.CartKey(code=cart.code), totals(cart).total
        placing.append(partial(orders.place, key=key, expected_total=total, now=NOW))
    counting = [
        partial(stock_csv.record_count, sku="MUG", counted=number, listed=None, dry_run=False, actor=None, now=NOW)
        for number in range(10)
    ]
    start = Barrier(6, timeout=30)

    def outcome(call):
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    calls = [call for pair in zip(placing, [*counting, *counting], strict=True) for call in pair]
    with ThreadPoolExecutor(6, initializer=start.wait) as threads:
        list(threads.map(outcome, calls))
    kept = models.Stock.objects.get(variant=mug)
    assert kept.reserved == models.Order.objects.count() <= kept.on_hand
    moves = models.StockMovement.objects.filter(variant=mug).values_list("on_hand_change", "reserved_change")
    assert 10 + sum(change for change, _ in moves) == kept.on_hand
    assert sum(change for _, change in moves) == kept.reserved
