"""The client against a server that misbehaves."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.endpoint import Completion, Endpoint, EndpointError, _asked_wait, run_all
from tests.evaluation.stub_server import MODEL, StubServer

ASK = [{"role": "user", "content": "one two"}]


def endpoint(stub: StubServer, **more) -> Endpoint:
    quick = dict(concurrency=8, timeout=60, attempts=3, patience=0.4)
    return Endpoint(stub.base_url, more.pop("model", MODEL), **(quick | more))


def ask(client: Endpoint, number: int = 1, **sampling) -> list[Completion]:
    return run_all(client.chat(ASK, max_tokens=5, **sampling) for _ in range(number))


def test_a_reply_comes_back_whole_in_every_event_loop():
    # with keys that openai does not have
    sampling = {"temperature": 0.0, "seed": 3, "top_k": 5, "repetition_penalty": 1.1, "stop": ["x"]}
    with StubServer(lambda text, images: text.upper()) as stub:
        client = endpoint(stub)
        assert run_all([client.check()]) == [None]
        assert ask(client) == [Completion("ONE TWO", "stop", 2, 1)]
        assert ask(client, **sampling)[0].text == "ONE TWO"
        stub.become("cut_off")
        assert ask(client)[0].finish_reason == "length"
        stub.become("empty")
        assert ask(client)[0].text == ""
    plain = {"model": MODEL, "messages": ASK, "max_tokens": 5}
    assert stub.requests[:2] == [plain, plain | sampling]


def test_replies_come_in_the_order_of_the_requests_and_no_more_than_allowed_are_in_flight():
    with StubServer(lambda text, images: text, delay=0.02) as stub:
        client = endpoint(stub, concurrency=4)
        messages = [[{"role": "user", "content": str(i)}] for i in range(20)]
        replies = run_all(client.chat(each, max_tokens=5) for each in messages)
    assert [reply.text for reply in replies] == [str(i) for i in range(20)]
    assert stub.largest == 4


@pytest.mark.parametrize("behaviour", ["429_then_fine", "503_then_fine"])
def test_what_passes_is_tried_again(behaviour):
    with StubServer(behaviour=behaviour) as stub:
        assert ask(endpoint(stub)) == [Completion("1", "stop", 1, 2)]


@pytest.mark.parametrize(("asked", "patience"), [("0.3", 4), ("in two seconds", 4), ("86400", 0.3)])
def test_the_server_says_how_long_to_wait_up_to_the_patience(asked, patience):
    if asked == "in two seconds":
        asked = format_datetime(datetime.now(UTC) + timedelta(seconds=2))
    with StubServer(behaviour="429_then_fine", retry_after=asked) as stub:
        start = time.monotonic()
        assert ask(endpoint(stub, patience=patience, timeout=5, attempts=2))[0].text == "1"
        assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize(("header", "seconds"), [(None, 0), ("", 0), ("7", 7), ("-1", 0), ("nan", 0), ("soon", 0)])
def test_the_header_for_waiting(header, seconds):
    assert _asked_wait(header) == seconds


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("down", "no connection"),
        ("always_500", "HTTP 500: the engine is dead"),
        ("no_text", "the reply has no text"),
        ("broken_off", "'abort'"),
        ("wrong_shape", 'no chat completion: \'{"result"'),
        ("html", "no chat completion: '<html>1</html>'"),
        ("hangs", "no answer within 0.1 s"),
        ("drips", "no answer within 0.1 s"),
    ],
)
def test_a_fault_that_stays_is_an_error_after_all_attempts(behaviour, reason):
    with StubServer(behaviour=behaviour) as stub:
        stuck = behaviour in ("hangs", "drips")
        client = endpoint(stub, timeout=0.1 if stuck else 60, attempts=2, patience=30)
        with pytest.raises(EndpointError, match="after 2 tries") as failed:
            ask(client)
    assert reason in str(failed.value)
    assert stub.base_url in str(failed.value)
    assert failed.value.attempts == 2
    assert len(stub.requests) == (0 if behaviour == "down" else 2)


@pytest.mark.parametrize(("behaviour", "reason"), [("400", "the prompt is too long"), ("401", "no such key")])
def test_a_wrong_request_is_not_sent_twice(behaviour, reason):
    with StubServer(behaviour=behaviour) as stub, pytest.raises(EndpointError, match=f"HTTP {behaviour}: {reason}"):
        ask(endpoint(stub))
    assert len(stub.requests) == 1


@pytest.mark.parametrize("behaviour", ["down", "hangs", "always_500"])
def test_a_dead_server_is_given_up_for_all_requests_that_are_left(behaviour):
    async def errors(client):
        return await asyncio.gather(*(client.chat(ASK, max_tokens=1) for _ in range(300)), return_exceptions=True)

    with StubServer(behaviour=behaviour) as stub:
        client = endpoint(stub, timeout=0.2, attempts=1000, patience=0.3)
        (found,) = run_all([errors(client)])
    assert all(isinstance(error, EndpointError) and "was given up after " in str(error) for error in found)
    assert sum(error.attempts == 0 for error in found) > 200


def test_a_server_that_answers_someone_is_not_given_up():
    async def both(client, stub):
        wrong = asyncio.gather(*(client.chat(ASK, max_tokens=1) for _ in range(3)), return_exceptions=True)
        while not wrong.done():
            await client.check()  # is answered
            await asyncio.sleep(0.02)
        return await wrong

    with StubServer(behaviour="always_500") as stub:
        (found,) = run_all([both(endpoint(stub, attempts=5, patience=0.4), stub)])
    assert all("after 5 tries" in str(error) for error in found)


def test_what_speaks_another_protocol_is_no_server():
    listener = socket.create_server(("127.0.0.1", 0))

    def talk():
        for _ in range(2):
            connection, _ = listener.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.recv(100)
            connection.close()

    thread = threading.Thread(target=talk)
    thread.start()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    client = Endpoint(base_url, MODEL, concurrency=1, timeout=60, attempts=2, patience=1)
    with pytest.raises(CellError, match="after 2 tries: no connection"):
        run_all([client.check()])
    thread.join()
    listener.close()


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000/v1", "http:///v1", "ftp://127.0.0.1/v1"])
def test_an_address_that_is_none_is_an_error(base_url):
    client = Endpoint(base_url, MODEL, concurrency=1, timeout=5, attempts=2, patience=0.1)
    with pytest.raises(CellError, match=r"no connection|given up"):
        run_all([client.check()])


@pytest.mark.parametrize(
    ("behaviour", "model", "sentence"),
    [("ok", "other", f"does not serve other but {MODEL}"), ("down", MODEL, "no connection")],
)
def test_the_check_says_what_is_wrong(behaviour, model, sentence):
    with StubServer(behaviour=behaviour) as stub, pytest.raises(CellError, match=sentence) as refused:
        run_all([endpoint(stub, model=model).check()])
    assert stub.base_url in str(refused.value)


def test_the_first_exception_ends_the_others(capsys):
    ended = []

    async def long():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def short():
        await asyncio.sleep(0.05)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all([long(), short()], what="sums", every=0.02)
    assert ended == [True]
    assert "sums: 0 of 2 after" in capsys.readouterr().out
