const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `12,345`. */
export function whole(number: number): string {
	return WHOLE.format(number);
}

/** `0.8 ms`, `45 ms`, `1.25 s`, `2 min 05 s`, `24 h 00 min`. */
export function duration(ms: number): string {
	if (ms < 10) return `${ms.toFixed(1)} ms`;
	if (ms < 1_000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
	const seconds = Math.round(ms / 1_000);
	const minutes = Math.floor(seconds / 60);
	const two = (number: number) => String(number).padStart(2, '0');
	if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
	return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Micro-dollars as `$0.000123`. */
export function dollars(micros: number): string {
	return `$${(micros / 1_000_000).toFixed(micros !== 0 && Math.abs(micros) < 10_000 ? 6 : 2)}`;
}

/** `1 chunk`, `2 chunks`. */
export function count(number: number, one: string, many = `${one}s`): string {
	return `${whole(number)} ${number === 1 ? one : many}`;
}
