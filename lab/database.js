import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import pino from 'pino';
import { isAlive } from "../src/store/embedded/home.js";
import { startEmbeddedServer } from "../src/store/embedded/server.js";
import { loadMigrations, migrate } from "../src/store/migrations.js";
const TEMPLATE = 'lab_template';
/** Starts a PostgreSQL in a temporary folder, reached through its socket alone. */
export async function startDatabaseServer() {
    const folder = await mkdtemp(join(tmpdir(), 'qlab-pg-'));
    // The server runs as another user when we are root: it must pass through.
    await chmod(folder, 0o711);
    const server = await startEmbeddedServer({ dataDirectory: folder, log: pino({ level: 'silent' }) });
    const { host = '', user = '' } = server.address;
    // A test that dies leaves no server behind.
    const onExit = () => {
        process.kill(server.pid, 'SIGKILL');
        rmSync(folder, { recursive: true, force: true });
    };
    process.once('exit', onExit);
    const urlOf = (database) => `postgresql://${user}@/${database}?host=${encodeURIComponent(host)}`;
    const admin = async (statement) => {
        const client = new pg.Client(server.address);
        await client.connect();
        await client.query(statement);
        await client.end();
    };
    const create = async (template) => {
        const name = `test_${randomUUID().replaceAll('-', '')}`;
        await admin(`create database ${name} template ${template}`);
        return { name, url: urlOf(name) };
    };
    await admin(`create database ${TEMPLATE}`);
    await migrate({ connectionString: urlOf(TEMPLATE) }, loadMigrations());
    const stop = async () => {
        const { pid } = server;
        await server.stop();
        // A test that failed may have left its connections open: then the server would stay.
        while (isAlive(pid)) {
            process.kill(pid, 'SIGQUIT');
            await wait(20);
        }
        process.off('exit', onExit);
        await rm(folder, { recursive: true, force: true });
    };
    return {
        get pid() {
            return server.pid;
        },
        createDatabase: () => create(TEMPLATE),
        createEmptyDatabase: () => create('template1'),
        stop,
        [Symbol.asyncDispose]: stop,
    };
}
