// A Vitest reporter that ends a run with what was skipped, why, and how to enable it; then one line of counts.
// With PLIMSOLL_TEST_REQUIRE=1, as in CI, a skipped test fails the run: there everything is to be present.

/** How to provide what a reason says is missing. */
const HOW_TO_ENABLE = [
	[/shared\/data/, 'put the folder shared/ with its data sets beside the checkout'],
	[/@huggingface\/transformers/, 'npm install --no-save @huggingface/transformers'],
	[/root/, 'run the tests as a user other than root'],
];

export default class TestReport {
	onTestRunEnd(modules, unhandledErrors) {
		const tests = modules.flatMap((module) => [...module.children.allTests()]);
		const count = (state) => tests.filter((test) => test.result().state === state).length;
		const skipped = tests.filter((test) => test.result().state === 'skipped');
		// A file that did not load, or an error outside any test, has failed though none of its tests has.
		const brokenFiles = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length;
		const failed = count('failed') + brokenFiles + unhandledErrors.length;

		for (const [reason, names] of groupByReason(skipped)) {
			console.log(`\nSkipped: ${reason}`);
			const how = HOW_TO_ENABLE.find(([pattern]) => pattern.test(reason))?.[1];
			if (how !== undefined) console.log(`To enable: ${how}`);
			for (const name of names) console.log(`  ${name}`);
		}
		if (skipped.length > 0 && process.env.PLIMSOLL_TEST_REQUIRE === '1') {
			console.log('\nPLIMSOLL_TEST_REQUIRE=1: a skipped test counts as a failure.');
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
		const reason = test.result().note ?? reasonOfSuite(test) ?? 'no reason given';
		groups.set(reason, [...(groups.get(reason) ?? []), `${test.module.relativeModuleId}: ${test.fullName}`]);
	}
	return groups;
}

/** `describe.skipIf` takes no reason, so a suite may carry it at the end of its name: "… (skipped: reason)". */
function reasonOfSuite(test) {
	return /\(skipped: (.+?)\)/.exec(test.fullName)?.[1];
}
