import type { Logger } from 'pino';
import { oneLine, type Terminal } from './terminal.ts';

const LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warning', 50: 'error', 60: 'fatal' };
const OWN = ['level', 'time', 'pid', 'hostname', 'msg'];

/** Logs to stderr: lines of JSON for machines, `level message key=value` for a person who watches. */
export async function createLog(level: 'info' | 'warn', terminal: Terminal): Promise<Logger> {
	const { default: pino } = await import('pino');
	if (!terminal.watched) return pino({ level }, pino.destination({ dest: 2, sync: true }));
	return pino({ level }, { write: (line: string) => terminal.note(readable(line, terminal)) });
}

function readable(line: string, terminal: Terminal): string {
	const entry: Record<string, unknown> = JSON.parse(line);
	const rest = Object.entries(entry).filter(([name, value]) => !OWN.includes(name) && value !== null);
	const fields = rest.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
	const level = Number(entry.level);
	const label = terminal.paintNote(
		level >= 50 ? 'red' : level >= 40 ? 'yellow' : 'dim',
		LEVELS[level] ?? String(level),
	);
	return `${label} ${oneLine([entry.msg, ...fields].join(' '))}`;
}
