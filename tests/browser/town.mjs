// Real coordinators and real devices on loopback, each on a free port, started and stopped by process id.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './suite.mjs';

const people = 80; // a cohort needs 76

// Everything that was started and has not ended. Whatever happens to this process, they end with it.
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

function start(program, args, folder, name) {
  const log = openSync(join(folder, `${name}.log`), 'a');
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', log, log] });
  children.add(child);
  child.ended = new Promise((resolve) => {
    child.on('error', (trouble) => resolve(trouble.message));
    child.on('exit', (status, signal) => {
      children.delete(child);
      resolve(signal ?? status);
    });
  });
  return child;
}

export class Town {
  constructor(programs, folder) {
    this.programs = programs;
    this.folder = folder;
  }

  run(program, ...args) {
    return execFileSync(join(this.programs, program), args, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  // An authority, certificates, people with ratings.
  found() {
    this.run('chorus-certs', 'init');
    this.run('chorus-certs', 'coordinator', '--host', 'localhost', '--out', 'certificates');
    this.run('chorus-certs', 'fleet', '--count', String(people));
    this.run('chorus-sim', 'town', '--people', String(people), '--items', '150', '--out', '.');
  }

  async startCoordinator(name, options = {}) {
    const coordinator = new Coordinator(this, name, options);
    await coordinator.start();
    return coordinator;
  }

  startFleet(coordinator) {
    const port = readFileSync(join(coordinator.folder, 'state', 'endpoint'), 'utf8').split('\n')[0].split(':')[1];
    return start(
      join(this.programs, 'chorus-sim'),
      ['fleet', '--coordinator', `localhost:${port}`, '--credentials', 'fleet', '--ratings', 'ratings.tsv', '--out', `devices-${coordinator.name}`,
        '--clients-per-process', String(people / 2)],
      this.folder, `fleet-${coordinator.name}`);
  }
}

export class Coordinator {
  constructor(town, name, { jobs = [name], gather = '2s' } = {}) {
    this.town = town;
    this.name = name;
    this.folder = join(town.folder, name);
    this.gather = gather;
    this.jobs = jobs;
    this.admin = 0; // the port; 0: any free one
  }

  async start() {
    mkdirSync(this.folder, { recursive: true });
    // A killed one leaves them behind.
    for (const file of ['admin', 'endpoint']) rmSync(join(this.folder, 'state', file), { force: true });
    writeFileSync(join(this.folder, 'coordinator.toml'),
      `listen = ["127.0.0.1:0"]\nstate = "state"\ncertificates = "../certificates"\n[admin]\nlisten = "127.0.0.1:${this.admin}"\n`);
    for (const job of this.jobs) writeFileSync(join(this.folder, `${job}.toml`),
      `name = "${job}"\nrounds = 0\ncatalogue = "../items.tsv"\n[cohort]\nleast_identity_age = "0s"\n` +
      `[round]\ngather = "${this.gather}"\ndevices = ${people}\nreconnect_grace = "2s"\n`);
    this.process = start(join(this.town.programs, 'chorus-coordinator'),
      ['serve', '--config', 'coordinator.toml', ...this.jobs.flatMap((job) => ['--job', `${job}.toml`])], this.folder, 'coordinator');
    let ended;
    this.process.ended.then((how) => { ended = how ?? 'gone'; });
    await until(`coordinator '${this.name}'`, () => {
      if (ended !== undefined) throw new Error(`the coordinator ended (${ended}): ${readFileSync(join(this.folder, 'coordinator.log'), 'utf8')}`);
      return ['admin', 'admin.token', 'endpoint'].every((file) => existsSync(join(this.folder, 'state', file)));
    });
    this.url = `http://${readFileSync(join(this.folder, 'state', 'admin'), 'utf8').trim()}/`;
    await until('first picture', () => fetch(`${this.url}readyz`).then((answer) => answer.ok, () => false));
  }

  get token() {
    return readFileSync(join(this.folder, 'state', 'admin.token'), 'utf8').trim();
  }

  async status() {
    return (await fetch(`${this.url}api/status`)).json();
  }

  // The same state on the same admin port.
  async restart() {
    this.admin = new URL(this.url).port;
    await this.start();
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.process.ended;
  }
}

export async function stop(child) {
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await child.ended;
  clearTimeout(late);
}

// Devices' ids, as the authority lists them: what no page may show.
export function deviceIds(town) {
  return readFileSync(join(town.folder, 'fleet', 'fleet.tsv'), 'utf8').trim().split('\n').map((line) => line.split('\t')[1]);
}
