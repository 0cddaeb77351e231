"""Migrations 0001 and 0002 replace 21 earlier ones: a database has all of those, or none."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db
FIRST_OF_ITS_OWN = "0003_catalogue_triggers"


def plan():
    """What `migrate` would apply, by name."""
    executor = MigrationExecutor(connection)
    return [migration.name for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


@pytest.fixture
def applied():
    """`applied(names)`: a database on which those of the shop's earlier migrations were applied, and no later ones."""
    recorder = MigrationRecorder(connection)
    shop = recorder.migration_qs.filter(app="storefront")

    def record(names):
        shop.delete()
        for name in names:
            recorder.record_applied("storefront", name)

    return record


@pytest.fixture
def replaced():
    """The names of the earlier migrations, in their order."""
    migrations = MigrationExecutor(connection).loader.disk_migrations.values()
    return sorted(name for each in migrations for app, name in each.replaces if app == "storefront")


def test_the_models_are_as_the_migrations_make_them():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_a_database_with_all_of_the_earlier_ones_goes_on_after_them(applied, replaced):
    assert len(replaced) == 21
    applied(replaced)
    assert plan()[0] == FIRST_OF_ITS_OWN


@pytest.mark.parametrize("number", [1, 2, 12, 19, 20])
def test_a_database_with_some_of_the_earlier_ones_is_refused(applied, replaced, number):
    """It is brought up to date by the release before this one first."""
    applied(replaced[:number])
    with pytest.raises(NodeNotFoundError, match="some of the replaced migrations are already applied"):
        plan()
