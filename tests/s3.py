"""moto's S3 over a real socket, which can go away and come back with what it has."""

import json
import secrets
import threading
from contextlib import contextmanager

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

KEYS = {"access_key": "anybody", "secret_key": "anything"}
# That of docs/images.md.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/products/*"}
    ],
}


class Silent(MotoRequestHandler):
    def log_request(self, *given):
        pass


class S3:
    def __init__(self):
        self.port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", self.port, app, threaded=True, request_handler=Silent)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def away(self):
        self.stop()
        try:
            yield
        finally:
            self.start()

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEYS["access_key"],
            aws_secret_access_key=KEYS["secret_key"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def options(self):
        """Of the storages in its bucket."""
        return {"bucket_name": self.bucket, "endpoint_url": self.url, "region_name": "us-east-1", **KEYS}

    def new_bucket(self):
        """A bucket as docs/images.md has it set up."""
        name = f"shop-{secrets.token_hex(6)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.put_bucket_policy(Bucket=name, Policy=json.dumps(POLICY).replace("BUCKET", name))
        return name

    def names(self, bucket):
        return sorted(each["Key"] for each in self.client().list_objects_v2(Bucket=bucket).get("Contents", []))
