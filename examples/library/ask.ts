/**
 * Asks this repository's own manual in process, without a server: `node examples/library/ask.ts "question" [project folder]`.
 * One process at a time may use a data folder, so stop `npm start` first.
 */
import { fileURLToPath } from 'node:url';
import { createRuntime, PlimsollError } from 'plimsoll';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const [question = 'What happens when the token budget is exceeded?', dir = REPOSITORY] = process.argv.slice(2);

try {
	const plimsoll = await createRuntime({ dir });
	try {
		const { sources } = await plimsoll.ingest('docs');
		const documents = sources.reduce((sum, { seen }) => sum + seen, 0);
		console.error(`${documents} documents are indexed.`);

		// The same admission, budgets, guards and traces as behind HTTP; pieces arrive as the contract lets them go.
		const answer = await plimsoll.ask('ask-docs', {
			question,
			onText: (text) => {
				process.stdout.write(text);
			},
		});
		console.log('\n');
		for (const { number, passage } of answer.citations) {
			console.log(`[${number}] ${[passage.documentId, ...passage.headingPath].join(' › ')}`);
		}

		const trace = await plimsoll.trace(answer.requestId);
		for (const step of trace?.steps ?? []) console.error(`${step.stage.padEnd(9)} ${step.latency_ms.toFixed(1)} ms`);
	} finally {
		await plimsoll.close();
	}
} catch (error) {
	// Every failure has a code of the catalogue and says what to do.
	if (!(error instanceof PlimsollError)) throw error;
	console.error(`${error.code}: ${error.message}`);
	process.exitCode = 1;
}
