"""An enterprise worker written from the text of the worker contract 0.3 alone. What it builds is pretended.

usage: build_worker.py URL

It does with each build what the build's repository is called, and prints a JSON object for all that it meets.
"""

import asyncio
import json
import sys

# Before Autobahn.
from realm_session import RealmSession, open_session

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallResult

BUILDER = "io.quay.builder."
MANAGER = "io.quay.buildworker."
DIGEST = "sha256:" + "5e" * 32
URL = sys.argv[1]


def tell(**what):
    print(json.dumps(what), flush=True)


class BuildFailed(ApplicationError):
    def __init__(self, name, base_error):
        super().__init__(BUILDER + name, base_error=base_error)


class Registration(RealmSession):
    """Asks for a realm, and goes on to it over the same connection."""

    def __init__(self, config):
        super().__init__(config)
        self.given_realm = None
        self.heart = None

    def onConnect(self):
        self.join("registration")

    async def onJoin(self, details):
        if self.given_realm is None:
            self.given_realm = await self.call(MANAGER + "register")
            self.leave("wamp.error.close_realm")
        else:
            self.joined.set_result(details)

    def onLeave(self, details):
        if self.given_realm is not None and not self.joined.done():
            self.join(self.given_realm)
        else:
            super().onLeave(details)


class Worker(Registration):
    async def start(self, version="0.3"):
        assert await self.call(MANAGER + "ping") == "pong"
        await self.register(self.build, BUILDER + "build")
        self.heart = asyncio.ensure_future(self.beat())
        return await self.call(MANAGER + "ready", token="", version=version)

    async def beat(self):
        while self.is_attached():
            self.publish(BUILDER + "heartbeat")
            await asyncio.sleep(1)

    async def build(self, **arguments):
        tell(arguments=arguments)
        _, name = arguments["repository"].split("/")
        return await getattr(self, name)(arguments)

    async def say(self, phase, **data):
        return await self.call(
            BUILDER + "logmessagesynchronously", phase=phase, json_data=json.dumps(data)
        )

    async def enter(self, phase, **status_data):
        if await self.say(phase, status_data=status_data) is False:
            raise BuildFailed("clientrejectedtransition", "")

    async def completes(self, arguments):
        await self.enter("unpacking")
        await self.enter(
            "pulling", registry="", base_image="scratch", base_image_tag="latest", pull_username=""
        )
        await self.enter("checking-cache")
        tag = await self.call(
            MANAGER + "determinecachetag",
            command_comments="",
            base_image_name="scratch",
            base_image_tag="latest",
            base_image_id="",
        )
        await self.enter("building")
        for line in ["Step 1/2 : FROM scratch", "\n", " ---> \n", "Step 2/2 : LABEL a=b", "\n"]:
            await self.say("building", stream=line, progressDetail={})
        await self.enter("pushing")
        await self.say("pushing", status="Pushed", id="1bddc969579f", progressDetail={})
        name = f"{arguments['registry']}/{arguments['repository']}"
        return CallResult(image_id=f"cache tag {tag!r}", digests=[f"{name}@{DIGEST}"])

    async def tellsnothing(self, arguments):
        return CallResult(image_id=None, digests=None)

    async def fails(self, arguments):
        await self.enter("building")
        raise BuildFailed("builderror", "the step says no")

    async def crashes(self, arguments):
        raise ValueError("a bug of the worker's")

    async def iscancelled(self, arguments):
        await self.enter("building")
        tell(began="iscancelled")
        while await self.say("building", stream="one more line\n") is not False:
            await asyncio.sleep(0.01)
        tell(told="to stop")
        raise BuildFailed("clientrejectedtransition", "")

    async def isnotready(self, arguments):
        other = await open_session(URL, Worker)
        tell(ready_of_another_version=await other.start("0.2"))
        other.leave()
        second = await open_session(URL, RealmSession, self.given_realm)
        try:
            await second.register(self.build, BUILDER + "build")
        except ApplicationError as error:
            tell(second_worker=error.error)
        second.leave()
        try:
            await open_session(URL, RealmSession, "5e000000-0000-4000-8000-000000000000")
        except RuntimeError as error:
            tell(realm_of_its_own=str(error))
        return await self.tellsnothing(arguments)

    lost = False

    async def islost(self, arguments):
        await self.enter("building")
        if not Worker.lost:
            Worker.lost = True
            self._transport.transport.abort()
            await asyncio.Event().wait()
        return await self.completes(arguments)


async def main():
    while True:
        worker = await open_session(URL, Worker)
        tell(ready=await worker.start())
        tell(left=await worker.left)


asyncio.run(main())
