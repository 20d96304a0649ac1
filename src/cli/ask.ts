import type { Command } from 'commander';
import type { AskReply } from '../app/gateway-reply.ts';
import { PlimsollError } from '../spec/errors.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { oneLine, plain, type Terminal } from './terminal.ts';

/** A question is a question, not a library. */
const QUESTION_BYTES_MAX = 1_048_576;

export function addAsk(program: Command, terminal: Terminal): void {
	const command = program
		.command('ask')
		.argument('<feature>', 'a feature, or an upstream for its bare model')
		.argument('<question...>', 'the question; - reads it from standard input')
		.summary('ask a feature a question')
		.description(
			'Asks a feature under its contract and shows the answer as it comes, then its citations and the request’s id. Goes through the project’s running server, or answers in process when none runs.',
		)
		.action((feature: string, words: string[], options: ServerOptions) => ask(feature, words, { options, terminal }));
	withJson(withServer(command), 'the whole answer as one JSON document');
	example(
		command,
		'plimsoll ask ask-docs "What happens when the token budget is exceeded?"\ngit diff | plimsoll ask review -\nplimsoll ask local/extractive Hello --json',
	);
}

async function ask(
	feature: string,
	words: readonly string[],
	{ options, terminal }: { options: ServerOptions; terminal: Terminal },
): Promise<void> {
	const question = words.length === 1 && words[0] === '-' ? await readStdin() : words.join(' ');
	const interrupts = watchInterrupts();
	let requestId: string | null = null;
	try {
		const reply = await inSession(options, terminal, (session) =>
			session.ask(feature, {
				question,
				signal: interrupts.signal,
				onRequestId: (id) => {
					requestId = id;
				},
				onText: (text) => (terminal.json ? undefined : terminal.write(plain(text))),
			}),
		);
		if (terminal.json) terminal.record(reply);
		else showSources(reply, terminal);
	} catch (thrown) {
		if (requestId !== null && !terminal.json) terminal.note(`\n${terminal.paintNote('dim', `request ${requestId}`)}`);
		throw thrown;
	} finally {
		interrupts.stop();
	}
}

function showSources(reply: AskReply, terminal: Terminal): void {
	terminal.line(reply.answer.endsWith('\n') ? '' : '\n');
	for (const { number, document, heading } of reply.citations) {
		const place = heading === '' ? '' : terminal.paint('dim', `  ${oneLine(heading)}`);
		terminal.line(`[${number}] ${oneLine(document)}${place}`);
	}
	if (reply.citations.length > 0) terminal.line();
	if (reply.degraded !== null) terminal.note(terminal.paintNote('yellow', `degraded: ${oneLine(reply.degraded)}`));
	const by = reply.upstream === null ? '' : `, answered by ${oneLine(reply.upstream)}`;
	terminal.note(terminal.paintNote('dim', `request ${reply.request_id}${by}`));
}

async function readStdin(): Promise<string> {
	const blocks: Buffer[] = [];
	let bytes = 0;
	for await (const block of process.stdin) {
		bytes += block.length;
		if (bytes > QUESTION_BYTES_MAX) {
			throw new PlimsollError(
				'body_too_large',
				`The question on standard input is larger than ${QUESTION_BYTES_MAX} bytes.`,
			);
		}
		blocks.push(block);
	}
	return Buffer.concat(blocks).toString('utf8').trim();
}
