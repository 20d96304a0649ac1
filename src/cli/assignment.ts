import { InvalidArgumentError } from 'commander';

/** `limits.requests_per_minute=600` */
export interface Assignment {
	readonly path: readonly [string, ...string[]];
	/** Undefined: the field is taken out. */
	readonly value: string | number | null | undefined;
}

const FIELDS =
	'organisation, weight, limits.<limit>, each_user.<limit>, keys.<key>.<limit> or features.<feature>.<limit>';

/** A parser for a list of assignments: commander hands over what came before. */
export function assignments(text: string, before: readonly Assignment[] = []): readonly Assignment[] {
	const at = text.indexOf('=');
	const path = at > 0 ? pathOf(text.slice(0, at)) : null;
	if (path === null) throw new InvalidArgumentError(`Expected field=value, and as the field ${FIELDS}.`);
	return [...before, { path, value: valueIn(text.slice(at + 1)) }];
}

/** The settings with the assignments made; whether they are right is for the server to say. */
export function assigned(settings: object, all: readonly Assignment[]): unknown {
	const changed: Record<string, unknown> = structuredClone({ ...settings });
	for (const { path, value } of all) {
		let holder = changed;
		for (const name of path.slice(0, -1)) holder = memberOf(holder, name);
		const last = path.at(-1) ?? '';
		if (value === undefined) delete holder[last];
		else Object.defineProperty(holder, last, { value, enumerable: true, configurable: true, writable: true });
	}
	return changed;
}

/** Names of keys may hold dots: the field is what stands first, the limit what stands last. */
function pathOf(text: string): [string, ...string[]] | null {
	const [section = '', ...rest] = text.split('.');
	if (section === 'organisation' || section === 'weight') return rest.length === 0 ? [section] : null;
	const last = rest.pop();
	if (last === undefined || last === '') return null;
	if (section === 'keys' || section === 'features') return rest.length > 0 ? [section, rest.join('.'), last] : null;
	return (section === 'limits' || section === 'each_user') && rest.length === 0 ? [section, last] : null;
}

function valueIn(text: string): Assignment['value'] {
	if (text === '') return undefined;
	if (text === 'null' || text === 'none') return null;
	const number = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
	// JSON makes null of infinity, which would take the limit away.
	return Number.isFinite(number) ? number : text;
}

function memberOf(holder: Record<string, unknown>, name: string): Record<string, unknown> {
	const member = Object.hasOwn(holder, name) ? holder[name] : undefined;
	const own: Record<string, unknown> = typeof member === 'object' && member !== null ? { ...member } : {};
	Object.defineProperty(holder, name, { value: own, enumerable: true, configurable: true, writable: true });
	return own;
}
