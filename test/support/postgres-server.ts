import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port.ts';

const BIN = newestBin();

/** Why tests over PostgreSQL cannot run here; null when they can. */
export const NO_POSTGRES: string | null = BIN === null ? 'postgresql is not installed' : null;

export interface PostgresServer {
	/** Such as postgres://plimsoll@127.0.0.1:4711/postgres. */
	readonly url: string;
	readonly process: ChildProcess;
	end(): Promise<void>;
}

/** A real PostgreSQL on a free port, with an empty database. */
export async function startPostgres(): Promise<PostgresServer> {
	const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-postgres-'));
	const port = await freePort();
	const as = ownerOf(folder);
	const program = (name: string) => path.join(BIN ?? '', name);
	const data = path.join(folder, 'data');
	execFileSync(program('initdb'), ['-D', data, '-U', 'plimsoll', '--auth=trust', '--no-sync', '-E', 'UTF8'], {
		...as,
		stdio: 'ignore',
		cwd: folder,
	});
	const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`, '-c', 'fsync=off'];
	const args = ['-D', data, '-p', String(port), ...settings];
	const child = spawn(program('postgres'), args, { ...as, stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
	child.stderr.setEncoding('utf8');
	await new Promise<void>((resolve, reject) => {
		child.stderr.on('data', (text: string) => {
			if (text.includes('ready to accept connections')) resolve();
		});
		child.once('exit', (code) => reject(new Error(`postgres ended with ${code}`)));
	});
	return {
		url: `postgres://plimsoll@127.0.0.1:${port}/postgres`,
		process: child,
		async end() {
			if (child.exitCode === null && child.signalCode === null) {
				const gone = once(child, 'exit');
				child.kill('SIGQUIT');
				await gone;
			}
			await rm(folder, { recursive: true, force: true });
		},
	};
}

/** The server refuses to run as root: then it runs as the user of Debian's package. */
function ownerOf(folder: string): { uid: number; gid: number } | object {
	if (process.getuid?.() !== 0) return {};
	const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
	const owner = { uid: id('-u'), gid: id('-g') };
	chownSync(folder, owner.uid, owner.gid);
	return owner;
}

function newestBin(): string | null {
	const debian = '/usr/lib/postgresql';
	const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
	const found = versions
		.map((version) => path.join(debian, version, 'bin'))
		.find((bin) => existsSync(path.join(bin, 'initdb')));
	if (found) return found;
	const asked = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
	const bin = asked.status === 0 ? asked.stdout.trim() : '';
	return bin && existsSync(path.join(bin, 'initdb')) ? bin : null;
}
