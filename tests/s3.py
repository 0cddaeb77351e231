"""moto's S3 over a real socket, which can go away and come back with what it has."""

import json
import re
import secrets
import threading
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

KEYS = {"access_key": "anybody", "secret_key": "anything"}
PAGE = Path(__file__).parent.parent / "docs" / "images.md"
# What the page says a bucket, its user, and browsers need.
BUCKET_POLICY, USER_POLICY, CORS = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


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

    def client(self, service="s3"):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEYS["access_key"],
            aws_secret_access_key=KEYS["secret_key"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def options(self):
        """Of the storages in its bucket; patient, for moto takes its time on a busy machine."""
        where = {"bucket_name": self.bucket, "endpoint_url": self.url, "region_name": "us-east-1"}
        patient = Config(signature_version="s3v4", retries={"total_max_attempts": 1})
        return {**where, **KEYS, "client_config": patient}

    def new_bucket(self):
        """A bucket as docs/images.md has it set up."""
        name = f"shop-{secrets.token_hex(6)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.put_bucket_policy(Bucket=name, Policy=BUCKET_POLICY.replace("BUCKET", name))
        client.put_bucket_cors(Bucket=name, CORSConfiguration=json.loads(CORS))
        return name

    def new_user(self):
        """The keys of one who may do in the bucket what docs/images.md says the shop needs."""
        iam, name = self.client("iam"), f"shop-{secrets.token_hex(6)}"
        iam.create_user(UserName=name)
        document = USER_POLICY.replace("BUCKET", self.bucket)
        iam.put_user_policy(UserName=name, PolicyName="shop", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}

    def names(self, bucket):
        return sorted(each["Key"] for each in self.client().list_objects_v2(Bucket=bucket).get("Contents", []))
