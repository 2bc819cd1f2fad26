"""A manager written from the text of the worker contract 0.3 and the recorded sessions alone: a router of WAMP, its realms and the
manager's procedures.

usage: build_manager.py BUILDS [CERTIFICATE KEY]

BUILDS is a JSON list of build arguments, which are handed over one after the other. With each build it does what the build's
repository is called, at the first try, and it prints a JSON object for all that it meets. With REALM and TOKEN in its environment
there is that realm alone, for one hosted worker.
"""

import asyncio
import collections
import itertools
import json
import os
import random
import ssl
import sys
import uuid

import txaio

# Autobahn looks at this when it is imported.
txaio.use_asyncio()

from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.wamp.serializer import JsonSerializer
from autobahn.websocket.types import ConnectionDeny

BUILDER = "io.quay.builder."
MANAGER = "io.quay.buildworker."
TOKEN = os.environ.get("TOKEN", "")

# As recorded.
WELCOME_DETAILS = {
    "roles": {
        "broker": {
            "features": {
                "publisher_identification": True,
                "publisher_exclusion": True,
                "subscriber_blackwhite_listing": True,
            }
        },
        "dealer": {"features": {"progressive_call_results": True, "caller_identification": True}},
    }
}


def tell(**what):
    print(json.dumps(what), flush=True)


class CallRefused(Exception):
    """Becomes the ERROR that answers a call: its URI, and the arguments that it has."""


class State:
    """What all connections share."""

    def __init__(self, builds):
        self.waiting = builds
        self.tries = collections.Counter()
        self.connections = set()
        self.denials = 0
        self.forget_realms()

    def forget_realms(self):
        self.realms = {os.environ["REALM"]} if TOKEN else {"registration"}

    def go_away(self):
        """As a manager that is started anew behind a proxy."""
        self.forget_realms()
        self.denials = 1
        for connection in list(self.connections):
            connection.transport.abort()


state = State(json.loads(sys.argv[1]))


class Connection(WebSocketServerProtocol):
    """A connection of a worker's, and the session that there is on it."""

    def onConnect(self, request):
        if state.denials > 0:
            state.denials -= 1
            raise ConnectionDeny(503, "starting")
        assert request.protocols == ["wamp.2.json"]
        return "wamp.2.json"

    def onOpen(self):
        state.connections.add(self)
        self.serializer = JsonSerializer()
        self.realm = None
        self.registration = None
        self.invocation = None
        self.build = None
        self.is_given_up = False
        self.heartbeats = 0
        self.calls = 0
        # The forms that an ERROR may have.
        self.forms = itertools.cycle([[], [["division by zero"]], [[], {"detail": [1, None]}]])

    def onClose(self, was_clean, code, reason):
        state.connections.discard(self)

    def onMessage(self, payload, is_binary):
        try:
            # As strict as the library of the deployed managers.
            for message in self.serializer.unserialize(payload, is_binary):
                getattr(self, "on_" + type(message).__name__.lower())(message)
        except Exception as error:
            tell(violation=repr(error), message=payload.decode())
            self.transport.abort()

    def say(self, *frame):
        if self.state == self.STATE_OPEN:
            self.sendMessage(json.dumps(frame).encode())

    def on_hello(self, hello):
        assert self.realm is None
        if hello.realm not in state.realms:
            self.say(3, {}, "wamp.error.no_such_realm")
            return
        self.realm = hello.realm
        self.say(2, random.randrange(2**31), WELCOME_DETAILS)

    def on_goodbye(self, goodbye):
        self.realm = None
        self.say(6, {}, "wamp.goodbye.normal")

    def on_register(self, register):
        assert register.procedure == BUILDER + "build"
        self.registration = random.randrange(2**31)
        self.say(65, register.request, self.registration)

    def on_publish(self, publish):
        assert publish.topic == BUILDER + "heartbeat" and not publish.acknowledge
        self.heartbeats += 1

    def on_call(self, call):
        self.calls += 1
        assert self.calls == 1, "two calls at once"
        asyncio.ensure_future(self.answer(call))

    async def answer(self, call):
        procedures = {MANAGER + "register": self.give_realm}
        if self.realm != "registration":
            procedures = {
                MANAGER + "ping": self.ping,
                MANAGER + "ready": self.ready,
                MANAGER + "determinecachetag": self.determine_cache_tag,
                BUILDER + "logmessagesynchronously": self.log_message,
            }
        try:
            if self.is_given_up or call.procedure not in procedures:
                raise CallRefused("wamp.error.no_such_procedure", ["no procedure " + call.procedure])
            answer = await procedures[call.procedure](*(call.args or []), **(call.kwargs or {}))
            self.calls -= 1
            self.say(50, call.request, {}, [answer])
        except CallRefused as refused:
            self.calls -= 1
            self.say(8, 48, call.request, {}, *refused.args)

    async def give_realm(self):
        realm = str(uuid.uuid4())
        state.realms.add(realm)
        return realm

    async def ping(self):
        return "pong"

    async def ready(self, token, version):
        is_welcome = token == TOKEN and version == "0.3" and self.heartbeats > 0
        if is_welcome:
            # The invocation comes first, as it may.
            self.hand_over()
        return is_welcome

    def hand_over(self):
        if not state.waiting:
            return
        self.build = state.waiting.pop(0)
        self.name = self.build["repository"].split("/")[1]
        self.phases = []
        self.text = ""
        state.tries[self.name] += 1
        self.invocation = random.randrange(2**31)
        self.say(68, self.invocation, self.registration, {}, [], self.build)

    async def determine_cache_tag(self, command_comments, base_image_name, base_image_tag, base_image_id):
        self.refuse()
        return ""

    async def log_message(self, phase, json_data):
        data = json.loads(json_data)
        if "status_data" in data:
            self.phases.append(phase)
            return True
        self.refuse()
        self.text += data.get("stream", "")
        if state.tries[self.name] == 1 and "in the step" in self.text:
            return await self.act()
        return True

    def refuse(self):
        if self.name == "isrefused":
            raise CallRefused("wamp.error.runtime_error", *next(self.forms))

    async def act(self):
        if self.name == "iscancelled":
            return False
        if self.name == "isslow":
            await asyncio.sleep(0.01)
        if self.name == "islost":
            self.give_back()
            self.transport.abort()
        if self.name == "isgivenup":
            self.give_back()
            self.is_given_up = True
        if self.name == "losesmanager":
            self.give_back()
            state.go_away()
        return True

    def give_back(self):
        state.waiting.insert(0, self.build)
        self.build = None

    def on_yield(self, result):
        assert result.request == self.invocation and not result.args
        self.end(result=result.kwargs)

    def on_error(self, error):
        assert error.request == self.invocation and not error.args
        self.end(error=error.error, kwargs=error.kwargs)

    def end(self, **how):
        if self.build is not None:
            tries = state.tries[self.name]
            tell(build=self.name, tries=tries, phases=self.phases, text=self.text, **how)
            self.hand_over()


async def main(certificate=None, key=None):
    factory = WebSocketServerFactory(protocols=["wamp.2.json"])
    factory.protocol = Connection
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=tls)
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main(*sys.argv[2:]))
