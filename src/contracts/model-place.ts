import { isAbsolute, join } from 'node:path';

/**
 * Where a local model is: the absolute path of a folder, or an id of the hub as it is written.
 * @param dir absolute folder of plimsoll.yaml.
 */
export function modelPlace(written: string, dir: string): string {
	if (isAbsolute(written)) return written;
	return /^\.\.?[/\\]/.test(written) ? join(dir, written) : written;
}
