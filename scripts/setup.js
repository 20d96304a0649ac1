// Sets the checkout up before `npm start` (production) and `npm test` (--dev). Runs on any Node from 18 up.
// This file parses on far older ones, so that they get a sentence instead of a syntax error.
var major = Number(process.versions.node.split('.')[0]);

if (major < 18) {
	console.error(`Plimsoll: this machine has Node ${process.version}; setting up needs Node 18 or newer.`);
	console.error('Install Node 24 from https://nodejs.org and run the command again.');
	process.exitCode = 1;
} else {
	import('./setup/main.js').then((setup) => setup.main(process.argv.indexOf('--dev') !== -1));
}
