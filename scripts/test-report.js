// A Vitest reporter that ends a run with what was skipped, why, and how to enable it; then one line of counts.
// With PLIMSOLL_TEST_REQUIRE=1, as in CI, a test that is skipped for something that CI provides fails the run.

/**
 * What a reason says is missing: how to provide it, and whether CI must. What the user or the kernel forbids is beyond
 * CI's reach.
 */
const MISSING = [
	{ pattern: /shared\/data/, how: 'put the folder shared/ with its data sets beside the checkout' },
	{ pattern: /@huggingface\/transformers/, how: 'npm install --no-save --ignore-scripts @huggingface/transformers' },
	{ pattern: /redis-server/, how: 'install Redis 7 or later, e.g. apt-get install redis-server' },
	{ pattern: /superuser/, how: 'run the tests as a user other than root', excused: true },
	{ pattern: /unshare/, how: 'run the tests as root where unshare may mount', excused: true },
];

/** At the end of a name, since `describe.skipIf` takes no reason: "… (skipped where x is missing)", "… (needs x)". */
const REASON_IN_NAME = /\(((?:skipped|needs) [^()]*(?:\([^()]*\)[^()]*)*)\)/;

export default class TestReport {
	onTestRunEnd(modules, unhandledErrors) {
		const tests = modules.flatMap((module) => [...module.children.allTests()]);
		const count = (state) => tests.filter((test) => test.result().state === state).length;
		const skipped = tests.filter((test) => test.result().state === 'skipped');
		// A file that did not load, or an error outside any test, has failed though none of its tests has.
		const brokenFiles = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length;
		const failed = count('failed') + brokenFiles + unhandledErrors.length;

		const groups = groupByReason(skipped);
		for (const [reason, names] of groups) say(reason, names);
		if (process.env.PLIMSOLL_TEST_REQUIRE === '1' && [...groups.keys()].some((reason) => !missing(reason)?.excused)) {
			console.log(
				'\nPLIMSOLL_TEST_REQUIRE=1: what is skipped above for something that is missing counts as a failure.',
			);
			process.exitCode = 1;
		}
		const before = process.env.PLIMSOLL_TEST_FAILED_BEFORE;
		if (before) console.log(`\nThe check of ${before} failed, see above ("npm run fix" corrects most of style).`);
		console.log(`\n${count('passed')} passed, ${failed} failed, ${skipped.length} skipped`);
	}
}

function groupByReason(skipped) {
	const groups = new Map();
	for (const test of skipped) {
		const reason = test.result().note ?? REASON_IN_NAME.exec(test.fullName)?.[1] ?? 'no reason given';
		groups.set(reason, [...(groups.get(reason) ?? []), `${test.module.relativeModuleId}: ${test.fullName}`]);
	}
	return groups;
}

function say(reason, names) {
	console.log(`\nNot run: ${reason}`);
	const how = missing(reason)?.how;
	if (how !== undefined) console.log(`To enable: ${how}`);
	for (const name of names) console.log(`  ${name}`);
}

function missing(reason) {
	return MISSING.find(({ pattern }) => pattern.test(reason));
}
