import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { freePort } from './free-port.ts';

/** `.ci/run` builds it there; another installation is found on the PATH. */
const BUILT = join(import.meta.dirname, '../../node_modules/.tools/versitygw');
const COMMAND = existsSync(BUILT) ? BUILT : 'versitygw';

/** Why tests over S3 cannot run here; null when they can. */
export const NO_S3: string | null =
	spawnSync(COMMAND, ['--version']).status === 0
		? null
		: 'versitygw is not installed: GOBIN=$PWD/node_modules/.tools go install github.com/versity/versitygw/cmd/versitygw@v1.8.0';

export interface S3Server {
	/** Such as http://127.0.0.1:4711. */
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	/** Each bucket is a folder in it, and each object a file: what is put there is there. */
	readonly folder: string;
	readonly process: ChildProcess;
	makeBucket(name: string): Promise<void>;
	/** Starts another one over the same folder and address, as after a crash. */
	restart(): Promise<S3Server>;
	/** Stops it as a crash would, and waits until it is gone. Its folder stays. */
	kill(): Promise<void>;
	/** Stops it and removes its folder. */
	end(): Promise<void>;
}

/** A real S3-compatible server (Versity S3 Gateway over a folder) on a free port; it knows conditional PUT. */
export async function startS3(at?: { folder: string; port: number }): Promise<S3Server> {
	const folder = at?.folder ?? (await mkdtemp(join(tmpdir(), 'plimsoll-s3-')));
	const port = at?.port ?? (await freePort());
	const [accessKeyId, secretAccessKey, region] = ['plimsoll', 'not-a-secret', 'eu-test-1'];
	const credentials = ['--access', accessKeyId, '--secret', secretAccessKey, '--region', region];
	const server = ['--port', `127.0.0.1:${port}`, '--health', '/health', '--quiet'];
	// Attributes of objects lie beside them, since not every file system has extended attributes.
	for (const name of ['buckets', 'attributes']) await mkdir(join(folder, name), { recursive: true });
	const args = [...credentials, ...server, 'posix', '--sidecar', join(folder, 'attributes'), join(folder, 'buckets')];
	const child = spawn(COMMAND, args, { stdio: ['ignore', 'ignore', 'inherit'] });
	const endpoint = `http://127.0.0.1:${port}`;
	await answers(`${endpoint}/health`, child);
	const kill = async () => {
		if (child.exitCode !== null || child.signalCode !== null) return;
		const gone = once(child, 'exit');
		child.kill('SIGKILL');
		await gone;
	};
	return {
		endpoint,
		region,
		accessKeyId,
		secretAccessKey,
		folder: join(folder, 'buckets'),
		process: child,
		async makeBucket(name) {
			await mkdir(join(folder, 'buckets', name), { recursive: true });
		},
		restart: () => startS3({ folder, port }),
		kill,
		async end() {
			await kill();
			await rm(folder, { recursive: true });
		},
	};
}

/** Waits until the server says that it is there; its own exit ends the wait. */
async function answers(url: string, child: ChildProcess): Promise<void> {
	const ended = new AbortController();
	child.once('exit', (code) => ended.abort(new Error(`versitygw ended with ${code}`)));
	for (;;) {
		ended.signal.throwIfAborted();
		const response = await fetch(url).catch(() => null);
		await response?.body?.cancel();
		if (response?.ok) return;
		await setImmediate();
	}
}
