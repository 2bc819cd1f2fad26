"""Opens WAMP sessions with Autobahn|Python, the library of the deployed managers, and nothing of this project's."""

import asyncio

import txaio

# Autobahn looks at this when it is imported.
txaio.use_asyncio()

from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import ComponentConfig
from autobahn.websocket.util import parse_url


class RealmSession(ApplicationSession):
    """A session that tells by futures when it has joined and when it has left, and why."""

    def __init__(self, config):
        super().__init__(config)
        loop = asyncio.get_running_loop()
        self.joined = loop.create_future()
        self.left = loop.create_future()

    async def onJoin(self, details):
        self.joined.set_result(details)

    def onLeave(self, details):
        if not self.joined.done():
            self.joined.set_exception(RuntimeError(details.reason))
        if not self.left.done():
            self.left.set_result(details.reason)
        self.disconnect()

    def onDisconnect(self):
        if not self.joined.done():
            self.joined.set_exception(RuntimeError("disconnected"))
        if not self.left.done():
            self.left.set_result("disconnected")

    def onUserError(self, fail, msg):
        """What a procedure raises goes to its caller; it need not be printed here."""


async def open_session(url, make, realm=None, serializers=None):
    """Connects and waits until the session that `make` makes has joined. Raises RuntimeError with the reason when it is refused."""
    sessions = []

    def make_session():
        sessions.append(make(ComponentConfig(realm)))
        return sessions[0]

    factory = WampWebSocketClientFactory(make_session, url=url, serializers=serializers or [JsonSerializer()])
    _, host, port, *_ = parse_url(url)
    await asyncio.get_running_loop().create_connection(factory, host, port)
    while not sessions:
        await asyncio.sleep(0.01)
    await sessions[0].joined
    return sessions[0]
