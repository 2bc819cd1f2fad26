import { freeBridgeAddress } from './engine.ts';
import { bridgeName, namespaceName } from './orphans.ts';
import { run } from './process.ts';

/** A network of this machine's own, whose hosts are network namespaces: a cable to each, which can be pulled. */
export interface LabNetwork extends AsyncDisposable {
  /** The address of this machine in it. */
  readonly address: string;
  /** Adds a host that reaches this machine, and nothing else. */
  addHost(): Promise<LabHost>;
}

export interface LabHost {
  /** What goes before a command that is to run there. */
  readonly prefix: readonly string[];
  /** Takes the link down: nothing comes or goes, and nobody is told. */
  cut(): Promise<void>;
  /** Loses what this machine sends there; what comes from there arrives. */
  deafen(): Promise<void>;
  /** Ends both. */
  mend(): Promise<void>;
}

/** Makes a network without hosts. Needs root. */
export async function openNetwork(): Promise<LabNetwork> {
  const bridge = bridgeName('net');
  const address = await freeBridgeAddress();
  const subnet = address.replace(/\.1$/, '');
  const namespaces: string[] = [];
  await run('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${address}/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);
  return {
    address,
    async addHost() {
      const number = namespaces.length + 1;
      const namespace = namespaceName(`host-${number}`);
      const link = bridgeName(`v${number}`);
      const host = `${subnet}.${number + 1}`;
      namespaces.push(namespace);
      await run('ip', ['netns', 'add', namespace]);
      await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
      await run('ip', ['link', 'set', link, 'master', bridge, 'up']);
      await run('ip', ['-n', namespace, 'addr', 'add', `${host}/24`, 'dev', 'eth0']);
      await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
      await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
      return {
        prefix: ['nsenter', `--net=/run/netns/${namespace}`, '--'],
        cut: async () => {
          await run('ip', ['link', 'set', link, 'down']);
        },
        deafen: async () => {
          await run('ip', [
            ...['neigh', 'replace', host, 'lladdr', '02:00:00:00:00:01'],
            ...['dev', bridge, 'nud', 'permanent'],
          ]);
        },
        mend: async () => {
          await run('ip', ['neigh', 'del', host, 'dev', bridge]).catch(() => undefined);
          await run('ip', ['link', 'set', link, 'up']);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const namespace of namespaces) await run('ip', ['netns', 'del', namespace]);
      await run('ip', ['link', 'del', bridge]);
    },
  };
}
