"""Does with a router what a client of the basic profile does, and prints what came of it as one JSON object.

usage: wamp_client.py URL URL_WITH_TICKETS
"""

import asyncio
import json
import sys

# Before Autobahn.
from realm_session import RealmSession, open_session

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import (
    CallOptions,
    CallResult,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)


class CalleeSession(RealmSession):
    def __init__(self, config):
        super().__init__(config)
        self.began = asyncio.Event()


class TicketSession(RealmSession):
    authid = "joe"
    ticket = "s3:cret"

    def onConnect(self):
        self.join(self.config.realm, ["ticket"], self.authid)

    def onChallenge(self, challenge):
        return self.ticket


class WrongTicketSession(TicketSession):
    ticket = "wrong"


async def refusal(awaitable):
    """What an awaitable is refused with."""
    try:
        await awaitable
    except ApplicationError as error:
        return [error.error, list(error.args), error.kwargs]
    except RuntimeError as error:
        return str(error)
    return "accepted"


async def calls(caller, callee):
    values = [1, -1.5, "ü☃😀", None, True, [[], {}], 2**53 + 1, 2**64 - 1]

    def fail():
        raise ApplicationError("com.example.failed", "why", 7, detail="more")

    def crash():
        raise ValueError("a bug")

    async def progress(count, details=None):
        for index in range(count):
            details.progress(index)
        return count

    async def never():
        callee.began.set()
        await asyncio.Event().wait()

    echo = await callee.register(lambda *args, **kwargs: CallResult(*args, **kwargs), "com.example.echo")
    await callee.register(fail, "com.example.fail")
    await callee.register(crash, "com.example.crash")
    await callee.register(progress, "com.example.progress", RegisterOptions(details_arg="details"))
    await callee.register(never, "com.example.never")
    echoed = await caller.call("com.example.echo", *values, key="value")
    pieces = []
    last = await caller.call("com.example.progress", 3, options=CallOptions(on_progress=pieces.append))
    cancelled = caller.call("com.example.never")
    await asyncio.sleep(0)
    cancelled.cancel()
    found = {
        "values": [list(echoed.results) == values, echoed.kwresults],
        "large": len(await caller.call("com.example.echo", "x" * 2_000_000)),
        "failed": await refusal(caller.call("com.example.fail")),
        "crashed": await refusal(caller.call("com.example.crash")),
        "progress": [pieces, last],
        "timed out": (await refusal(caller.call("com.example.never", options=CallOptions(timeout=50))))[0],
        "taken": (await refusal(caller.register(fail, "com.example.fail")))[0],
        "reserved": (await refusal(caller.register(fail, "wamp.example")))[0],
        "unknown": (await refusal(caller.call("com.example.unknown")))[0],
        "after a cancellation": await caller.call("com.example.echo", "still there"),
    }
    await echo.unregister()
    found["unregistered"] = (await refusal(caller.call("com.example.echo")))[0]
    return found


async def events(publisher, subscriber):
    heard = []

    def hear(*args, details=None, **kwargs):
        heard.append([list(args), kwargs, details.topic])

    with_topic = SubscribeOptions(details_arg="details")
    subscription = await subscriber.subscribe(hear, "com.example.topic", with_topic)
    await publisher.subscribe(hear, "com.example.topic", with_topic)
    session = subscriber.joined.result().session

    async def publish(*args, **options):
        await publisher.publish(
            "com.example.topic", *args, options=PublishOptions(acknowledge=True, **options), key="value"
        )

    await publish("to others")
    await publish("to all", exclude_me=False)
    await publish("to nobody", exclude=[session])
    await publish("to one", eligible=[session])
    await subscriber.subscribe(hear, "com.", SubscribeOptions(match="prefix", details_arg="details"))
    await subscription.unsubscribe()
    await publish("by prefix")
    # Events come in the order of a session's own messages: an answer after them shows that they were heard.
    await refusal(subscriber.call("com.example.unknown"))
    return heard


async def main(url, ticket_url):
    first = await open_session(url, RealmSession, "realm1")
    second = await open_session(url, CalleeSession, "realm1")
    stranger = await open_session(url, RealmSession, "realm2")
    found = {
        "calls": await calls(first, second),
        "events": await events(first, second),
        "another realm": (await refusal(stranger.call("com.example.fail")))[0],
        "no such realm": await refusal(open_session(url, RealmSession, "realm3")),
        "msgpack too": await refusal(
            open_session(url, RealmSession, "realm1", [MsgPackSerializer(), JsonSerializer()])
        ),
        "a wrong ticket": await refusal(open_session(ticket_url, WrongTicketSession, "realm1")),
        "no ticket": await refusal(open_session(ticket_url, RealmSession, "realm1")),
    }
    by_ticket = (await open_session(ticket_url, TicketSession, "realm1")).joined.result()
    found["a ticket"] = [by_ticket.authid, by_ticket.authmethod]
    second.began.clear()
    waiting = asyncio.ensure_future(refusal(first.call("com.example.never")))
    await second.began.wait()
    second.leave()
    found["left"] = await second.left
    found["callee left"] = (await waiting)[0]
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
