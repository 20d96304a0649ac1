import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Why a test that needs a public data set is skipped. */
export const NO_SHARED_DATA = 'the public data sets are not beside this checkout (../shared/data)';

/** The folder of a public data set beside the checkout, or null where there is none. */
export function sharedData(name: string): string | null {
	const folder = fileURLToPath(new URL(`../../../shared/data/${name}`, import.meta.url));
	return existsSync(folder) ? folder : null;
}
