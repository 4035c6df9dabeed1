"""moto: an AWS that answers in earnest, asked with requests alone and no boto in between."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
import requests
from botocore.config import Config
from moto import mock_aws
from moto.server import ThreadedMotoServer
from requests_aws4auth import AWS4Auth

from browseros_api import CircuitOpenError, Session

REGION, KEY, SECRET = "us-east-1", "AKID", "s3cret"
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"

# moto, boto and werkzeug ask for the time, and more, in ways that later Pythons warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Where it listens."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _nothing_of_earlier_tests(aws: str) -> None:
    requests.post(f"{aws}/moto-api/reset", timeout=20).raise_for_status()


@pytest.fixture
def bucket(aws: str) -> str:
    """A bucket in it."""
    url = f"{aws}/notes"
    requests.put(url, auth=signed(), timeout=20).raise_for_status()
    return url


def signed(service: str = "s3") -> AWS4Auth:
    return AWS4Auth(KEY, SECRET, REGION, service)


def signer(endpoint: str | None = None) -> Any:
    """Of boto only what writes URLs."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def presigned(verb: str, key: str, endpoint: str | None = None, **more: Any) -> str:
    names = {"Bucket": "notes", "Key": key, **more}
    url: str = signer(endpoint).generate_presigned_url(f"{verb}_object", names, ExpiresIn=60)
    return url


def test_an_object_is_put_listed_got_and_deleted(either: requests.Session, bucket: str) -> None:
    either.auth = signed()
    assert either.put(f"{bucket}/a b.txt", data=b"first").ok
    assert either.put(f"{bucket}/c.txt", data=io.BytesIO(b"second" * 9999)).ok
    listed = ElementTree.fromstring(either.get(bucket, params={"list-type": 2}).content)
    assert [key.text for key in listed.iter(f"{S3}Key")] == ["a b.txt", "c.txt"]
    assert either.get(f"{bucket}/a b.txt").content == b"first"
    assert either.head(f"{bucket}/c.txt").headers["Content-Length"] == str(6 * 9999)
    part = either.get(f"{bucket}/c.txt", headers={"Range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, b"second")
    assert either.delete(f"{bucket}/a b.txt").status_code == 204
    assert either.get(f"{bucket}/a b.txt").status_code == 404


def test_what_is_read_after_a_change_is_the_change(session: Session, bucket: str) -> None:
    session.auth = signed()
    for text in (b"one", b"two"):
        session.put(f"{bucket}/x", data=text, headers={"Cache-Control": "max-age=60"})
        assert session.get(f"{bucket}/x").content == text


def test_urls_that_are_signed_need_no_auth(either: requests.Session, aws: str, bucket: str) -> None:
    assert either.put(presigned("put", "x", aws), data=b"kept").ok
    assert either.get(presigned("get", "x", aws)).content == b"kept"


def test_what_an_object_allows_to_keep_is_kept(session: Session, aws: str, bucket: str) -> None:
    put = presigned("put", "x", aws, CacheControl="max-age=60")
    assert session.put(put, data=b"kept", headers={"Cache-Control": "max-age=60"}).ok
    url = presigned("get", "x", aws)
    answers: list[Any] = [session.get(url) for _ in range(2)]
    assert [answer.content for answer in answers] == [b"kept"] * 2
    assert [answer.from_cache for answer in answers] == [False, True]


def test_a_large_object_is_streamed(session: Session, bucket: str) -> None:
    session.auth = signed()
    session.put(f"{bucket}/large", data=b"x" * 2_000_000)
    with session.get(f"{bucket}/large", stream=True) as stream:
        assert sum(map(len, stream.iter_content(65536))) == 2_000_000
    assert session.get_stats()["connections"]["connections_in_use"] == 0


def test_a_service_that_speaks_json_is_asked_once(session: Session, aws: str) -> None:
    def ask(what: str, said: Any) -> requests.Response:
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{what}",
            "Content-Type": "application/x-amz-json-1.0",
        }
        return session.post(aws, json=said, headers=headers, auth=signed("dynamodb"))

    made = {
        "TableName": "users",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert ask("CreateTable", made).ok
    user = {"id": {"S": "7"}, "name": {"S": "Ada"}}
    assert ask("PutItem", {"TableName": "users", "Item": user}).ok
    found = ask("GetItem", {"TableName": "users", "Key": {"id": {"S": "7"}}})
    assert found.json()["Item"] == user
    wrong = ask("GetItem", {"TableName": "nowhere", "Key": {"id": {"S": "7"}}})
    assert (wrong.status_code, session.get_stats()["retries"]) == (400, 0)


@mock_aws
def test_what_mocks_all_of_aws_mocks_it_for_our_session(session: Session) -> None:
    signer().create_bucket(Bucket="notes")
    assert session.put(presigned("put", "x"), data=b"kept").ok
    assert session.get(presigned("get", "x")).content == b"kept"
    assert signer().get_object(Bucket="notes", Key="x")["Body"].read() == b"kept"


def test_a_service_that_is_gone_is_left_alone(nowhere: str) -> None:
    with Session(max_retries=0, failure_threshold=2) as session:
        session.auth = signed()
        for _ in range(2):
            with pytest.raises(requests.ConnectionError):
                session.get(f"{nowhere}/notes/x")
        with pytest.raises(CircuitOpenError):
            session.get(f"{nowhere}/notes/x")
