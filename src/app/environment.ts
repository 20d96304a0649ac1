import type { Environment } from '../contracts/environment.ts';

/** The variables that plimsoll.yaml may refer to: this process's own. */
export function environment(): Environment {
	return process.env;
}
