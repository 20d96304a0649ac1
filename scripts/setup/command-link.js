import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes `npx plimsoll` work in the checkout: npm links the commands of dependencies, not a project's own. */
export function linkCommand(root) {
	const bin = join(root, 'node_modules', '.bin');
	mkdirSync(bin, { recursive: true });
	const link = join(bin, 'plimsoll');
	rmSync(link, { force: true });
	chmodSync(join(root, 'bin', 'plimsoll.js'), 0o755);
	if (process.platform === 'win32') {
		writeFileSync(link, '');
		writeFileSync(`${link}.cmd`, '@node "%~dp0\\..\\..\\bin\\plimsoll.js" %*\r\n');
	} else {
		symlinkSync(join('..', '..', 'bin', 'plimsoll.js'), link);
	}
}
