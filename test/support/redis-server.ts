import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from './free-port.ts';

/** Why tests over Redis cannot run here; null when they can. */
export const NO_REDIS: string | null =
	spawnSync('redis-server', ['--version']).status === 0 ? null : 'redis-server is not installed';

export interface RedisServer {
	readonly url: string;
	readonly process: ChildProcess;
	/** Stops it as a crash would, and waits until it is gone. */
	kill(): Promise<void>;
}

/** A real Redis on a free port (or on the one given), which keeps nothing. */
export async function startRedis(port?: number): Promise<RedisServer> {
	const at = port ?? (await freePort());
	const args = ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];
	const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
	child.stdout.setEncoding('utf8');
	await new Promise<void>((resolve, reject) => {
		child.stdout.on('data', (text: string) => {
			if (/Ready to accept connections/i.test(text)) resolve();
		});
		child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
	});
	return {
		url: `redis://127.0.0.1:${at}`,
		process: child,
		async kill() {
			if (child.exitCode !== null || child.signalCode !== null) return;
			const gone = once(child, 'exit');
			child.kill('SIGKILL');
			await gone;
		},
	};
}

export function portOf({ url }: RedisServer): number {
	return Number(new URL(url).port);
}
