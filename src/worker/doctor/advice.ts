/** What `doctor` says is to be done, where that is not the same for a program on a machine and for one in a container. */
export interface Advice {
  readonly engine: string;
  readonly fullDisk: string;
  readonly workDirectory: string;
  readonly manager: string;
  readonly registry: string;
}

const onMachine: Advice = {
  engine: 'check that it runs, that DOCKER_HOST is its address, and that this user may use its socket',
  fullDisk: 'a package and its unpacked files lie there: free some, or set WORK_DIR',
  workDirectory: 'set WORK_DIR to a folder that this user may write',
  manager:
    'check SERVER or ENDPOINT, that the manager runs and takes enterprise workers, also without REGISTRATION_TICKET or by this one, and for wss the TLS settings',
  registry: 'check its name and port, that it is up, and that this machine and its engine reach it',
};

const inContainer: Advice = {
  engine:
    'check that it runs, and that the container has its socket (--volume /var/run/docker.sock:/var/run/docker.sock), with --user also its group (--group-add), with SELinux --security-opt label=disable; DOCKER_HOST names another',
  fullDisk:
    'a package and its unpacked files lie there: free some on the disk of its volume, or mount another',
  workDirectory: 'mount a volume there that this user may write, or set WORK_DIR to a folder of one',
  manager:
    'check SERVER or ENDPOINT, in which 127.0.0.1 is this container, that the manager runs and takes enterprise workers, also without REGISTRATION_TICKET or by this one, and for wss that the authority is mounted in /certs',
  registry:
    'check its name and port, in which 127.0.0.1 is this container, that it is up, and that this container and the engine reach it',
};

/** Whether this runs in a container: the variable of systemd's Container Interface, which Podman sets, and the image's entrypoint. */
export function isInContainer(environment: NodeJS.ProcessEnv): boolean {
  return (environment['container'] ?? '') !== '';
}

/** The advice for where a program with this environment runs. */
export function adviceFor(environment: NodeJS.ProcessEnv): Advice {
  return isInContainer(environment) ? inContainer : onMachine;
}
