import type { Environment } from '../contracts/environment.ts';

/** The variables that plimsoll.yaml may refer to: this process's own. */
export function environment(): Environment {
	return process.env;
}

/** What an engine takes from the environment alone. What the operator set stays. */
export function setDefaults(values: Readonly<Record<string, string | number>>): void {
	for (const [name, value] of Object.entries(values)) process.env[name] ??= String(value);
}
