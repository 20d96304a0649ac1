// Stands in for npm where the set-up is tested: notes how it was called, and unpacks empty packages.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const args = process.argv.slice(2);
if (args[0] === 'install') {
	appendFileSync('calls.log', `${args.join(' ')}\n`);
	if (process.env.NPM_DOUBLE === 'fails') {
		process.stderr.write('npm error code ENOSPC\nnpm error the disk is full\n');
		process.exit(1);
	}
	if (process.env.NPM_DOUBLE === 'hangs') await delay(60_000);
	const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
	const names = Object.keys({ ...dependencies, ...(args.includes('--include=dev') ? devDependencies : {}) });
	for (const name of names) {
		mkdirSync(join('node_modules', name), { recursive: true });
		writeFileSync(join('node_modules', name, 'package.json'), JSON.stringify({ name }));
	}
	const packages = Object.fromEntries(names.map((name) => [`node_modules/${name}`, {}]));
	writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
}
