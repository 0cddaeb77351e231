"""What DATABASE_URL and DATABASE_REPLICA_URLS come to: in a process of its own, since settings are read once."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPT = (
    "import json; from commercia import settings; print(json.dumps([settings.DATABASE_ROUTERS, settings.DATABASES]))"
)
PRIMARY = "postgres://shop@primary/shop"


def configured(primary, replicas, **further):
    given = {"DATABASE_URL": primary, "DATABASE_REPLICA_URLS": replicas, "DEBUG": "true"} | further
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)


def test_each_is_a_database_beside_the_primary():
    urls = "postgres://shop@one/shop,postgres://shop@two:5433/shop?connect_timeout=5"
    routers, databases = json.loads(configured(PRIMARY, urls).stdout)
    assert routers == ["domain.base.replicas.Router"]
    assert list(databases) == ["default", "replica1", "replica2"]
    one, two = databases["replica1"], databases["replica2"]
    assert (one["HOST"], two["HOST"], two["PORT"]) == ("one", "two", 5433)
    prepared = {"server_side_binding": True, "prepare_threshold": 2}
    assert databases["default"]["OPTIONS"] == prepared
    assert one["OPTIONS"] == {"connect_timeout": 2, "tcp_user_timeout": 2000} | prepared
    assert two["OPTIONS"] == {"connect_timeout": 5, "tcp_user_timeout": 2000} | prepared
    for name in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS"):
        assert databases["default"][name] == one[name] == two[name]
    assert one["TEST"] == two["TEST"] == {"MIRROR": "default"}


def test_statements_are_not_prepared_where_the_connection_is_shared_with_others():
    _, databases = json.loads(configured(PRIMARY + "?sslmode=require", "", DATABASE_PREPARE="false").stdout)
    assert databases["default"]["OPTIONS"] == {"sslmode": "require"}


def test_without_them_django_has_one_database_and_no_router():
    routers, databases = json.loads(configured(PRIMARY, "").stdout)
    assert (routers, list(databases)) == ([], ["default"])


def test_only_postgresql_has_replicas():
    for primary, replica in (("sqlite:///shop.sqlite3", PRIMARY), (PRIMARY, "sqlite:///copy.sqlite3")):
        refused = configured(primary, replica)
        assert refused.returncode != 0
        assert "ImproperlyConfigured: DATABASE_REPLICA_URLS" in refused.stderr
