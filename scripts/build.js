// `npm run build` writes the package to dist/: Node does not strip types below node_modules, so that JavaScript is
// published. src/ becomes lib/, at the same depth, and everything else keeps its place. `npm pack ./dist` packs it.
// `node scripts/build.js <folder>` writes it elsewhere.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const target = resolve(process.argv[2] ?? path('dist'));
const COPIED = ['bin', 'templates', 'schemas', 'docs', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE'];

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const tsc = spawnSync(
	process.execPath,
	[path('node_modules/typescript/bin/tsc'), '-p', path('tsconfig.build.json'), '--outDir', join(target, 'lib')],
	{
		stdio: 'inherit',
	},
);
if (tsc.status === 0) {
	for (const name of COPIED) cpSync(path(name), join(target, name), { recursive: true });
	writeFileSync(join(target, 'package.json'), `${JSON.stringify(published(), null, '\t')}\n`);
	console.log(`The package is in ${target}: npm pack ${target}`);
} else {
	process.exitCode = 1;
}

/**
 * package.json without what only the checkout needs. A checkout fetches Node 24 itself; a package cannot. Optional
 * packages become optional peers; in the checkout they must be none, since npm then takes installing them for done.
 */
function published() {
	const {
		private: _private,
		scripts,
		devDependencies,
		overrides,
		allowScripts,
		optionalPackages,
		...rest
	} = JSON.parse(readFileSync(path('package.json'), 'utf8'));
	return {
		...rest,
		engines: { node: '>=24' },
		exports: { ...rest.exports, '.': { types: './lib/index.d.ts', default: './lib/index.js' } },
		peerDependencies: optionalPackages,
		peerDependenciesMeta: Object.fromEntries(Object.keys(optionalPackages).map((name) => [name, { optional: true }])),
	};
}
